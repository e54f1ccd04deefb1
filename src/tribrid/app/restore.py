"""Put a backup in the place of what a data folder and its database hold: all of it, or nothing.

What can fail is done aside first. Then the rows take their place in one transaction. A kill before that leaves the old
state, and one after it a data folder that nobody opens until the backup is restored again.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from tribrid.answers.backup import RestoredBackup
from tribrid.app.archive import Archive
from tribrid.app.backup import ARTIFACTS, INDEXES, ROWS, facts
from tribrid.app.parts import quiet
from tribrid.config import Environment
from tribrid.errors import InvalidInput, ModelUnavailable
from tribrid.store import UNFINISHED, Store
from tribrid.store.objects import Objects
from tribrid.store.rows import Lines, of_this_release
from tribrid.types import Emit

_ASIDE = "restore-"


def restore(environment: Environment, file: Path, *, replace: bool = False, emit: Emit = quiet) -> RestoredBackup:
    """Restore a backup into the environment's data folder and database, which are made if need be.

    Args:
        replace: also where something is there, which is lost.

    Raises:
        InvalidInput: the backup is damaged; nothing was changed.
        Conflict: something is there.
        Unavailable: a newer Tribrid made the backup.
    """
    data_dir, file = environment.data_dir, file.resolve()
    with closing(Archive(file)) as archive:
        manifest = archive.manifest
        emit("progress", {"stage": "verify", "done": 0, "total": None})
        archive.verify()
        objects = Objects(environment.storage_url) if environment.storage_url else None
        with closing(Store.restoring(data_dir, environment.database_url, objects)) as store:
            if not replace:
                store.rows.require_none()
            _put_artifacts(archive, store, emit)
            with _aside(data_dir) as aside:
                if objects is None:  # else all machines serve one index, which is made anew
                    archive.extract(INDEXES, aside / "indexes")

                def lines(table: str) -> Iterator[bytes]:
                    emit("progress", {"stage": table.replace("_", " "), "done": 0, "total": None})
                    return archive.lines(ROWS.format(table))

                with of_this_release(lines, list(manifest.rows), manifest.revision, aside) as rows:
                    _take_place(data_dir, file, store, rows, aside / "indexes")
            store.segments.remove_dropped()
        to_index = [c for c in manifest.corpora if objects is not None or c not in manifest.indexes]
        told = facts(file, manifest).model_dump()
        return RestoredBackup.model_validate({**told, "data_dir": str(data_dir), "to_index": to_index})


def _put_artifacts(archive: Archive, store: Store, emit: Emit) -> None:
    """Each is named by its content, so that it harms nobody if the rows never come."""
    for done, digest in enumerate(archive.manifest.artifacts):
        emit("progress", {"stage": "artifacts", "done": done, "total": len(archive.manifest.artifacts)})
        if _whole(store, digest):
            continue
        staged = store.artifacts.stage()
        try:
            archive.extract(ARTIFACTS.format(digest), staged)
            if store.artifacts.commit(staged) != digest:
                raise InvalidInput(f"{archive.path} is damaged: artifact {digest} is another.", entry=digest)
        finally:
            shutil.rmtree(staged, ignore_errors=True)


def _whole(store: Store, digest: str) -> bool:
    """Whether it is there already; one that was damaged makes room."""
    try:
        store.artifacts.verified(digest)
    except ModelUnavailable:
        with suppress(ModelUnavailable):  # it is not there at all
            store.artifacts.remove(digest)
        return False
    return True


@contextmanager
def _aside(data_dir: Path) -> Iterator[Path]:
    """A folder beside what is there, for what is to take its place."""
    folder = Path(tempfile.mkdtemp(prefix=_ASIDE, dir=data_dir))
    try:
        (folder / "indexes").mkdir()
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _take_place(data_dir: Path, file: Path, store: Store, rows: Lines, indexes: Path) -> None:
    """Rows and indexes at once: in between nobody opens the folder."""
    mark = data_dir / UNFINISHED
    with mark.open("w") as stream:
        stream.write(f"{file}\n")
        stream.flush()
        os.fsync(stream.fileno())
    try:
        store.rows.replace(rows)
    except BaseException:
        mark.unlink()  # not a row was changed
        raise
    old = data_dir / "indexes"
    shutil.rmtree(old, ignore_errors=True)  # indexes of other documents are worse than none
    indexes.replace(old)
    for left in data_dir.glob(f"{_ASIDE}*"):
        shutil.rmtree(left, ignore_errors=True)  # of this restoration, and of one that was killed
    mark.unlink()
