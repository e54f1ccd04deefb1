"""Opens the library for a command. Light: the library, which takes most of a command's time, is imported when it is
opened.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

import tribrid
from tribrid.cli.command import Session

Library: TypeAlias = "tribrid.Tribrid"
"""The library's object, named without loading it."""


@contextmanager
def library(session: Session) -> Iterator[Library]:
    """The library on the session's data folder, closed at the end of the block."""
    with tribrid.Tribrid(session.data_dir) as opened:
        yield opened
