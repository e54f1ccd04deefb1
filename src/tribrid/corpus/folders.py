"""What a folder lists of what is wanted. What cannot be listed, or lists nothing, is told: neither says that the files
there are gone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tribrid.corpus.choosing import ALL, Choice, Chooser
from tribrid.corpus.jsonlines import Skipped

WHOLE = "."
"""What the folder itself is called, among the names below it."""


@dataclass(frozen=True, slots=True)
class Unlisted(Skipped):
    """A folder below which nothing was looked at; `source` is the address of the folder that was asked for."""


@dataclass(frozen=True, slots=True)
class LeftOut(Skipped):
    """A file or folder that is not wanted: if a document was made of it before, that one is gone."""


@dataclass(frozen=True, slots=True)
class Wordless(Skipped):
    """A file that was read and has no text: if a document was made of it before, that one is gone."""


@dataclass(frozen=True, slots=True)
class Emptied(Unlisted):
    """A folder that lists nothing: all of it was deleted, or its disk is not mounted."""


def address(folder: Path) -> str:
    """The beginning of the uri of every file of a folder."""
    return f"{folder.resolve().as_uri().rstrip('/')}/"


def walk(root: Path, choice: Choice = ALL) -> Iterator[Path | Skipped]:
    """Files and links below a folder by path, without hidden ones; linked folders are listed, not entered.

    Raises:
        InvalidInput: a pattern of the choice is none.
    """
    return _walk(root, Chooser(root, choice))


def _walk(root: Path, chooser: Chooser) -> Iterator[Path | Skipped]:
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
        below: list[Path] = []
        for entry in found:
            path, is_folder = Path(entry.path), _is_folder(entry)
            why = chooser.left_out(path, is_folder)
            if why is not None:
                yield _told(LeftOut, root, path, why)
            elif is_folder:
                below.append(path)
            else:
                yield path
        waiting += reversed(below)


def _listed(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        found = [entry for entry in entries if not entry.name.startswith(".") and entry.name != "__pycache__"]
    return sorted(found, key=lambda entry: entry.name)


def count(path: Path, choice: Choice = ALL) -> int:
    """How much `walk` finds in a folder, without what is left out; a file is one."""
    return sum(not isinstance(found, LeftOut) for found in walk(path, choice)) if path.is_dir() else 1


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False  # it is read as a file, and that says why it cannot be


def _told(kind: type[Unlisted | LeftOut], root: Path, folder: Path, reason: str) -> Skipped:
    name, why = (
        text.encode("utf-8", "backslashreplace").decode() for text in (folder.relative_to(root).as_posix(), reason)
    )
    return kind(0, why, doc_id=name, source=address(root))
