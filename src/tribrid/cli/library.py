"""Opens the library for a command. The one file of the command line that is slow to import, with those that use it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tribrid.app import Tribrid
from tribrid.cli.command import Session


@contextmanager
def library(session: Session) -> Iterator[Tribrid]:
    """The library on the session's data folder, closed at the end of the block."""
    with Tribrid(session.data_dir) as tribrid:
        yield tribrid
