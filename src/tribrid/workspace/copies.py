"""What this machine has copies of, where indexes and models are in an object store: they follow what is published, and
are bounded in size.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from tribrid.errors import TribridError
from tribrid.retrieval.mirror import Mirror, prefix_of
from tribrid.retrieval.mirrored import MirroredIndex
from tribrid.retrieval.publication import used_at
from tribrid.store import Store
from tribrid.store.objects import Objects

FOLLOW_S = 1.0
"""Between two looks at what is published: one query of the database, whatever the number of corpora."""
MEASURE_S = 30.0
IN_USE_S = 60.0
_LEFT_TO_ITSELF_S = 5.0
_log = logging.getLogger(__name__)


class Copies:
    """See the module. Safe for threads; one per process, several may share a data folder."""

    def __init__(self, store: Store, objects: Objects, most_bytes: Callable[[], int]) -> None:
        """Copies nothing yet.

        Args:
            most_bytes: how much may be kept; asked each time.
        """
        self._store, self._objects, self._most_bytes = store, objects, most_bytes
        self._lock = threading.Lock()
        self._indexes: dict[str, MirroredIndex] = {}
        self._under_way: dict[str, threading.Thread] = {}
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._folder: Path | None = None
        self._measured_at = time.monotonic()

    def index(self, corpus_id: str, folder: Path) -> MirroredIndex:
        """A corpus's index, which follows from now on."""
        publications, locks = self._store.publications, self._store.locks
        found = MirroredIndex(folder, Mirror(folder, corpus_id, self._objects, publications, locks))
        with self._lock:
            self._indexes[corpus_id] = found
            self._folder = folder.parent
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="copies", daemon=True)
                self._thread.start()
        return found

    def forget(self, corpus_id: str) -> None:
        """Remove a deleted corpus's index from where it is.

        Raises:
            StorageUnavailable: it is not removed.
        """
        with self._lock:
            self._indexes.pop(corpus_id, None)
        self._objects.delete(list(self._objects.sizes(prefix_of(corpus_id))))

    def close(self) -> None:
        """Follow no more."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        with self._lock:
            under_way = list(self._under_way.values())
        for thread in under_way:
            thread.join(_LEFT_TO_ITSELF_S)

    def _run(self) -> None:
        while not self._stopping.wait(FOLLOW_S):
            try:
                self._follow()
                if time.monotonic() - self._measured_at >= MEASURE_S:
                    self._measured_at = time.monotonic()
                    self.make_room()
            except (TribridError, OSError) as error:  # the database is away for a while, a disk full
                _log.warning("Copies of indexes may be old: %s", error)

    def _follow(self) -> None:
        served = self._store.publications.all()
        with self._lock:
            open_now = dict(self._indexes)
        for corpus_id, index in open_now.items():
            with self._lock:
                if not index.is_behind(served.get(corpus_id)) or corpus_id in self._under_way:
                    continue
                # By itself, so that a large index does not keep a small one waiting.
                bringing = threading.Thread(target=self._bring, args=(corpus_id, index), name="copy", daemon=True)
                self._under_way[corpus_id] = bringing
                bringing.start()

    def _bring(self, corpus_id: str, index: MirroredIndex) -> None:
        try:
            index.follow()
        except (TribridError, OSError) as error:  # tried again at the next look
            _log.warning("The copy of the index of %s stays as it is: %s", corpus_id, error)
        finally:
            with self._lock:
                del self._under_way[corpus_id]

    def make_room(self) -> None:
        """Remove what was unused for longest, as far as there is more than may be."""
        found = [*self._index_copies(), *self._model_copies()]
        too_much = sum(size for _, size, _ in found) - self._most_bytes()
        for at, size, evict in sorted(found, key=lambda copy: copy[0]):
            if too_much <= 0 or at > time.time() - IN_USE_S:
                return
            evict()
            too_much -= size

    def _index_copies(self) -> list[tuple[float, int, Callable[[], None]]]:
        found: list[tuple[float, int, Callable[[], None]]] = []
        for folder in self._folder.iterdir() if self._folder else ():
            at, publications = used_at(folder), self._store.publications
            if at is not None:
                mirror = Mirror(folder, folder.name, self._objects, publications, self._store.locks)
                found.append((at, _bytes(folder), mirror.evict))
        return found

    def _model_copies(self) -> list[tuple[float, int, Callable[[], None]]]:
        artifacts = self._store.artifacts
        return [(at, _bytes(folder), partial(artifacts.forget, folder.name)) for at, folder in artifacts.by_use()]


def _bytes(folder: Path) -> int:
    total = 0
    for at, _, names in os.walk(folder):  # what goes meanwhile is passed over
        for name in names:
            with suppress(FileNotFoundError):
                total += Path(at, name).stat().st_size
    return total
