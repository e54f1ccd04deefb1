"""How pytest-xdist shares the tests among its processes: a file is one piece of work, the long pieces first.

A file's fixtures (a server, a training, a corpus) are then made once. The exceptions: every page of the docs is a piece
of its own, and what needs port 8000 is one piece, because only one process can have it.
"""

from __future__ import annotations

import pytest
from xdist.scheduler import LoadScopeScheduling

PAGES = "tests/docs/test_code_blocks.py::test_the_page_runs_as_it_stands["
PORT_8000 = ("tests/journey/test_clients.py", "tests/journey/test_demo.py")
# Whatever starts last should be short: no process then waits long for the other.
LONG_FIRST = (
    *PORT_8000,
    PAGES,
    "tests/journey/",
    "tests/contract/cli/",
    "tests/contract/api/",
    "tests/contract/studio/",
)


def piece(test: str) -> str:
    """Which piece of work a test (its node id) belongs to."""
    if test.startswith(PAGES):
        return test
    file = test.split("::", 1)[0]
    return "port 8000" if file in PORT_8000 else file


def turn(test: str) -> int:
    """When its piece starts: 0 first."""
    return next((number for number, long in enumerate(LONG_FIRST) if test.startswith(long)), len(LONG_FIRST))


class ByPiece(LoadScopeScheduling):  # type: ignore[misc]
    """Gives the pieces out in the order of the collection."""

    def __init__(self, config: pytest.Config, log: object) -> None:
        config.option.loadscopereorder = False  # by number of tests says nothing about seconds
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return piece(nodeid)
