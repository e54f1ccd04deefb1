"""How long measuring and comparing take: 10,000 queries x 100 documents, 10,000 resamples. Bar: 5 s each.

    python benchmarks/measuring.py [--queries N] [--documents N] [--resamples N] [--measures "nDCG@10 AP"]

Runs and judgments are made up from a seed; nothing is read or written.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from tribrid.evaluation.comparison import compare, deltas
from tribrid.evaluation.measures import MEASURES, PerQuery, Run, means, per_query
from tribrid.types import JudgedQuery, ScoredDoc

T = TypeVar("T")
BAR_S = 5.0


def made_up(queries: int, documents: int, strength: float, seed: int) -> tuple[list[JudgedQuery], Run]:
    """Queries with three graded positives and seven negatives each, and a run that finds the former this well."""
    generator = np.random.default_rng(seed)
    judged, run = [], {}
    for at in range(queries):
        ids = [f"d{at * documents + number}" for number in range(documents)]
        grades = dict(zip(ids[:10], [3, 2, 1, *[0] * 7], strict=True))
        scores = np.random.default_rng([seed, at]).normal(size=documents) + generator.normal(scale=0.1, size=documents)
        scores[:3] += strength
        judged.append(JudgedQuery(f"q{at:06}", f"question {at}", grades))
        run[f"q{at:06}"] = [ScoredDoc(doc_id, float(score)) for doc_id, score in zip(ids, scores, strict=True)]
    return judged, run


def timed(what: str, work: Callable[[], T]) -> T:
    started, cpu = time.perf_counter(), time.process_time()
    found = work()
    took, cpu_s = time.perf_counter() - started, time.process_time() - cpu
    print(f"{what:<58} {took:6.2f} s wall  {cpu_s:6.2f} s CPU   {'within' if took <= BAR_S else 'OVER'} {BAR_S:g} s")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--documents", type=int, default=100)
    parser.add_argument("--resamples", type=int, default=10_000)
    parser.add_argument("--measures", default=" ".join(MEASURES.values()))
    asked = parser.parse_args()
    names = asked.measures.split()
    shape = f"{asked.queries:,} queries x {asked.documents} documents"
    judged, before_run = made_up(asked.queries, asked.documents, 1.0, seed=1)
    _, after_run = made_up(asked.queries, asked.documents, 1.05, seed=2)
    before: PerQuery = timed(f"measuring {shape}, {len(names)} measures", lambda: per_query(before_run, judged, names))
    after: PerQuery = per_query(after_run, judged, names)
    key = next(iter(before))
    settings = {"confidence": 0.95, "seed": 13}
    one = timed(
        f"comparing 1 measure, {asked.resamples:,} resamples",
        lambda: compare(before[key], after[key], resamples=asked.resamples, **settings),  # type: ignore[arg-type]
    )
    columns = np.column_stack([[after[k][q] - before[k][q] for q in sorted(before[k])] for k in before])
    timed(
        f"comparing {len(names)} measures at once, {asked.resamples:,} resamples",
        lambda: deltas(columns, resamples=asked.resamples, **settings),  # type: ignore[arg-type]
    )
    low, high = one.ci95
    print(
        f"{names[0]}: {means(before)[key]:.4f} -> {means(after)[key]:.4f} ({one.mean:+.4f} [{low:+.4f}, {high:+.4f}])"
    )
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB")


if __name__ == "__main__":
    main()
