"""Documents sent to /rerank against the same documents found by /search: is the order the same, and what does it cost?

    python benchmarks/rerank.py ../shared/data/scifact

For each query the 50 candidates of a search go to a rerank, once as the index holds them and once with two characters
more, so that it holds none of them and all are embedded and weighed anew. Also: how often a calibrated score is right.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from tribrid.app import Tribrid
from tribrid.evaluation.measures import evaluable
from tribrid.types import JudgedQuery
from tribrid.workspace.data_folder import DataFolder
from workbench import indexed, judged, parser

QUERIES, DEPTH, TOP = 150, 50, 10
EDGES = (0.0, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.01)


def ndcg(order: Sequence[str], query: JudgedQuery) -> float:
    """nDCG@10 of a ranking."""
    gains = [query.judgments.get(doc_id, 0) for doc_id in order[:TOP]]
    ideal = sorted((grade for grade in query.judgments.values() if grade > 0), reverse=True)[:TOP]
    best = sum(grade / math.log2(rank + 2) for rank, grade in enumerate(ideal))
    return sum(grade / math.log2(rank + 2) for rank, grade in enumerate(gains)) / best


def given(ws: DataFolder, corpus: str, doc_ids: Sequence[str], ending: str) -> list[dict[str, str]]:
    """The documents as another engine would send them."""
    found = ws.store.documents.get_many(corpus, doc_ids)
    return [{"id": i, "title": found[i].title, "text": found[i].text + ending} for i in doc_ids]


def measure(tribrid: Tribrid, corpus: str, query: JudgedQuery) -> tuple[dict[str, Any], list[tuple[float, bool]]]:
    """(order, seconds) by way, and (score, is it relevant) of every reranked document."""
    started = time.perf_counter()
    shown = tribrid.corpus(corpus).search(query.text, DEPTH).results
    rows: dict[str, Any] = {"search": ([row.doc_id for row in shown], time.perf_counter() - started)}
    first = [row.doc_id for row in sorted(shown, key=lambda row: row.first_stage.rank)]
    rows["first stage"] = (first, 0.0)
    scores = []
    for name, ending in (("rerank, indexed", ""), ("rerank, unknown", " ."), ("rerank, unknown, again", " .")):
        documents = given(tribrid.folder, corpus, first, ending)
        started = time.perf_counter()
        found = tribrid.rerank(query.text, documents, corpus_id=corpus).results
        rows[name] = ([row.doc_id for row in found], time.perf_counter() - started)
        if not ending:
            scores = [(row.score, query.judgments.get(str(row.doc_id), 0) > 0) for row in found]
    return rows, scores


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--train", default="qrels_train.tsv")
    args = arguments.parse_args()
    corpus, queries = args.folder.name, evaluable(judged(args.folder, "qrels.tsv"))
    with indexed(args.folder, args.cache) as tribrid:
        tribrid.corpus(corpus).judgments.put(judged(args.folder, args.train))
        tribrid.corpus(corpus).eval_dataset.put(queries)
        tribrid.corpus(corpus).mine(max_pairs=500)
        model_id = tribrid.corpus(corpus).train(cross_encoder=False, seed=args.seeds[0]).model_id
        tribrid.corpus(corpus).promote(model_id, "to be measured", force=True)
        measured = [measure(tribrid, corpus, query) for query in queries[:QUERIES]]
    print("| order | nDCG@10 | top 10 as the search's | p50, ms |\n|---|---|---|---|")
    for name in measured[0][0]:
        quality = statistics.mean(ndcg(rows[name][0], q) for (rows, _), q in zip(measured, queries, strict=False))
        same = statistics.mean(rows[name][0][:TOP] == rows["search"][0][:TOP] for rows, _ in measured)
        took = statistics.median(rows[name][1] for rows, _ in measured) * 1000
        print(f"| {name} | {quality:.4f} | {same:.1%} | {took:.1f} |")
    print("\n| calibrated score | documents | relevant | mean score |\n|---|---|---|---|")
    every = [pair for _, scores in measured for pair in scores]
    for low, high in pairwise(EDGES):
        inside = [pair for pair in every if low <= pair[0] < high]
        if inside:
            share, mean = statistics.mean(good for _, good in inside), statistics.mean(score for score, _ in inside)
            print(f"| {low} to {min(high, 1.0)} | {len(inside)} | {share:.3f} | {mean:.3f} |")


if __name__ == "__main__":
    main()
