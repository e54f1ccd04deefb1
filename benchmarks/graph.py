"""Does the graph leg find what simply taking more candidates does not, and does the trained order keep it?

    python benchmarks/graph.py demo --train
    python benchmarks/graph.py ../shared/data/wikiqa --train

First untrained: recall of the candidates with so many of them from the graph, against as many fused ones; paired
bootstrap over the queries, and what the leg adds to a search in milliseconds. Then, with --train, nDCG@10 of the model
that is trained and measured with the leg, against the one without.

The demo's edges are calls, and parts of one class or file. WikiQA's are the sentences of one page: which stand on one
says each question's list of candidates, all of which are of one page, the answers and all others.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tribrid.app import Tribrid
from tribrid.demo.collection import collect
from tribrid.evaluation.comparison import compare
from tribrid.evaluation.measures import evaluable
from tribrid.types import JudgedQuery
from tribrid.workspace.corpus import open_corpus
from workbench import SEEDS, indexed, judged, train_and_evaluate

CANDIDATES = 50
FROM_GRAPH = (0, 5, 10, 20)
CHOSEN = 10
RESAMPLES, SEED = 10_000, 13


class Collection(NamedTuple):
    """Documents as records, and queries to learn from and to measure on."""

    records: Sequence[Mapping[str, object]]
    training: Sequence[JudgedQuery]
    evaluation: Sequence[JudgedQuery]


def demo() -> Collection:
    """What `tribrid demo` searches."""
    found = collect()
    records = [{"_id": d.doc_id, "title": d.title, "text": d.text} for d in found.documents]
    return Collection(records, found.training, found.evaluation)


def with_pages(folder: Path) -> Collection:
    """A collection whose lists of candidates are pages."""
    page_of: dict[str, str] = {}
    for path in sorted(folder.glob("candidates*.tsv")):
        with path.open(encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream, delimiter="\t"):
                page_of.setdefault(row["corpus-id"], row["query-id"])
    lines = (folder / "corpus.jsonl").read_text("utf-8").splitlines()
    records = [json.loads(line) for line in lines if line]
    for record in records:
        if record["_id"] in page_of:
            record["metadata"] = {"parent_id": page_of[record["_id"]]}
    return Collection(records, judged(folder, "qrels_train.tsv"), judged(folder, "qrels.tsv"))


@contextmanager
def library(name: str, collection: Collection, cache: Path | None) -> Iterator[Tribrid]:
    """A library whose one corpus is the collection, with its judgments."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / name
        folder.mkdir()
        lines = "".join(json.dumps(record) + "\n" for record in collection.records)
        (folder / "corpus.jsonl").write_text(lines, "utf-8")
        with indexed(folder, cache) as tribrid:
            tribrid.corpus(name).judgments.put(collection.training)
            tribrid.corpus(name).eval_dataset.put(collection.evaluation)
            yield tribrid


def recalls(tribrid: Tribrid, name: str, queries: Sequence[JudgedQuery]) -> tuple[dict[str, float], list[float]]:
    """Of each query the recall of its candidates, and what a search took in milliseconds."""
    retriever = open_corpus(tribrid.folder, name).retriever
    found, times = {}, []
    for query in queries:
        relevant = {doc_id for doc_id, grade in query.judgments.items() if grade >= 1}
        started = time.perf_counter()
        candidates = retriever.search(query.text, CANDIDATES).candidates
        times.append((time.perf_counter() - started) * 1000)
        found[query.query_id] = len(relevant & {c.doc_id for c in candidates}) / len(relevant)
    return found, times


def untrained(tribrid: Tribrid, name: str, queries: Sequence[JudgedQuery]) -> None:
    """The table of recall."""
    print("| from the graph | recall of 50 | change against 50 fused, 95 % interval | search, ms |\n|---|---|---|---|")
    control: dict[str, float] = {}
    for most in FROM_GRAPH:
        tribrid.corpus(name).patch_settings({"retrieval": {"graph_candidates": most}})
        recalls(tribrid, name, queries[:20])  # what is loaded at the first search
        found, times = recalls(tribrid, name, queries)
        control = control or found
        delta = compare(control, found, resamples=RESAMPLES, confidence=0.95, seed=SEED)
        change = f"{delta.mean:+.4f} [{delta.ci95[0]:+.4f}, {delta.ci95[1]:+.4f}]" if most else ""
        print(
            f"| {most} | {statistics.mean(found.values()):.4f} | {change} | {statistics.median(times):.2f} |",
            flush=True,
        )


def trained(tribrid: Tribrid, name: str, seeds: Sequence[int]) -> None:
    """The table of nDCG@10 after training."""
    print(
        "\n| from the graph | recall of 50 | nDCG@10 fused | nDCG@10 trained, by seed | mean |\n|---|---|---|---|---|"
    )
    for most in (0, CHOSEN):
        tribrid.corpus(name).patch_settings({"retrieval": {"graph_candidates": most}})
        tribrid.corpus(name).mine(max_pairs=500)
        reports = train_and_evaluate(tribrid, name, seeds, ())
        after = [report.after["ndcg@10"] for report in reports]
        shown = ", ".join(f"{value:.4f}" for value in after)
        first = reports[0]
        print(
            f"| {most} | {first.candidates.recall_ceiling:.4f} | {first.before['ndcg@10']:.4f} | {shown} "
            f"| {statistics.mean(after):.4f} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("collection", help="demo, or a folder in BEIR's form with lists of candidates")
    parser.add_argument("--cache", type=Path, default=None, help="keep the index here, and use it again")
    parser.add_argument("--train", action="store_true")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    args = parser.parse_args()
    folder = Path(args.collection)
    name, collection = ("demo", demo()) if args.collection == "demo" else (folder.name, with_pages(folder))
    with library(name, collection, args.cache) as tribrid:
        print(f"## {name}: {len(collection.records):,} documents\n")
        print("Training queries, on which the numbers of the leg were chosen:\n")
        untrained(tribrid, name, evaluable(collection.training))
        print("\nEval queries:\n")
        untrained(tribrid, name, evaluable(collection.evaluation))
        if args.train:
            trained(tribrid, name, args.seeds)


if __name__ == "__main__":
    main()
