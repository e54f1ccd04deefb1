"""Uploads and erasures that the index has not followed yet, each as a mark that is held while somebody works on it: one
that nobody holds broke off. What an upload stored is in no index then, and the index may hold what was erased.

A mark is a file of the data folder, or a row where any machine may end what another began.
"""

from __future__ import annotations

import fcntl
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Literal, NamedTuple
from uuid import uuid4

from tribrid.errors import Unavailable
from tribrid.retrieval.publication import writer_lock
from tribrid.store import Store

Kind = Literal["upload", "erasure"]


class Mark(NamedTuple):
    """One of them: of which corpus, by what name, and whether it is an erasure."""

    corpus_id: str
    name: str
    is_erasure: bool


class Uploads(ABC):
    """See the module. Safe for threads and processes."""

    @contextmanager
    def upload_under_way(self, corpus_id: str) -> Iterator[None]:
        """Around storing documents and indexing them: if it does not come to its end, `unfinished` names it. One that
        does has also indexed what uploads stored that broke off before it.

        Raises:
            Unavailable: no mark can be made; nothing is stored yet.
        """
        broken_off = [mark for mark in self.unfinished(corpus_id) if not mark.is_erasure]
        with self._marked(corpus_id, "upload"):
            yield
        self.forget(broken_off)

    @contextmanager
    def erasure_under_way(self, corpus_id: str) -> Iterator[None]:
        """The same around erasing a document and purging the index.

        Raises:
            Unavailable: no mark can be made; nothing is erased yet.
        """
        broken_off = self.unfinished(corpus_id)
        with self._marked(corpus_id, "erasure"):
            yield
        self.forget(broken_off)

    def unfinished(self, corpus_id: str) -> list[Mark]:
        """The uploads and erasures that broke off; for who indexes the corpus, and purges the index if one is an
        erasure, to `forget`.
        """
        return [mark for mark in self._marks(corpus_id) if self._left(mark)]

    def under_way(self, corpus_id: str) -> bool:
        """Whether somebody works on an upload now."""
        return not all(map(self._left, self._marks(corpus_id)))

    def forget(self, marks: Iterable[Mark]) -> None:
        """They are brought to their end."""
        for mark in marks:
            self._remove(mark)

    @abstractmethod
    def bringing_in(self, corpus_id: str) -> AbstractContextManager[None]:
        """Hold the corpus while a folder is brought in and what is gone from it is deleted; waits while somebody else
        does so.
        """

    @abstractmethod
    def _marked(self, corpus_id: str, kind: Kind) -> AbstractContextManager[None]: ...

    @abstractmethod
    def _marks(self, corpus_id: str) -> list[Mark]: ...

    @abstractmethod
    def _left(self, mark: Mark) -> bool: ...

    @abstractmethod
    def _remove(self, mark: Mark) -> None: ...


class FolderUploads(Uploads):
    """Of one data folder."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / "locks"

    def bringing_in(self, corpus_id: str) -> AbstractContextManager[None]:
        """As Uploads."""
        return writer_lock(self._folder / corpus_id)

    @contextmanager
    def _marked(self, corpus_id: str, kind: Kind) -> Iterator[None]:
        path = self._folder / corpus_id / f"{uuid4().hex}.{kind}"
        staged = path.with_suffix(".new")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = staged.open("w")
        except OSError as error:
            raise Unavailable(f"The data folder cannot be written: {error.strerror}.") from error
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            staged.rename(path)  # held before anybody can find it
            yield
            path.unlink(missing_ok=True)

    def _marks(self, corpus_id: str) -> list[Mark]:
        found = [path for path in (self._folder / corpus_id).glob("*.*") if path.suffix in (".upload", ".erasure")]
        return [Mark(corpus_id, path.name, path.suffix == ".erasure") for path in found]

    def _left(self, mark: Mark) -> bool:
        try:
            with self._path(mark).open() as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, FileNotFoundError):  # at work; just done
            return False
        return True

    def _remove(self, mark: Mark) -> None:
        self._path(mark).unlink(missing_ok=True)

    def _path(self, mark: Mark) -> Path:
        return self._folder / mark.corpus_id / mark.name


class SharedUploads(Uploads):
    """Of all machines that share the database."""

    def __init__(self, store: Store) -> None:
        self._unfinished, self._locks = store.unfinished, store.locks

    def bringing_in(self, corpus_id: str) -> AbstractContextManager[None]:
        """As Uploads."""
        return self._locks.hold(f"folder {corpus_id}")

    @contextmanager
    def _marked(self, corpus_id: str, kind: Kind) -> Iterator[None]:
        name = uuid4().hex
        with self._locks.hold(name):  # before anybody can find it
            self._unfinished.add(name, corpus_id, kind)
            yield
            self._unfinished.remove(name)

    def _marks(self, corpus_id: str) -> list[Mark]:
        return [Mark(corpus_id, name, kind == "erasure") for name, kind in self._unfinished.of(corpus_id)]

    def _left(self, mark: Mark) -> bool:
        return not self._locks.held(mark.name)

    def _remove(self, mark: Mark) -> None:
        self._unfinished.remove(mark.name)
