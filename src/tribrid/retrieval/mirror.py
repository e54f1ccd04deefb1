"""One index for many machines: its files in an object store, the name of the served state in the database, copies here.

A state is a list of files by name, content and object. Whoever writes holds the index's lock over all machines, works
on its own copy, puts what is new under names that nobody had before, and moves the name from the state that it began
with: a writer that was taken for dead moves nothing, and has overwritten nothing. Who reads compares names, fetches
what it lacks, checks it, and only then sees it. What is killed anywhere leaves objects that no state names; the next
one to publish removes them.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from uuid import uuid4

from tribrid.errors import StaleIndex, StorageUnavailable
from tribrid.private import own_folder
from tribrid.retrieval.checksums import (
    Checksums,
    Noted,
    forget_checksums,
    noted,
    read_checksums,
    write_checksums,
)
from tribrid.retrieval.publication import (
    REBUILD,
    WRITING,
    Publication,
    being_written,
    forget_publication,
    read_publication,
    touch_publication,
    used_at,
    write_publication,
    writer_lock,
)
from tribrid.store.locks import Locks
from tribrid.store.objects import Objects
from tribrid.store.publications import Publications

_FETCHING = "fetch.lock"
_KEPT = frozenset({_FETCHING, WRITING})
_TRIES = 5
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Shared:
    """A file of a state: bytes, BLAKE2b of the content, and the object that holds it."""

    size: int
    digest: str
    key: str


@dataclass(frozen=True, slots=True)
class SharedState:
    """A published state: what it is, and its files by their path from the index's folder."""

    publication: Publication
    files: Mapping[str, Shared]

    @property
    def keys(self) -> frozenset[str]:
        """The objects that hold its files."""
        return frozenset(file.key for file in self.files.values())


class Mirror:
    """What makes a folder follow the published state, and publishes the folder's. Safe for threads."""

    def __init__(
        self, folder: Path, corpus_id: str, objects: Objects, publications: Publications, locks: Locks
    ) -> None:
        self._folder, self._corpus_id = folder, corpus_id
        self._objects, self._publications, self._locks = objects, publications, locks
        self._prefix, self._lock = prefix_of(corpus_id), f"index {corpus_id}"

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the index for writing on all machines; waits.

        Raises:
            Unavailable: the database cannot be reached.
        """
        with self._locks.hold(self._lock):
            yield

    def begin(self, *, anew: bool) -> SharedState | None:
        """Bring the folder to what is published, for who holds it for writing, here and everywhere; the state, if any.

        Args:
            anew: nothing of it is needed: whatever became of it.

        Raises:
            StaleIndex: what is published cannot be had whole, and can only be made anew.
            Unavailable: store or database cannot be reached.
        """
        # Also where there is nothing to bring: who is just bringing it must be done before anything is written.
        with writer_lock(self._folder, _FETCHING):
            served = self._publications.get(self._corpus_id)
            if not anew and not self.at(served):
                self._bring(served)
        if served is None:
            return None
        try:
            return self._read(served)
        except FileNotFoundError as error:
            if not anew:
                raise self._not_whole() from error
            return SharedState(Publication("", 0, "", state=served), {})

    @property
    def being_written(self) -> bool:
        """Whether some machine writes it now."""
        return self._locks.held(self._lock)

    def at(self, served: str | None) -> bool:
        """Whether the folder is at a state; None: at none that was ever published."""
        here = self._here()
        if served is None:  # one that was never published is this folder's own
            return here is None or not here.state
        return here is not None and here.state == served

    def pull(self) -> None:
        """Bring the folder to what is published now, unless this machine is writing.

        Raises:
            StaleIndex, Unavailable: as `begin`.
        """
        if self.at(self._publications.get(self._corpus_id)):
            return
        with writer_lock(self._folder, _FETCHING):
            # Who writes here has brought it to what was published, and publishes here what comes next.
            if being_written(self._folder):
                return
            # Asked again: what was published when the lock was not held may be older than what this machine wrote.
            served = self._publications.get(self._corpus_id)
            if not self.at(served):
                self._bring(served)

    def mend(self) -> None:
        """Fetch again what of the folder is damaged.

        Raises:
            StaleIndex, Unavailable: as `begin`.
        """
        with writer_lock(self._folder, _FETCHING):
            if not being_written(self._folder):
                forget_checksums(self._folder)
                self._bring(self._publications.get(self._corpus_id))

    def evict(self) -> None:
        """Remove the copy, if it is one and nobody here writes it."""
        with writer_lock(self._folder, _FETCHING):
            here = self._here()
            if here is not None and here.state and not being_written(self._folder):
                self._empty()

    def publish(
        self, publication: Publication, names: Iterable[str], before: SharedState | None, *, purge: bool
    ) -> SharedState:
        """Put a state of the folder where all machines find it, and have it served.

        Args:
            publication: what is to be served; its state gets a name of its own.
            names: the files that it needs, by their path from the folder.
            before: as `begin` gave it, or this.
            purge: leave no object that this state does not need; else those of the one before stay until the next.

        Raises:
            Conflict: another machine published meanwhile.
            Unavailable: store or database cannot be reached; readers see what they saw.
        """
        there = list(self._objects.sizes(self._prefix))
        state = SharedState(replace(publication, state=uuid4().hex), self._named(names, before))
        held, served = (before.keys, before.publication.state) if before else (frozenset(), None)
        self._objects.put_all((file.key, self._folder / at) for at, file in state.files.items() if file.key not in held)
        self._objects.put(self._state_key(state.publication.state), _written(state))
        self._publications.move(self._corpus_id, served, state.publication.state)
        self._sweep(there, state, None if purge else before)
        return state

    def _sweep(self, there: list[str], state: SharedState, before: SharedState | None) -> None:
        """Remove what was there before the name was moved and no state needs: nobody else can have put it since.

        Args:
            before: None: none may stay.
        """
        kept = [found for found in (state, before) if found is not None]
        needed = frozenset().union(*(found.keys | {self._state_key(found.publication.state)} for found in kept))
        try:
            self._objects.delete([key for key in there if key not in needed])
        except StorageUnavailable as error:
            if before is None:  # what was erased must be gone
                raise
            _log.warning("%s: what no state needs is not removed yet: %s", self._corpus_id, error.detail)

    def _named(self, names: Iterable[str], before: SharedState | None) -> dict[str, Shared]:
        kept = {} if before is None else before.files
        read = read_checksums(self._folder)
        found = {}
        for name in names:
            size, _, digest = noted(self._folder / name, read.files.get(name) if read else None)
            same = kept.get(name)
            if same is None or (same.size, same.digest) != (size, digest):
                same = Shared(size, digest, f"{self._prefix}files/{uuid4().hex}")
            found[name] = same
        return found

    def _here(self) -> Publication | None:
        try:
            return read_publication(self._folder)
        except StaleIndex:  # a copy that cannot be read is none
            return None

    def _bring(self, served: str | None) -> None:
        for _ in range(_TRIES):
            if served is None:
                self._empty()
                return
            try:
                self._fetch(self._read(served))
                return
            except FileNotFoundError:  # a newer state took its place meanwhile, or the corpus is gone
                newer = self._publications.get(self._corpus_id)
            if newer == served:
                break
            served = newer
        raise self._not_whole()

    def _not_whole(self) -> StaleIndex:
        return StaleIndex(f"The index of {self._corpus_id!r} is not whole in {self._objects.address}. {REBUILD}")

    def _empty(self) -> None:
        forget_publication(self._folder)
        self._leave(())

    def _read(self, served: str) -> SharedState:
        found = json.loads(self._objects.get(self._state_key(served)))
        files = {str(name): Shared(*file) for name, file in found["files"].items()}
        return SharedState(Publication(**found["publication"]), files)

    def _fetch(self, state: SharedState) -> None:
        """Fetch what is not here, see whether it is what was put there, and serve it."""
        read = read_checksums(self._folder)
        known: Mapping[str, Noted] = read.files if read else {}
        wanted = {name: file for name, file in state.files.items() if not self._has(name, file, known)}
        for name in wanted:
            own_folder(_inside(self._folder, name).parent)
        self._objects.fetch_all((file.key, file.size, self._folder / name) for name, file in wanted.items())
        with ThreadPoolExecutor() as pool:
            looks = dict(zip(state.files, pool.map(lambda n: self._look(n, wanted, known), state.files), strict=True))
        for name, (size, _, digest) in looks.items():
            if (size, digest) != (state.files[name].size, state.files[name].digest):
                raise StaleIndex(f"The file {name} is damaged in {self._objects.address}. {REBUILD}")
        publication = state.publication
        write_checksums(self._folder, Checksums(publication.table, publication.version, looks))
        used = used_at(self._folder)
        write_publication(self._folder, publication)
        touch_publication(self._folder, used)  # to follow is not to use
        self._leave(state.files)

    def _look(self, name: str, fetched: Mapping[str, Shared], known: Mapping[str, Noted]) -> Noted:
        return noted(self._folder / name, None if name in fetched else known.get(name))

    def _has(self, name: str, file: Shared, known: Mapping[str, Noted]) -> bool:
        try:
            size, _, digest = noted(_inside(self._folder, name), known.get(name))
        except OSError:
            return False
        return (size, digest) == (file.size, file.digest)

    def _leave(self, names: Iterable[str]) -> None:
        """Remove what is not of these: older states, and what a writer left that was killed."""
        keep = {self._folder / name for name in names}
        for at, _, files in os.walk(self._folder, topdown=False):
            for name in files:
                path = Path(at, name)
                own = path.parent == self._folder and (name in _KEPT or name.endswith(".json"))
                if path not in keep and not own:
                    path.unlink(missing_ok=True)
            if Path(at) != self._folder:
                with suppress(OSError):  # it is not empty
                    Path(at).rmdir()

    def _state_key(self, state: str) -> str:
        return f"{self._prefix}states/{state}.json"


def prefix_of(corpus_id: str) -> str:
    """Where a corpus's index is."""
    return f"indexes/{corpus_id}/"


def _written(state: SharedState) -> bytes:
    files = {name: [file.size, file.digest, file.key] for name, file in state.files.items()}
    return json.dumps({"publication": asdict(state.publication), "files": files}).encode()


def _inside(folder: Path, name: str) -> Path:
    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
        raise StaleIndex(f"The index names a file outside its folder: {name!r}. {REBUILD}")
    return folder / name
