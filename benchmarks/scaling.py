"""How the first stage grows with the number of passages: making the index, its disk, one search. No encoder is read.

    python benchmarks/scaling.py 10000 100000 1000000

Passages are 25 words of a vocabulary as uneven as a language's, with token vectors as large as theirs would be; vectors
are invented and lie about centres, as an encoder's do. A process for each size: rows are added as an indexing adds
them, the index is published, then one passage more, and queries of four words take both legs and read the 50 best.
What is timed is all of an index that does not depend on what the texts mean.
"""

from __future__ import annotations

import multiprocessing
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tribrid.config import Config
from tribrid.retrieval.index import Index
from tribrid.retrieval.search import Retriever
from tribrid.types import Passage

DIM, CENTRES, WORDS, TOKENS = 384, 200, 50_000, 32
TOKEN_BYTES = 70
QUERIES, WARM, AT_ONCE, CANDIDATES = 60, 10, 2_000, 50
Array = np.ndarray[Any, np.dtype[Any]]


class Invented:
    """Texts and vectors, the same for a number whenever it is asked for; also what embeds the queries."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self._centres = rng.normal(size=(CENTRES, DIM)).astype(np.float32)

    def texts(self, first: int, count: int, words: int) -> list[str]:
        ranks = np.random.default_rng(first).zipf(1.1, (count, words)) % WORDS
        return [" ".join(f"w{rank}" for rank in row) for row in ranks]

    def vectors(self, first: int, count: int) -> Array:
        rng = np.random.default_rng(first)
        found = self._centres[rng.integers(0, CENTRES, count)] + rng.normal(size=(count, DIM)).astype(np.float32)
        units: Array = found / np.linalg.norm(found, axis=1, keepdims=True)
        return units

    def embed_query(self, text: str) -> Array:
        """A vector for a text."""
        found: Array = self.vectors(sum(text.encode()), 1)[0]
        return found

    def add(self, writer: Any, first: int, count: int) -> None:
        """Add passages to an index."""
        texts = self.texts(first, count, 25)
        writer.add(
            [Passage(f"d{first + at}", 0, 0, len(text), "", text) for at, text in enumerate(texts)],
            lexical=texts,
            vectors=self.vectors(first, count),
            content_shas=[f"{first + at}" for at in range(count)],
            tokens=[np.random.default_rng(first + at).bytes(TOKENS * TOKEN_BYTES) for at in range(count)],
        )


@contextmanager
def timed(into: dict[str, float], what: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    into[what] = time.perf_counter() - started


def measure(passages: int) -> dict[str, float]:
    """Of an index of so many passages, in this process."""
    found: dict[str, float] = {}
    invented = Invented()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "index"
        index = Index.open(folder)
        with index.writer("invented", DIM) as writer, timed(found, "make"):
            for first in range(0, passages, AT_ONCE):
                invented.add(writer, first, min(AT_ONCE, passages - first))
            writer.publish()
        with index.writer("invented", DIM) as writer, timed(found, "publish one more"):
            invented.add(writer, passages, 1)
            writer.publish()
        found["bytes"] = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / passages
        retriever = Retriever(index, invented, Config().retrieval)
        took: list[float] = []
        for query in invented.texts(passages + 1, QUERIES + WARM, 4):
            started = time.perf_counter()
            retriever.retrieve(query, CANDIDATES)
            took.append((time.perf_counter() - started) * 1000)
        found["p50"], found["p95"] = statistics.median(took[WARM:]), statistics.quantiles(took[WARM:], n=20)[-1]
    found["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return found


def main() -> None:
    print("| passages | made, s | one more, s | bytes a passage | search p50, ms | p95, ms | peak memory, MiB |")
    print("|---|---|---|---|---|---|---|")
    spawned = multiprocessing.get_context("spawn")
    for size in map(int, sys.argv[1:]):
        with spawned.Pool(1) as pool:
            found = pool.apply(measure, (size,))
        print(
            f"| {size:,} | {found['make']:.1f} | {found['publish one more']:.1f} | {found['bytes']:,.0f} "
            f"| {found['p50']:.1f} | {found['p95']:.1f} | {found['peak']:,.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
