"""What the files of a published index must hold: noted when it is published, compared when it is read.

Lance never changes a data file, and checks none: bytes that are no longer what was written are read as they are. A
file's size and time tell most damage at the price of a look at it; one whose time is another is read whole, once.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from tribrid.private import opener

_FILE = "checksums.json"
_CHUNK_BYTES = 1 << 20
# What Lance writes over, and what it reads only when two write at once.
_CHANGING = ("latest_version_hint.json", ".txn")

Noted = tuple[int, int, str]
"""Size in bytes, time of the last change in nanoseconds, BLAKE2b of the content."""


@dataclass(frozen=True, slots=True)
class Checksums:
    """The files of one version of a table, by their path from the index's folder."""

    table: str
    version: int
    files: dict[str, Noted]


def note_checksums(folder: Path, table: str, version: int, space: str | None) -> None:
    """Note the files as they are now. What was noted before stays: a file that has changed since is damaged.

    Args:
        space: name of the file beside the table, if there is one.
    """
    before = read_checksums(folder)
    known = before.files if before else {}
    files = {name: known.get(name) or noted(folder / name) for name in _files(folder, table, space)}
    write_checksums(folder, Checksums(table, version, files))


def write_checksums(folder: Path, checksums: Checksums) -> None:
    """Note this of the files, whatever was noted before."""
    staged = folder / f"{_FILE}.{os.getpid()}"
    with open(staged, "w", opener=opener) as file:
        json.dump(asdict(checksums), file)
    staged.replace(folder / _FILE)


def forget_checksums(folder: Path) -> None:
    """Know nothing of the files: each is read before it is believed."""
    (folder / _FILE).unlink(missing_ok=True)


def read_checksums(folder: Path) -> Checksums | None:
    """What was noted last; None for nothing that can be read: then nothing is known of the files."""
    try:
        found = json.loads((folder / _FILE).read_bytes())
        files = {str(name): (int(size), int(at), str(digest)) for name, (size, at, digest) in found["files"].items()}
        return Checksums(str(found["table"]), int(found["version"]), files)
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None


class Inspector:
    """Compares files with what was noted of them, and remembers which it has read. Safe for threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, tuple[int, int]] = {}

    def damage(self, noted: Checksums, *, whole: bool = False) -> str | None:
        """What is wrong with the first file that is not as it was; None if all are.

        Args:
            whole: read every file, also those that look untouched.
        """
        return next((fault for name, file in noted.files.items() if (fault := self._fault(name, file, whole))), None)

    def _fault(self, name: str, noted: Noted, whole: bool) -> str | None:
        size, at_ns, digest = noted
        try:
            found = (self._folder / name).stat()
            if found.st_size != size:
                return f"the file {name} has {found.st_size:,} bytes instead of {size:,}"
            looks = (found.st_size, found.st_mtime_ns)
            if not whole and (looks == (size, at_ns) or self._read.get(name) == looks):
                return None
            if _digest(self._folder / name) != digest:
                return f"the file {name} was changed"
            self._read[name] = looks
        except OSError as error:
            return f"the file {name} cannot be read ({error.strerror})"
        return None


def _files(folder: Path, table: str, space: str | None) -> Iterator[str]:
    for path in sorted((folder / f"{table}.lance").rglob("*")):
        if path.is_file() and not path.name.endswith(_CHANGING):
            yield str(path.relative_to(folder))
    if space is not None:
        yield space


def noted(path: Path, before: Noted | None = None) -> Noted:
    """What there is to note of a file.

    Args:
        before: what was noted of it; one that looks the same is not read again.
    """
    found = path.stat()
    if before is not None and (found.st_size, found.st_mtime_ns) == before[:2]:
        return before
    return found.st_size, found.st_mtime_ns, _digest(path)


def _digest(path: Path) -> str:
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
