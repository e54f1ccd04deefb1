"""Do two workers index twice as fast as one? Workers of one thread each, on as many cores as there are workers.

    python benchmarks/shards.py ../shared/data/medline --documents 1033 --workers 1 2 --rounds 3

One worker is the process that was asked, with one thread; more are processes beside it (compute.processes). The time is
that of the whole indexing, with what starting them takes. The number of passages that are embedded together is the same
for all, and so is the index.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import os
import resource
import statistics
import tempfile
from pathlib import Path

import numpy as np

from tribrid.app import Tribrid
from tribrid.corpus.records import parse_records
from tribrid.retrieval.index import Index
from tribrid.types import Document


def documents(folder: Path, count: int) -> list[Document]:
    with (folder / "corpus.jsonl").open("rb") as stream:
        found = parse_records(stream, max_document_chars=2_000_000)
        return list(itertools.islice((one for one in found if isinstance(one, Document)), count))


def sha256(index: Index) -> str:
    """Of all vectors and tokens."""
    digest, hashes = hashlib.sha256(), index.doc_hashes()
    for _, passages in sorted(index.passages_of(sorted(hashes)).items()):
        packed = index.packed([passage.key for passage in passages])
        for passage in passages:
            tokens, vector = packed[passage.key]
            digest.update(tokens + vector.tobytes())
    return digest.hexdigest()[:12]


def processor_s() -> np.ndarray:
    """Of this process, and of those that it started and that ended: float64 (2,)."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return np.array([one.ru_utime + one.ru_stime for one in used])


def run(workers: int, found: list[Document], models: Path) -> tuple[float, np.ndarray, int, str]:
    """Seconds, seconds of processors (here, and of workers), passages, and the index's hash."""
    os.environ["TRIBRID_MODELS_DIR"] = str(models)
    os.environ["TRIBRID_SERVING__THREADS"] = "1"
    os.environ["TRIBRID_COMPUTE__PROCESSES"] = str(workers)
    with tempfile.TemporaryDirectory() as place, Tribrid(place) as tribrid:
        tribrid.warm()
        tribrid.create_corpus("c")
        before = processor_s()
        report = tribrid.corpus("c").documents.add(found)
        return report.took_s, processor_s() - before, report.passages, sha256(tribrid.folder.index("c"))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--documents", type=int, default=1000)
    arguments.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    arguments.add_argument("--rounds", type=int, default=3, help="each number of workers in turn, so many times")
    args = arguments.parse_args()
    found, took = documents(args.folder, args.documents), dict[int, list[float]]()
    hashes = set[str]()
    print("| workers | seconds | passages/s | processor seconds here | of workers | index |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as models:
        for workers in args.workers * args.rounds:
            seconds, (here, theirs), passages, index = run(workers, found, Path(models))
            took.setdefault(workers, []).append(seconds)
            hashes.add(index)
            used = f"{here:.1f} | {theirs:.1f}"
            print(f"| {workers} | {seconds:.1f} | {passages / seconds:.1f} | {used} | {index} |", flush=True)
    first = statistics.median(took[args.workers[0]])
    for workers, seconds in took.items():
        print(f"{workers}: median {statistics.median(seconds):.1f} s, {first / statistics.median(seconds):.2f} times")
    if len(hashes) > 1:
        raise SystemExit("The indexes differ.")


if __name__ == "__main__":
    main()
