"""Which state of the index readers see: one small file, replaced as a whole, and a lock for the one writer.

A sync writes for minutes; readers stay on the last finished state until the new one is published. A writer that
is killed publishes nothing: readers notice nothing, and the lock falls with its process.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from tribrid.errors import StaleIndex
from tribrid.private import opener, own_contents, own_folder

_FILE = "published.json"
WRITING = "writer.lock"
REBUILD = "Make it anew: `tribrid index CORPUS --rebuild`, or POST /corpora/{corpus_id}/index."


@dataclass(frozen=True, slots=True)
class Publication:
    """A finished state.

    Attributes:
        table: name of the Lance table.
        version: the table's version.
        fingerprint: what the passages and vectors were made with (settings, model).
        passages: how many there are; None where an older version published.
        space: name of the file that holds what is counted over them (see `spaces.py`); None where there is none.
        space_changed: documents that are new, changed or gone since that was made.
        state: its name among all machines (see `mirror.py`); empty where the index is this folder's own.
    """

    table: str
    version: int
    fingerprint: str
    passages: int | None = None
    space: str | None = None
    space_changed: int = 0
    state: str = ""


def read_publication(folder: Path) -> Publication | None:
    """The published state, or None when nothing was published yet. Costs a read of about 200 bytes.

    Raises:
        StaleIndex: the file is there and is not a publication.
    """
    try:
        return Publication(**json.loads((folder / _FILE).read_bytes()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise StaleIndex(f"{_FILE} in {folder} is damaged. {REBUILD}") from error


def write_publication(folder: Path, publication: Publication) -> None:
    """Replace the published state, its files closed to others; after a power cut it is the old one or the new one."""
    staged = folder / f"{_FILE}.{os.getpid()}"
    own_contents(folder)
    with open(staged, "w", opener=opener) as file:
        json.dump(asdict(publication), file)
        file.flush()
        os.fsync(file.fileno())
    staged.replace(folder / _FILE)
    directory = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


@contextmanager
def writer_lock(folder: Path, name: str = WRITING) -> Iterator[None]:
    """Hold the index for writing; waits while another thread or process holds it. A kill -9 releases it."""
    own_folder(folder)
    with open(folder / name, "w", opener=opener) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def being_written(folder: Path) -> bool:
    """Whether somebody holds the index for writing now."""
    try:
        with (folder / WRITING).open("r") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def forget_publication(folder: Path) -> None:
    """Publish nothing: for who makes it anew and holds the lock."""
    (folder / _FILE).unlink(missing_ok=True)


def touch_publication(folder: Path, at: float | None) -> None:
    """Note when it was used last: seconds since 1970; None: now."""
    with suppress(FileNotFoundError):
        os.utime(folder / _FILE, None if at is None else (at, at))


def used_at(folder: Path) -> float | None:
    """When it was last used, seconds since 1970; None where nothing is published."""
    try:
        return (folder / _FILE).stat().st_mtime
    except FileNotFoundError:
        return None
