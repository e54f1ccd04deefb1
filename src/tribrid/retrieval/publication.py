"""Which state of the index readers see: one small file, replaced as a whole, and a lock for the one writer.

A sync writes for minutes; readers stay on the last finished state until the new one is published. A writer that
is killed publishes nothing: readers notice nothing, and the lock falls with its process.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tribrid.errors import StaleIndex

_FILE = "published.json"
_LOCK = "writer.lock"
_FILLING = "filling.lock"


@dataclass(frozen=True, slots=True)
class Publication:
    """A finished state.

    Attributes:
        table: name of the LanceDB table.
        version: the table's version.
        fingerprint: what the passages and vectors were made with (settings, model).
        passages: how many there are; None where an older version published.
    """

    table: str
    version: int
    fingerprint: str
    passages: int | None = None


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
        raise StaleIndex(f"{_FILE} in {folder} is damaged. Delete that folder and index again.") from error


def write_publication(folder: Path, publication: Publication) -> None:
    """Replace the published state; after a power cut it is the old one or the new one."""
    staged = folder / f"{_FILE}.{os.getpid()}"
    with staged.open("w") as file:
        json.dump(asdict(publication), file)
        file.flush()
        os.fsync(file.fileno())
    staged.replace(folder / _FILE)
    directory = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def in_hand(folder: Path) -> bool:
    """Whether somebody brings documents in, or writes, now."""
    return any(_held(folder / name) for name in (_FILLING, _LOCK))


def was_begun(folder: Path) -> bool:
    """Whether documents were ever brought in here."""
    return (folder / _FILLING).exists()


def _held(path: Path) -> bool:
    try:
        with path.open("r") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


@contextmanager
def filling(folder: Path) -> Iterator[None]:
    """Say that documents are being brought in, which several may do at once. What is begun and in nobody's hand without
    a publication was interrupted.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _FILLING).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


@contextmanager
def writer_lock(folder: Path) -> Iterator[None]:
    """Hold the index for writing; waits while another thread or process holds it. A kill -9 releases it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
