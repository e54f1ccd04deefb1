"""Does the order before any label rank better than the fused one, and what does it cost?

    python benchmarks/untrained.py ../shared/data/cranfield ../shared/data/nfcorpus

nDCG@10 of both orders of the same candidates, and their difference with its interval. Nothing is trained. *Space* is
what is counted over the passages when they are indexed, in processor seconds; *score* is what the order takes for a
query's candidates whose tokens are read, median in milliseconds.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

from tribrid.config.sections import EvaluationConfig
from tribrid.evaluation.arms import retrieval_arm, run_arms
from tribrid.evaluation.comparison import compare
from tribrid.evaluation.measures import evaluable, per_query
from tribrid.loop import index
from tribrid.loop.frozen import read_task
from tribrid.retrieval.spaces import SAMPLED
from tribrid.types import EvalDataset
from tribrid.workspace.corpus import OpenCorpus, open_corpus
from workbench import indexed, judged

NAME, KEY = "untrained", "ndcg@10"


def quiet(*_: object) -> None:
    """Takes progress and forgets it."""


def counting_s(corpus: OpenCorpus) -> float:
    """Processor seconds of counting over the passages."""
    snapshot = corpus.index.snapshot()
    keys = snapshot.keys() if snapshot else []
    packed = corpus.index.packed(keys[:: max(1, len(keys) // SAMPLED)])
    started = time.process_time()
    corpus.counted(packed.values())
    return time.process_time() - started


def measured(corpus: OpenCorpus, dataset: EvalDataset) -> str:
    """A row of the table."""
    index.statistics(corpus, quiet)
    own = open_corpus(corpus.folder, corpus.corpus_id).untrained
    if own is None:
        return f"| {corpus.corpus_id} | too few passages |"
    task = read_task(corpus, dataset, quiet)
    found = run_arms(task.readings, [(NAME, own.score)], "", time.perf_counter, quiet)
    orders = {"fused": retrieval_arm(task.readings), NAME: found.systems[NAME]}
    values = {name: per_query(run, evaluable(dataset.queries))[KEY] for name, run in orders.items()}
    config = EvaluationConfig.model_validate({})
    delta = compare(*values.values(), resamples=config.resamples, confidence=0.95, seed=config.seed)
    times = []
    for reading in list(task.readings.values())[:60]:
        _ = list(reading.passages)  # read before the clock runs
        started = time.perf_counter()
        own.score(reading)
        times.append((time.perf_counter() - started) * 1000)
    fused, after = (statistics.mean(of.values()) for of in values.values())
    change = f"{delta.mean:+.4f} [{delta.ci95[0]:+.4f}, {delta.ci95[1]:+.4f}]"
    cost = f"{counting_s(corpus):.1f} | {statistics.median(times):.1f}"
    sizes = f"{corpus.index.count():,} | {delta.queries}"
    return f"| {corpus.corpus_id} | {sizes} | {fused:.4f} | {after:.4f} | {change} | {cost} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", help="collections in BEIR's form")
    parser.add_argument("--cache", type=Path, default=None, help="keep the indexes here, and use them again")
    args = parser.parse_args()
    print("| collection | passages | queries | fused | untrained | change, 95 % interval | space, s | score, ms |")
    print("|---|---|---|---|---|---|---|---|")
    for folder in args.folders:
        with indexed(folder, args.cache) as tribrid:
            tribrid.corpus(folder.name).eval_dataset.put(judged(folder, "qrels.tsv"))
            corpus = open_corpus(tribrid.folder, folder.name)
            print(measured(corpus, tribrid.store.evalsets.current(folder.name)), flush=True)


if __name__ == "__main__":
    main()
