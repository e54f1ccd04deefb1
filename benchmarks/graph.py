"""Does the graph leg find what simply taking more candidates does not, and does the trained order keep it?

    python benchmarks/graph.py demo --train
    python benchmarks/graph.py ../shared/data/wikiqa --train           # pages
    python benchmarks/graph.py ../shared/data/bestbuy-xbox             # a log of clicks
    python benchmarks/graph.py ../shared/data/nfcorpus                 # judgments

Recall of the candidates with so many of them from the graph, against as many fused ones; paired bootstrap over the
queries, and what the leg adds to a search. With --train instead nDCG@10 of the model that is trained and measured with
the leg, and of the one without.

The demo's edges are calls, and parts of one class or file. WikiQA's are the sentences of one page: which stand on one
says each question's list of candidates, all of which are of one page, the answers and all others. Of a log, the clicks
of half of the clients make the edges, and it is measured on what the other half asks and the first did not. Of
judgments, those of the training queries do. Both go the product's way, through mining.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from real_clicks import Click, as_judged, log_of, read
from tribrid.app import Tribrid
from tribrid.corpus.lexical import normalise
from tribrid.demo.collection import collect
from tribrid.evaluation.comparison import compare
from tribrid.evaluation.measures import evaluable
from tribrid.types import JudgedQuery
from tribrid.workspace.corpus import open_corpus
from workbench import SEEDS, indexed, judged, train_and_evaluate

CANDIDATES = 50
FROM_GRAPH = (0, 5, 10, 20)
CHOSEN = 10
MOST_QUERIES, TIMED = 600, 100
RESAMPLES, SEED = 10_000, 13


class Collection(NamedTuple):
    """Documents as records, and queries to learn from and to measure on; clicks; and whether mining makes the edges."""

    records: Sequence[Mapping[str, object]]
    training: Sequence[JudgedQuery]
    evaluation: Sequence[JudgedQuery]
    log: bytes = b""
    mined: bool = False


def demo() -> Collection:
    """What `tribrid demo` searches."""
    found = collect()
    records = [{"_id": d.doc_id, "title": d.title, "text": d.text} for d in found.documents]
    return Collection(records, found.training, found.evaluation)


def records_of(folder: Path) -> list[dict[str, Any]]:
    """The documents of a collection in BEIR's form."""
    return [json.loads(line) for line in (folder / "corpus.jsonl").read_text("utf-8").splitlines() if line]


def with_log(folder: Path) -> Collection:
    """A shop: half of the clients made the log, and of what the others asked, what those did not."""
    records = records_of(folder)
    known = frozenset(record["_id"] for record in records)
    halves: tuple[list[Click], list[Click]] = ([], [])
    for click in read(folder / "raw/train.csv", known):
        halves[hashlib.sha256(click[3].encode()).digest()[0] % 2].append(click)
    asked = {normalise(query) for _, query, _, _ in halves[0]}
    fresh = [click for click in halves[1] if normalise(click[1]) not in asked]
    return Collection(records, (), as_judged(fresh)[:MOST_QUERIES], log_of(halves[0]), mined=True)


def with_judgments(folder: Path) -> Collection:
    """A collection whose training judgments make the edges."""
    training, evaluation = judged(folder, "qrels_train.tsv"), judged(folder, "qrels.tsv")
    return Collection(records_of(folder), training, evaluation, mined=True)


def chosen(name: str) -> tuple[str, Collection]:
    """The collection of an argument, and what its corpus is called."""
    folder = Path(name)
    if name == "demo":
        return name, demo()
    if any(folder.glob("candidates*.tsv")):
        return folder.name, with_pages(folder)
    return folder.name, with_log(folder) if (folder / "raw/train.csv").is_file() else with_judgments(folder)


def with_pages(folder: Path) -> Collection:
    """A collection whose lists of candidates are pages."""
    page_of: dict[str, str] = {}
    for path in sorted(folder.glob("candidates*.tsv")):
        with path.open(encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream, delimiter="\t"):
                page_of.setdefault(row["corpus-id"], row["query-id"])
    records = records_of(folder)
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
            corpus = tribrid.corpus(name)
            corpus.eval_dataset.put(collection.evaluation)
            if collection.training:
                corpus.judgments.put(collection.training)
            if collection.log:
                corpus.logs.add([collection.log], "clicks")
            if collection.mined:
                mined = corpus.mine(max_pairs=500)
                print(f"{mined.pairs} pairs mined, {mined.remembered} remembered")
            yield tribrid


def recalls(tribrid: Tribrid, name: str, queries: Sequence[JudgedQuery]) -> dict[str, float]:
    """Of each query the recall of its candidates."""
    retriever = open_corpus(tribrid.folder, name).retriever
    found = {}
    for query in queries:
        relevant = {doc_id for doc_id, grade in query.judgments.items() if grade >= 1}
        candidates = retriever.search(query.text, CANDIDATES).candidates
        found[query.query_id] = len(relevant & {c.doc_id for c in candidates}) / len(relevant)
    return found


def added_ms(tribrid: Tribrid, name: str, queries: Sequence[JudgedQuery]) -> float:
    """Processor time that the leg adds to a search: median over queries asked with it and without it by turns."""
    walking = open_corpus(tribrid.folder, name).retriever
    added = []
    for query in queries[:TIMED]:
        walking.search(query.text, CANDIDATES)  # what is embedded once
        took = []
        for retriever in (walking.walking(None), walking):
            started = time.process_time()
            retriever.search(query.text, CANDIDATES)
            took.append(time.process_time() - started)
        added.append((took[1] - took[0]) * 1000)
    return statistics.median(added)


def untrained(tribrid: Tribrid, name: str, queries: Sequence[JudgedQuery]) -> None:
    """The table of recall."""
    print("| from the graph | recall of 50 | change against 50 fused, 95 % interval | added, ms |\n|---|---|---|---|")
    control: dict[str, float] = {}
    for most in FROM_GRAPH:
        tribrid.corpus(name).patch_settings({"retrieval": {"graph_candidates": most}})
        found = recalls(tribrid, name, queries)
        control = control or found
        delta = compare(control, found, resamples=RESAMPLES, confidence=0.95, seed=SEED)
        change = f"{delta.mean:+.4f} [{delta.ci95[0]:+.4f}, {delta.ci95[1]:+.4f}]" if most else ""
        cost = f"{added_ms(tribrid, name, queries):.2f}" if most else ""
        print(f"| {most} | {statistics.mean(found.values()):.4f} | {change} | {cost} |", flush=True)


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
    parser.add_argument("collection", help="demo, or a folder in BEIR's form")
    parser.add_argument("--cache", type=Path, default=None, help="keep the index here, and use it again")
    parser.add_argument("--train", action="store_true")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    args = parser.parse_args()
    name, collection = chosen(args.collection)
    with library(name, collection, args.cache) as tribrid:
        print(f"## {name}: {len(collection.records):,} documents\n")
        if args.train:
            trained(tribrid, name, args.seeds)
            return
        if not collection.mined:
            print("Training queries:\n")
            untrained(tribrid, name, evaluable(collection.training))
        print("\nEval queries:\n")
        untrained(tribrid, name, evaluable(collection.evaluation))


if __name__ == "__main__":
    main()
