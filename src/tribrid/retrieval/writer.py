"""The index's one writer: adds and deletes in commits of their own, then publishes them all at once."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import numpy as np

from tribrid.errors import Failed, StaleIndex, Unavailable
from tribrid.retrieval.checksums import note_checksums, read_checksums
from tribrid.retrieval.lance import Tables
from tribrid.retrieval.mirror import Mirror, SharedState
from tribrid.retrieval.publication import Publication, forget_publication, read_publication, write_publication
from tribrid.retrieval.rows import Vector
from tribrid.retrieval.spaces import SAMPLED, Count, drop_other_spaces, is_outdated, write_space
from tribrid.types import Passage

# Merging rewrites the whole table, so it waits for this many data files: one or two commits a sync.
MERGE_FILES = 20
KEEP_VERSIONS = timedelta(minutes=10)
_AT_ONCE = timedelta(milliseconds=1)
_SCHEMA_VERSION = 1
_SAMPLED_AT_ONCE = 1000


class IndexWriter:
    """What `Index.writer` gives. A writer that is killed leaves whole commits behind, and the next goes on from them.

    A fingerprint has a table of its own: after a change of settings or model the new table is built beside the one
    that serves, and takes its place when it is published.
    """

    def __init__(
        self,
        folder: Path,
        tables: Tables,
        fingerprint: str,
        dim: int,
        *,
        anew: bool = False,
        shared: tuple[Mirror, SharedState | None] | None = None,
    ) -> None:
        self._mirror: Mirror | None = shared[0] if shared else None
        self._served: SharedState | None = shared[1] if shared else None
        self._folder = folder
        self._tables = tables
        self._fingerprint = fingerprint
        self._name = _name(folder, f"{_SCHEMA_VERSION} {dim} {fingerprint}", anew=anew)
        self._table = tables.open_or_create(self._name, dim)

    @property
    def published(self) -> bool:
        """Whether readers see everything that was written."""
        publication = read_publication(self._folder)
        if publication is None or (publication.table, publication.version) != (self._name, self._table.version):
            return False
        return self._mirror is None or (self._served is not None and self._served.publication == publication)

    def doc_hashes(self) -> dict[str, str]:
        """doc_id → content_sha of every document written, published or not."""
        return self._table.hashes()

    def count(self) -> int:
        """Passages written, published or not."""
        return self._table.count()

    def add(
        self,
        passages: Sequence[Passage],
        *,
        lexical: Sequence[str],
        vectors: Vector,
        content_shas: Sequence[str],
        tokens: Sequence[bytes],
    ) -> None:
        """Append passages in one commit. A document's passages belong in one call, so that it is there wholly or not.

        Args:
            passages: n passages whose keys the index does not hold.
            lexical: what BM25 sees, one text a passage.
            vectors: float32 (n, dim), L2-normalised.
            content_shas: of each passage's document.
            tokens: opaque, kept as they are.

        Raises:
            Failed: vectors of another shape or not finite, or the table cannot be written (a full disk).
        """
        if vectors.shape != (len(passages), self._table.dim) or not np.isfinite(vectors).all():
            raise Failed(
                f"The encoder made vectors of shape {vectors.shape} for {len(passages)} passages in an index of "
                f"{self._table.dim} dimensions, or numbers that are not finite."
            )
        self._table.add(passages, lexical, vectors, content_shas, tokens)

    def delete_docs(self, doc_ids: Collection[str]) -> None:
        """Remove all passages of these documents; unknown ids are no error.

        Raises:
            Failed: the table cannot be written.
        """
        self._table.delete(doc_ids)

    def publish(self, *, purge: bool = False, count: Count | None = None) -> None:
        """Bring the indices up to date and let readers see all of it.

        After it, BM25 scores are those of an index built at once from the same rows. Every MERGE_FILES commits the
        data files are merged, and the versions that no reader can need any more are removed; a query that loses its
        version all the same is run again on the new one by `Index.read`.

        Args:
            purge: do that now, and leave no older version: what was deleted is then in no file.
            count: makes what is kept of the passages together (see `spaces.py`); None keeps what there is.

        Raises:
            Failed: the table cannot be written.
            Unavailable: the disk takes nothing.
        """
        try:
            self._publish(purge=purge, count=count)
        except OSError as error:
            raise Unavailable(f"The index cannot be published: {error.strerror}.") from error

    def _publish(self, *, purge: bool, count: Count | None) -> None:
        if not purge and self.published and self._complete(count):
            return
        before = read_publication(self._folder)
        merge = purge or self._table.files() >= MERGE_FILES
        if merge:
            self._table.merge()
        self._table.rebuild_indices()
        state = self._share(self._state(count, purge=purge), purge=purge)
        write_publication(self._folder, state)
        if merge:
            self._table.prune(KEEP_VERSIONS if self._is_read(before) and not purge else _AT_ONCE)
        self._drop_others(state)
        note_checksums(self._folder, state.table, state.version, state.space)

    def _is_read(self, before: Publication | None) -> bool:
        """Whether somebody may read an older version of the table."""
        return before is not None and before.table == self._name

    def _state(self, count: Count | None, *, purge: bool) -> Publication:
        """What is published now. A space holds vectors of passages, so no purge keeps one."""
        space, changed = (None, 0) if purge else self._kept_space()
        space = space or self._made_space(count)
        return Publication(self._name, self._table.version, self._fingerprint, self._table.count(), space, changed)

    def _share(self, state: Publication, *, purge: bool) -> Publication:
        """Have all machines serve it, before this one does."""
        if self._mirror is None:
            return state
        names = [*self._tables.files(state.table, state.version), *([state.space] if state.space else [])]
        self._served = self._mirror.publish(state, names, self._served, purge=purge)
        return self._served.publication

    def _complete(self, count: Count | None) -> bool:
        """Make what an older version did not, when it published all that there is; whether nothing is left to do."""
        before = read_publication(self._folder)
        if self._mirror is not None:
            return count is None or (before is not None and before.space is not None)
        space = (before.space if before else None) or self._made_space(count)
        if before is not None and before.space != space:
            write_publication(self._folder, replace(before, space=space))
        elif read_checksums(self._folder) is not None:
            return True
        note_checksums(self._folder, self._name, self._table.version, space)
        return True

    def _kept_space(self) -> tuple[str | None, int]:
        """The published space, if it still says what the passages are like, and the documents that have changed since
        it was made.
        """
        before = read_publication(self._folder)
        if before is None or before.space is None or before.table != self._name:
            return None, 0
        then, now = self._tables.open(before.table, before.version).hashes(), self._table.hashes()
        differing = {doc_id for doc_id, _ in then.items() ^ now.items()}
        changed = before.space_changed + len(differing)
        return (None, 0) if is_outdated(changed, len(now)) else (before.space, changed)

    def _made_space(self, count: Count | None) -> str | None:
        return None if count is None else write_space(self._folder, count(self._sampled()))

    def _sampled(self) -> Iterator[tuple[bytes, Vector]]:
        row_ids = self._table.rows(0).row_ids
        chosen = row_ids[:: max(1, len(row_ids) // SAMPLED)].tolist()
        for start in range(0, len(chosen), _SAMPLED_AT_ONCE):
            yield from self._table.packed_at(chosen[start : start + _SAMPLED_AT_ONCE])

    def _drop_others(self, state: Publication) -> None:
        for other in self._tables.names():
            if other != self._name:
                self._tables.drop(other)
        drop_other_spaces(self._folder, state.space)


def _name(folder: Path, made_with: str, *, anew: bool) -> str:
    """The table that holds what is made with this: the published one, if it does, else one of its own."""
    name = "passages-" + hashlib.sha256(made_with.encode()).hexdigest()[:12]
    if anew:
        try:
            read_publication(folder)
        except StaleIndex:  # nobody can read what it says
            forget_publication(folder)
        return f"{name}-{uuid4().hex[:8]}"
    publication = read_publication(folder)
    return publication.table if publication and publication.table.startswith(name) else name
