"""What a folder lists. What cannot be listed, or lists nothing, is told: neither says that the files there are gone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tribrid.corpus.jsonlines import Skipped

WHOLE = "."
"""What the folder itself is called, among the names below it."""


@dataclass(frozen=True, slots=True)
class Unlisted(Skipped):
    """A folder below which nothing was looked at; `source` is the address of the folder that was asked for."""


@dataclass(frozen=True, slots=True)
class Emptied(Unlisted):
    """A folder that lists nothing: all of it was deleted, or its disk is not mounted."""


def address(folder: Path) -> str:
    """The beginning of the uri of every file of a folder."""
    return f"{folder.resolve().as_uri().rstrip('/')}/"


def walk(root: Path) -> Iterator[Path | Skipped]:
    """Files and links below a folder by path, without hidden ones; linked folders are listed, not entered."""
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        try:
            found = _listed(folder)
        except OSError as error:
            yield _told(Unlisted, root, folder, f"the folder cannot be listed: {error.strerror or error}")
            continue
        if not found:
            yield _told(Emptied, root, folder, f"the folder {str(folder)!r} lists no files")
        below = list(filter(_is_folder, found))
        yield from (Path(entry.path) for entry in found if entry not in below)
        waiting += [Path(entry.path) for entry in reversed(below)]


def _listed(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        found = [entry for entry in entries if not entry.name.startswith(".") and entry.name != "__pycache__"]
    return sorted(found, key=lambda entry: entry.name)


def count(path: Path) -> int:
    """How much `walk` finds in a folder; a file is one."""
    return sum(1 for _ in walk(path)) if path.is_dir() else 1


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False  # it is read as a file, and that says why it cannot be


def _told(kind: type[Unlisted], root: Path, folder: Path, reason: str) -> Skipped:
    name, why = (
        text.encode("utf-8", "backslashreplace").decode() for text in (folder.relative_to(root).as_posix(), reason)
    )
    return kind(0, why, doc_id=name, source=address(root))
