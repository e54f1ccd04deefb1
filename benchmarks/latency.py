"""Reranking one query's 50 candidates: the served blend against sentence-transformers' CrossEncoder, side by side.

    python benchmarks/latency.py ../shared/data/scifact

Ours is timed twice: reading the cached token vectors from the index and scoring, and scoring alone. Theirs is
`CrossEncoder.predict` on the same 50 pairs in torch (fp32, batches of 32) with all-MiniLM-L6-v2 as its weights, a size
that people use; for speed its training does not matter.
Queries take turns, so that both meet the same machine. Also says what a passage's token vectors weigh.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sentence_transformers.cross_encoder import CrossEncoder

from tribrid.encoders.models import locate
from tribrid.evaluation.measures import evaluable
from tribrid.workspace.corpus import open_corpus
from workbench import indexed, judged, parser, train_and_evaluate

QUERIES, WARM = 60, 5


def timed(work: Callable[[], Any]) -> float:
    """Milliseconds."""
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--train", default="qrels_train.tsv")
    args = arguments.parse_args()
    corpus, queries = args.folder.name, evaluable(judged(args.folder, "qrels.tsv"))
    theirs = CrossEncoder(str(locate("all-MiniLM-L6-v2")), num_labels=1, max_length=256)
    times: dict[str, list[float]] = {"read and score": [], "score": [], "CrossEncoder.predict": [], "search": []}
    with indexed(args.folder, args.cache) as tribrid:
        tribrid.corpus(corpus).judgments.put(judged(args.folder, args.train))
        tribrid.corpus(corpus).eval_dataset.put(queries)
        tribrid.corpus(corpus).mine(max_pairs=500)
        settings = ["cross_encoder=false", *args.set]
        report = train_and_evaluate(tribrid, corpus, args.seeds[:1], settings)[0]
        opened = open_corpus(tribrid.folder, corpus)
        scorer, retriever = opened.learned(str(report.model_id)), opened.retriever
        for number, query in enumerate(queries[: QUERIES + WARM]):
            candidates = retriever.retrieve(query.text, 50)
            later = opened.read(query.text, candidates)
            reading = replace(later, passages=list(later.passages))  # read before the clock runs
            pairs = [(query.text, f"{c.passage.title}\n{c.passage.text}") for c in candidates]
            row = {
                "read and score": timed(lambda c=candidates, q=query: scorer.score(opened.read(q.text, c))),
                "score": timed(lambda r=reading: scorer.score(r)),
                "CrossEncoder.predict": timed(lambda p=pairs: theirs.predict(p, show_progress_bar=False)),
                "search": timed(lambda q=query: tribrid.corpus(corpus).search(q.text)),
            }
            if number >= WARM:
                for name, value in row.items():
                    times[name].append(value)
        index = opened.index
        snapshot = index.snapshot()
        keys = snapshot.keys() if snapshot else []
        sizes = [len(blob) for blob, _ in index.packed(keys[:2000]).values()]
    print("| 50 candidates, one query | p50, ms | p95, ms | times slower |\n|---|---|---|---|")
    ours = statistics.median(times["read and score"])
    for name, values in times.items():
        values.sort()
        p50, p95 = statistics.median(values), values[int(len(values) * 0.95)]
        print(f"| {name} | {p50:.1f} | {p95:.1f} | {p50 / ours:.1f} |")
    print(f"\nToken vectors: {statistics.mean(sizes):.0f} bytes a passage (mean of {len(sizes)}).")
    print(f"nDCG@10 of what was timed: {report.after['ndcg@10']:.4f}, before {report.before['ndcg@10']:.4f}")


if __name__ == "__main__":
    main()
