"""Work to be done in shards, and what an index holds as one hash. Processes import this by name."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from tribrid.errors import NoDocuments
from tribrid.retrieval.index import Index


@dataclass(frozen=True)
class Square:
    """Numbers, squared. Notes in a folder who did which, and may be told to fail or to die."""

    notes: Path
    dies_at: int | None = None
    always: bool = False
    refuses: int | None = None
    breaks: int | None = None
    seconds: float = 0.0

    def __call__(self, number: int) -> int:
        (self.notes / f"{number}-{os.getpid()}-{time.monotonic_ns()}").touch()
        if number == self.refuses:
            raise NoDocuments(f"There is no {number}.", number=number)
        if number == self.breaks:
            raise ZeroDivisionError("by a number")
        first = len(list(self.notes.glob(f"{number}-*"))) == 1
        if number == self.dies_at and (first or self.always):
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(self.seconds)
        return number * number

    def begun(self) -> list[int]:
        """The numbers that somebody began with, one for each time."""
        return sorted(int(note.name.split("-")[0]) for note in self.notes.iterdir())

    def who(self) -> set[str]:
        """The processes."""
        return {note.name.split("-")[1] for note in self.notes.iterdir()}


def index_sha256(index: Index) -> str:
    """Of all that is searched and read: passages, vectors, tokens, and the documents' hashes."""
    digest = hashlib.sha256(repr((index.fingerprint, sorted(index.doc_hashes().items()))).encode())
    for doc_id, passages in sorted(index.passages_of(sorted(index.doc_hashes())).items()):
        digest.update(repr((doc_id, passages)).encode())
        packed = index.packed([passage.key for passage in passages])
        for passage in passages:
            tokens, vector = packed[passage.key]
            digest.update(tokens)
            digest.update(vector.tobytes())
    return digest.hexdigest()
