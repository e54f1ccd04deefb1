"""Artifacts: immutable folders of files, each named by the hash of what is in it. Rows hold state, files hold bytes.

A folder is written aside, flushed to disk, then renamed: whoever dies in between leaves a stray in `staging`, never
half an artifact. The hash makes committing twice harmless.

With an object store the artifacts are there, and the folder holds copies of what was used here: one that is missing or
damaged is fetched. Its files are there before anybody knows its hash, and the hash tells whether they are all.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from tribrid.errors import InvalidInput, ModelUnavailable
from tribrid.private import own_folder
from tribrid.store.objects import Objects

_HASH = re.compile(r"[0-9a-f]{64}")
_READ_ONLY, _ONLY_OWN = 0o400, 0o700
_KEY = "artifacts/{}"


def content_hash(folder: Path) -> str:
    """sha256 over every file's path (posix, relative, in order) and sha256. Empty folders do not count.

    Raises:
        InvalidInput: the folder holds no file, or something that is neither a file nor a folder (a link, a socket).
    """
    whole = hashlib.sha256()
    for path in _files(folder):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        whole.update(f"{content} {path.relative_to(folder).as_posix()}\0".encode("utf-8", "surrogateescape"))
    return whole.hexdigest()


class Artifacts:
    """The artifacts under one folder. Any number of processes may share it."""

    def __init__(self, root: Path, objects: Objects | None = None) -> None:
        """Take the folder, and where the artifacts are if it only holds copies.

        Raises:
            StorageUnavailable: what was made here before there was an object store cannot be put there.
        """
        self._root, self._objects = root, objects
        self._staging, self._shared = root / "staging", root / "shared"
        own_folder(root)
        own_folder(self._staging)
        if objects is not None:
            own_folder(self._shared)
            for digest in self.copies():
                self._share(digest)

    def stage(self) -> Path:
        """A new empty folder to write an artifact in, on the same file system as its final place."""
        return Path(tempfile.mkdtemp(dir=self._staging))

    def commit(self, staged: Path) -> str:
        """Turn the staged folder into an artifact; its hash. The folder is gone afterwards, its files read-only and
        their owner's alone. If the same content is there already, that is the artifact.

        Raises:
            InvalidInput: as content_hash.
            StorageUnavailable: it is here, and cannot be put where others find it.
        """
        digest = self._place(staged)
        self._share(digest)
        return digest

    def _place(self, staged: Path) -> str:
        digest = content_hash(staged)
        final = self._root / digest
        for path in _files(staged):
            path.chmod(_READ_ONLY)
            _flush(path)
        for folder in [staged, *(path for path in staged.rglob("*") if path.is_dir())]:
            folder.chmod(_ONLY_OWN)
            _flush(folder)
        try:
            staged.rename(final)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            shutil.rmtree(staged)  # somebody committed the same bytes before
        _flush(self._root)  # the rename itself is only safe once the folder that lists it is on disk
        return digest

    def path(self, digest: str) -> Path:
        """The artifact's folder. Read it, never write to it.

        Raises:
            ModelUnavailable: this data directory does not hold it, nor does the object store.
            StorageUnavailable: it has to be fetched, and cannot be.
        """
        folder = self._root / digest
        if _HASH.fullmatch(digest) and not folder.is_dir() and self._objects is not None:
            self._fetch(digest, self._objects)
        with suppress(FileNotFoundError):
            os.utime(self._shared / digest)
        if not _HASH.fullmatch(digest) or not folder.is_dir():
            raise ModelUnavailable(
                f"The files of artifact {digest!r} are not in {self._root}. Restore them, or train again.",
                artifact=digest,
            )
        return folder

    def verified(self, digest: str) -> Path:
        """The artifact's folder, after comparing what is in it with its name.

        Raises:
            ModelUnavailable: it is not there, or its files are not what was committed.
            StorageUnavailable: as `path`.
        """
        try:
            return self._verified(digest)
        except ModelUnavailable:
            if self._objects is None or not (self._shared / digest).exists():
                raise
            shutil.rmtree(self._root / digest, ignore_errors=True)  # a copy, and not a good one
            return self._verified(digest)

    def _verified(self, digest: str) -> Path:
        folder = self.path(digest)
        try:
            found = content_hash(folder)
        except (InvalidInput, OSError) as error:
            raise ModelUnavailable(f"The artifact {folder} cannot be read: {error}", artifact=digest) from error
        if found != digest:
            raise ModelUnavailable(
                f"The files in {folder} are not what was trained: they were damaged or changed. Restore them from a "
                "backup, or train again.",
                artifact=digest,
            )
        return folder

    def remove(self, digest: str) -> None:
        """Remove it, here and where it is; one that is nowhere is no error.

        Raises:
            StorageUnavailable: it is gone here, and cannot be removed from where others find it.
        """
        if not _HASH.fullmatch(digest):
            return
        self.forget(digest)
        if self._objects is not None:
            self._objects.delete(list(self._objects.sizes(_KEY.format(digest))))

    def copies(self) -> list[str]:
        """What is in the folder."""
        return sorted(path.name for path in self._root.iterdir() if _HASH.fullmatch(path.name))

    def by_use(self) -> list[tuple[float, Path]]:
        """Every copy, of what is in the object store: when it was last used, seconds since 1970, and its folder."""
        marks = self._shared.iterdir() if self._objects is not None else ()
        return [(mark.stat().st_mtime, self._root / mark.name) for mark in marks]

    def forget(self, digest: str) -> None:
        """Remove what is in the folder."""
        (self._shared / digest).unlink(missing_ok=True)
        shutil.rmtree(self._root / digest, ignore_errors=True)

    def _share(self, digest: str) -> None:
        """Put it where others find it, if there is such a place and it was not put there before."""
        if self._objects is None or (self._shared / digest).exists():
            return
        folder, key = self._root / digest, _KEY.format(digest)
        self._objects.put_all((f"{key}/{path.relative_to(folder).as_posix()}", path) for path in _files(folder))
        (self._shared / digest).touch()

    def _fetch(self, digest: str, objects: Objects) -> None:
        key = f"{_KEY.format(digest)}/"
        staged = self.stage()
        try:
            wanted = [(name, size, staged / name.removeprefix(key)) for name, size in objects.sizes(key).items()]
            for _, _, target in wanted:
                target.parent.mkdir(parents=True, exist_ok=True)
            objects.fetch_all(wanted)
            if wanted and content_hash(staged) == digest:
                (self._shared / self._place(staged)).touch()
        except FileNotFoundError:
            return  # it is being removed
        finally:
            shutil.rmtree(staged, ignore_errors=True)

    def holding(self, name: str, older_than_s: float) -> set[str]:
        """The artifacts that hold a file of this name, untouched for that many seconds."""
        before = time.time() - older_than_s
        named = self._root.glob(f"*/{name}")
        return {path.parent.name for path in named if _HASH.fullmatch(path.parent.name) and _since(path) < before}

    def sweep(self, older_than_s: float) -> int:
        """Remove staged folders that nobody committed, untouched for that many seconds; how many."""
        strays = [path for path in self._staging.iterdir() if path.stat().st_mtime < time.time() - older_than_s]
        for stray in strays:
            shutil.rmtree(stray)
        return len(strays)


def _since(path: Path) -> float:
    """When the file was last written to; never, if it is gone."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")


def _files(folder: Path) -> list[Path]:
    paths = sorted(folder.rglob("*"), key=lambda path: path.relative_to(folder).as_posix())
    for path in paths:
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise InvalidInput(f"An artifact holds files and folders only, not {path.name!r}.")
    files = [path for path in paths if path.is_file()]
    if not files:
        raise InvalidInput("An artifact must hold at least one file.")
    return files


def _flush(path: Path) -> None:
    """Wait until the file's bytes, or the folder's list of names, are on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
