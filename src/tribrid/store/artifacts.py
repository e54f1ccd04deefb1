"""Artifacts: immutable folders of files, each named by the hash of what is in it. Rows hold state, files hold bytes.

A folder is written aside, flushed to disk, then renamed: whoever dies in between leaves a stray in `staging`, never
half an artifact. The hash makes committing twice harmless.
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

_HASH = re.compile(r"[0-9a-f]{64}")
_READ_ONLY, _ONLY_OWN = 0o400, 0o700


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

    def __init__(self, root: Path) -> None:
        self._root = root
        self._staging = root / "staging"
        own_folder(root)
        own_folder(self._staging)

    def stage(self) -> Path:
        """A new empty folder to write an artifact in, on the same file system as its final place."""
        return Path(tempfile.mkdtemp(dir=self._staging))

    def commit(self, staged: Path) -> str:
        """Turn the staged folder into an artifact; its hash. The folder is gone afterwards, its files read-only and
        their owner's alone. If the same content is there already, that is the artifact.

        Raises:
            InvalidInput: as content_hash.
        """
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
            ModelUnavailable: this data directory does not hold it.
        """
        folder = self._root / digest
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
        """
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
        """Remove an artifact, if it is there."""
        with suppress(ModelUnavailable):
            shutil.rmtree(self.path(digest))

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
