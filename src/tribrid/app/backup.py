"""Back up a data folder while it is used: rows of one moment, the models' files that they name, indexes if asked."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from tribrid.answers.backup import BackupFacts, BackupManifest
from tribrid.app.archive import Archive, ArchiveWriter, new_archive
from tribrid.app.parts import quiet
from tribrid.errors import ModelUnavailable, Unavailable
from tribrid.retrieval.publication import writer_lock
from tribrid.store import Store
from tribrid.store.database import newest_revision
from tribrid.types import Emit
from tribrid.version import __version__
from tribrid.workspace.data_folder import DataFolder

_TRIES = 5
ROWS, ARTIFACTS, INDEXES = "rows/{}.jsonl", "artifacts/{}/", "indexes/"


def back_up(folder: DataFolder, file: Path, *, with_index: bool = False, emit: Emit = quiet) -> BackupFacts:
    """Write all that is stored into a new file, which is the owner's alone.

    Args:
        with_index: also the indexes, which can be made again from the documents, at the price of embedding them.

    Raises:
        Conflict: there is a file already.
    """
    staged = folder.store.artifacts.stage()
    try:
        # Before the rows: what was put in since is then in no index, as if its upload had been interrupted.
        indexes = _link_indexes(folder, staged) if with_index else []
        manifest = _archived(folder.store, file, staged, indexes, emit)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return facts(file, manifest)


def verify(file: Path) -> BackupFacts:
    """Read all of a backup.

    Raises:
        InvalidInput: it is damaged; names what.
        Unavailable: a newer Tribrid made it.
    """
    archive = Archive(file)
    try:
        archive.verify()
        return facts(file, archive.manifest)
    finally:
        archive.close()


def facts(file: Path, manifest: BackupManifest) -> BackupFacts:
    """What a person wants to know of it."""
    return BackupFacts(
        file=str(file),
        bytes=file.stat().st_size,
        version=manifest.version,
        created_at=manifest.created_at,
        rows=sum(manifest.rows.values()),
        corpora=manifest.corpora,
        artifacts=len(manifest.artifacts),
        missing_artifacts=manifest.missing,
        indexes=manifest.indexes,
    )


class _Rewritten(Exception):
    """An erasure put other files in the place of some of the log's, while they were read."""


def _archived(store: Store, file: Path, staged: Path, indexes: list[str], emit: Emit) -> BackupManifest:
    """Write the archive; again, if what it is to hold was changed under it.

    Raises:
        Unavailable: that happened each time.
    """
    for _ in range(_TRIES):
        with suppress(_Rewritten), new_archive(file) as archive:
            manifest = _write(store, archive, staged, indexes, emit)
            archive.finish(manifest)
            return manifest
    raise Unavailable("What is backed up is being erased from all the time. Try again later.")


def _write(store: Store, archive: ArchiveWriter, staged: Path, indexes: list[str], emit: Emit) -> BackupManifest:
    rows: dict[str, int] = {}
    artifacts: list[str] = []
    missing: list[str] = []
    with store.rows.snapshot() as snapshot:
        created_at, tables, named = datetime.now(UTC), snapshot.tables(), snapshot.artifacts()
        corpora = snapshot.corpora()
        indexes = [corpus_id for corpus_id in indexes if corpus_id in corpora]
        log = snapshot.segments()
        named += log
        total = len(tables) + len(named) + len(indexes)

        def told(done: int) -> None:
            emit("progress", {"stage": "backup", "done": done, "total": total})

        for done, table in enumerate(tables):
            told(done)
            counted = _Counted(snapshot.lines(table))
            archive.put(ROWS.format(table), counted, compress=True)
            rows[table] = counted.count
        for done, digest in enumerate(named, len(tables)):
            told(done)
            (artifacts if _put_artifact(store, archive, digest) else missing).append(digest)
    # What is missing all the same was lost, and is said; what was erased is not in the backup that is made now.
    if set(missing) & set(log) - _listed(store):
        raise _Rewritten
    for done, corpus_id in enumerate(indexes, len(tables) + len(named)):
        told(done)
        _put_folder(archive, f"{INDEXES}{corpus_id}/", staged / corpus_id)
    told(total)
    return BackupManifest(
        version=__version__,
        revision=newest_revision(),
        created_at=created_at,
        rows=rows,
        entries=archive.entries,
        corpora=tuple(corpora),
        artifacts=tuple(artifacts),
        missing=tuple(missing),
        indexes=tuple(indexes),
    )


def _listed(store: Store) -> set[str]:
    with store.rows.snapshot() as snapshot:
        return set(snapshot.segments())


class _Counted:
    """Lines, and how many went by."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        self._lines, self.count = lines, 0

    def __iter__(self) -> Iterator[bytes]:
        for line in self._lines:
            self.count += 1
            yield line


def _put_artifact(store: Store, archive: ArchiveWriter, digest: str) -> bool:
    """Whether it was there. A model may have been deleted since the rows' moment, or its files before."""
    try:
        _put_folder(archive, ARTIFACTS.format(digest), store.artifacts.verified(digest))
    except (ModelUnavailable, FileNotFoundError):
        return False
    return True


def _put_folder(archive: ArchiveWriter, prefix: str, folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            archive.put_file(prefix + path.relative_to(folder).as_posix(), path)


def _link_indexes(folder: DataFolder, target: Path) -> list[str]:
    """Give the indexes' files, which are written once and never changed, second names that nobody removes; whose."""
    found = []
    for corpus in folder.store.corpora.list():
        source = folder.index_dir(corpus.corpus_id)
        if source.is_dir():
            with writer_lock(source), suppress(FileNotFoundError, shutil.Error):  # it goes with its corpus just now
                ignore = shutil.ignore_patterns("writer.lock")
                shutil.copytree(source, target / corpus.corpus_id, copy_function=_link, ignore=ignore)
                found.append(corpus.corpus_id)
    return found


def _link(source: str, target: str) -> None:
    if not source.endswith(".json"):  # those are written over
        with suppress(OSError):  # another file system, or one without links
            os.link(source, target)
            return
    shutil.copy2(source, target)
