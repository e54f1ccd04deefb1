"""Uploads that are not indexed yet, each as a file that is held while somebody works on it: one that nobody holds broke
off, and what it stored is in no index.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from tribrid.errors import Unavailable

_SUFFIX = ".upload"


@contextmanager
def upload_under_way(data_dir: Path, corpus_id: str) -> Iterator[None]:
    """Around storing documents and indexing them: if it does not come to its end, `unfinished` names it.

    Raises:
        Unavailable: the folder takes no file; nothing is stored yet.
    """
    folder = _folder(data_dir, corpus_id)
    path = folder / f"{uuid4().hex}{_SUFFIX}"
    staged = path.with_suffix(".new")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = staged.open("w")
    except OSError as error:
        raise Unavailable(f"The data folder cannot be written: {error.strerror}.") from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        staged.rename(path)  # held before anybody can find it
        yield
        path.unlink(missing_ok=True)


def unfinished(data_dir: Path, corpus_id: str) -> list[Path]:
    """The uploads that broke off; to be deleted by who has indexed the corpus since."""
    return [path for path in _folder(data_dir, corpus_id).glob(f"*{_SUFFIX}") if _left(path)]


def under_way(data_dir: Path, corpus_id: str) -> bool:
    """Whether somebody works on an upload now."""
    return not all(map(_left, _folder(data_dir, corpus_id).glob(f"*{_SUFFIX}")))


def _left(path: Path) -> bool:
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, FileNotFoundError):  # at work; just done
        return False
    return True


def _folder(data_dir: Path, corpus_id: str) -> Path:
    return data_dir / "locks" / corpus_id
