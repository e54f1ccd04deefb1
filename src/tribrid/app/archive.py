"""The file of a backup: a zip with a checksum for each entry in `manifest.json`, written and read as a stream. Its last
bytes, the end of the zip's comment, are the checksum of all before them: no byte can be another, or too many.

It is written aside and renamed when it is whole. Nothing in it is believed: what its manifest does not name, what has
another checksum, and a name that leads out of a folder are refused, and named.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from pydantic import ValidationError

from tribrid.answers.backup import BackupManifest, Entry
from tribrid.corpus.packed import DAMAGED_ZIP
from tribrid.errors import Conflict, InvalidInput, Unavailable

MANIFEST = "manifest.json"
CHUNK_BYTES = 2**20
FORMAT = 2
"""1 had no checksum of the whole file."""
_ONLY_OWN = 0o600
_FASTEST = 1
_SEAL_BYTES = 64
"""Of a sha256, in hex."""


class ArchiveWriter:
    """Writes one; `entries` are what is in it so far."""

    def __init__(self, file: zipfile.ZipFile) -> None:
        self._zip = file
        self.entries: dict[str, Entry] = {}

    def put(self, name: str, chunks: Iterable[bytes], *, compress: bool = False) -> None:
        """Add an entry."""
        digest, size = hashlib.sha256(), 0
        self._zip.compression = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
        with self._zip.open(name, "w", force_zip64=True) as entry:
            for chunk in chunks:
                entry.write(chunk)
                digest.update(chunk)
                size += len(chunk)
        self.entries[name] = Entry(sha256=digest.hexdigest(), bytes=size)

    def put_file(self, name: str, path: Path) -> None:
        """Add a file as it is."""
        with path.open("rb") as stream:
            self.put(name, iter(lambda: stream.read(CHUNK_BYTES), b""))

    def finish(self, manifest: BackupManifest) -> None:
        """Add what the archive says of itself, at last."""
        told = manifest.model_copy(update={"format": FORMAT})
        self._zip.writestr(MANIFEST, told.model_dump_json(indent=1), zipfile.ZIP_DEFLATED)


@contextmanager
def new_archive(path: Path) -> Iterator[ArchiveWriter]:
    """A new archive at the path, the owner's alone; there is none if the block raises.

    Raises:
        Conflict: there is a file already.
    """
    if path.exists():
        raise Conflict(f"{path} is there already. Choose another name.", path=str(path))
    staged = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(os.open(staged, os.O_RDWR | os.O_CREAT | os.O_TRUNC, _ONLY_OWN), "w+b") as stream:
            with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=_FASTEST) as file:
                yield ArchiveWriter(file)
                file.comment = b"sha256 of all before it: " + b"0" * _SEAL_BYTES
            seal = _digest(stream, stream.seek(-_SEAL_BYTES, os.SEEK_END))
            stream.seek(-_SEAL_BYTES, os.SEEK_END)
            stream.write(seal)
            stream.flush()
            os.fsync(stream.fileno())
        os.link(staged, path)  # unlike a rename it leaves alone what was put there meanwhile
    finally:
        with suppress(FileNotFoundError):
            staged.unlink()


def _digest(stream: IO[bytes], length: int) -> bytes:
    """Of so many bytes from the start of a file."""
    digest = hashlib.sha256()
    stream.seek(0)
    while chunk := stream.read(min(CHUNK_BYTES, length)):
        digest.update(chunk)
        length -= len(chunk)
    return digest.hexdigest().encode()


class Archive:
    """One that is there."""

    def __init__(self, path: Path) -> None:
        """Open it and read its manifest.

        Raises:
            InvalidInput: there is no such file, or it is no backup, or not a whole one.
            Unavailable: a newer Tribrid wrote it.
        """
        if not path.is_file():
            raise InvalidInput(f"There is no file {path}.", path=str(path))
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
            self.manifest = BackupManifest.model_validate_json(self._zip.read(MANIFEST))
        except (*DAMAGED_ZIP, ValidationError) as error:
            raise InvalidInput(
                f"{path} is not a whole backup: it was cut short, or is another kind of file.", path=str(path)
            ) from error
        if self.manifest.format > FORMAT:
            raise Unavailable(f"A newer Tribrid ({self.manifest.version}) made {path}. Install that version.")

    def close(self) -> None:
        self._zip.close()

    def chunks(self, name: str) -> Iterator[bytes]:
        """An entry's bytes; raises at their end if they are not what was put in.

        Raises:
            InvalidInput: it is not there, or is damaged.
        """
        expected = self.manifest.entries.get(name)
        digest, size = hashlib.sha256(), 0
        try:
            with self._zip.open(name) as entry:
                while chunk := entry.read(CHUNK_BYTES):
                    digest.update(chunk)
                    size += len(chunk)
                    yield chunk
        except DAMAGED_ZIP as error:
            raise self._damaged(name) from error
        if expected is None or (digest.hexdigest(), size) != (expected.sha256, expected.bytes):
            raise self._damaged(name)

    def lines(self, name: str) -> Iterator[bytes]:
        """An entry's lines. Raises as `chunks`."""
        rest = b""
        for chunk in self.chunks(name):
            *whole, rest = (rest + chunk).split(b"\n")
            yield from whole
        if rest:
            yield rest

    def verify(self) -> None:
        """Read all of it.

        Raises:
            InvalidInput: an entry is damaged, is missing or does not belong there, and is named; or anything else in
                the file is not as it was written.
        """
        for name in [name for name in self._zip.namelist() if name != MANIFEST]:
            if name not in self.manifest.entries:
                raise self._damaged(name)
        for name in self.manifest.entries:
            for _ in self.chunks(name):
                pass
        if self.manifest.format > 1 and not self._is_sealed():
            raise InvalidInput(
                f"{self.path} is damaged: it was cut short, or bytes before, behind or between what was backed up are "
                "not as written. Restore another backup.",
                path=str(self.path),
            )

    def _is_sealed(self) -> bool:
        with self.path.open("rb") as stream:
            length = stream.seek(-_SEAL_BYTES, os.SEEK_END)
            seal = stream.read()
            return _digest(stream, length) == seal

    def extract(self, prefix: str, folder: Path) -> None:
        """Write the entries whose name begins so, and that without it, to their places below the folder.

        Raises:
            InvalidInput: a name leads elsewhere. And as `chunks`.
        """
        for name in [name for name in self.manifest.entries if name.startswith(prefix)]:
            parts = name.removeprefix(prefix).split("/")
            if any(part in ("", ".", "..") or "\\" in part or "\0" in part for part in parts):
                raise self._damaged(name)
            path = folder.joinpath(*parts)
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as stream:
                for chunk in self.chunks(name):
                    stream.write(chunk)

    def _damaged(self, name: str) -> InvalidInput:
        return InvalidInput(
            f"{self.path} is damaged: {name} is not what was backed up. Restore another backup.",
            path=str(self.path),
            entry=name,
        )
