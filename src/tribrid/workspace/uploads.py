"""Uploads and erasures that the index has not followed yet, each as a file that is held while somebody works on it: one
that nobody holds broke off. What an upload stored is in no index then, and the index may hold what was erased.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from tribrid.errors import Unavailable

_UPLOAD, _ERASURE = ".upload", ".erasure"


@contextmanager
def upload_under_way(data_dir: Path, corpus_id: str) -> Iterator[None]:
    """Around storing documents and indexing them: if it does not come to its end, `unfinished` names it. One that does
    has also indexed what uploads stored that broke off before it.

    Raises:
        Unavailable: the folder takes no file; nothing is stored yet.
    """
    broken_off = [path for path in unfinished(data_dir, corpus_id) if path.suffix == _UPLOAD]
    with _marked(_folder(data_dir, corpus_id), _UPLOAD):
        yield
    forget(broken_off)


@contextmanager
def erasure_under_way(data_dir: Path, corpus_id: str) -> Iterator[None]:
    """The same around erasing a document and purging the index.

    Raises:
        Unavailable: the folder takes no file; nothing is erased yet.
    """
    broken_off = unfinished(data_dir, corpus_id)
    with _marked(_folder(data_dir, corpus_id), _ERASURE):
        yield
    forget(broken_off)


@contextmanager
def _marked(folder: Path, suffix: str) -> Iterator[None]:
    path = folder / f"{uuid4().hex}{suffix}"
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
    """The uploads and erasures that broke off; for who indexes the corpus, and purges the index if `is_erasure`, to
    `forget`.
    """
    return [path for path in _marks(data_dir, corpus_id) if _left(path)]


def is_erasure(mark: Path) -> bool:
    """Whether it is an erasure that broke off."""
    return mark.suffix == _ERASURE


def forget(marks: Iterable[Path]) -> None:
    """They are brought to their end."""
    for path in marks:
        path.unlink(missing_ok=True)


def under_way(data_dir: Path, corpus_id: str) -> bool:
    """Whether somebody works on an upload now."""
    return not all(map(_left, _marks(data_dir, corpus_id)))


def _marks(data_dir: Path, corpus_id: str) -> list[Path]:
    return [path for path in _folder(data_dir, corpus_id).glob("*.*") if path.suffix in (_UPLOAD, _ERASURE)]


def _left(path: Path) -> bool:
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, FileNotFoundError):  # at work; just done
        return False
    return True


def _folder(data_dir: Path, corpus_id: str) -> Path:
    return data_dir / "locks" / corpus_id
