"""Does indexing grow linearly, and does it fit? Short documents, 10,000 to 100,000 of them, in one process.

    python benchmarks/indexing.py 10000 30000 100000

Documents are sentences of Python's own reference with a number in each, about 25 words. Memory is the process's peak.
"""

from __future__ import annotations

import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pydoc_data.topics import topics

from tribrid.app import Tribrid
from tribrid.types import Document


def documents(count: int) -> Iterator[Document]:
    words = " ".join(topics.values()).split()
    rng = random.Random(7)
    for number in range(count):
        start = rng.randrange(len(words) - 30)
        yield Document(f"d{number}", f"{number} " + " ".join(words[start : start + rng.randint(15, 30)]))


def main() -> None:
    print("| documents | seconds | documents/s | again, unchanged, s | peak memory, MiB |\n|---|---|---|---|---|")
    for size in map(int, sys.argv[1:]):
        with tempfile.TemporaryDirectory() as data_dir, Tribrid(data_dir) as tribrid:
            tribrid.warm()
            tribrid.create_corpus("short")
            started = time.monotonic()
            tribrid.corpus("short").documents.add(documents(size))
            took = time.monotonic() - started
            started = time.monotonic()
            again = tribrid.corpus("short").documents.add(documents(size))
            unchanged = time.monotonic() - started
            if again.embedded:
                raise SystemExit(f"{again.embedded} unchanged documents were embedded again")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"| {size} | {took:.1f} | {size / took:.0f} | {unchanged:.1f} | {peak:.0f} |", flush=True)


if __name__ == "__main__":
    main()
