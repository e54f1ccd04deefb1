"""How often the gate errs: challengers that are no better, and better ones, by gain and by how far gains spread.

    python benchmarks/gate.py

Per-query gains are drawn: most queries tie, in the others a relevant document moves up or down. The spread (standard
deviation of the gains over queries) decides what a number of queries can show, whatever the gate. For comparison:
SciFact's is 0.12 for a model trained on clicks and 0.22 for one trained on judgments (benchmarks.md).
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np

from tribrid.evaluation.comparison import deltas
from tribrid.evaluation.gate import Evidence, decide
from workbench import spread as run_by

GAINS = (0.0, 0.005, 0.01, 0.02, 0.03, 0.05)
SPREADS = (0.10, 0.15, 0.20)
TIES = 0.6


def drawn(generator: np.random.Generator, queries: int, challengers: int, gain: float, spread: float) -> np.ndarray:
    """Gains (queries, challengers) with this mean and standard deviation, of which TIES are 0."""
    mean = gain / (1 - TIES)
    deviation = np.sqrt(spread**2 / (1 - TIES) - mean**2 * TIES)
    moved = generator.random((queries, challengers)) >= TIES
    return np.where(moved, generator.normal(mean, deviation, (queries, challengers)), 0.0)


def promoted(values: np.ndarray, resamples: int) -> float:
    """Share of the challengers that the gate lets through."""
    decisions = [
        decide(Evidence(measure="nDCG@10", delta=delta, before=0.6, after=0.6 + delta.mean, retrieval=0.6)).decision
        for delta in deltas(values, resamples=resamples, confidence=0.95, seed=13)
    ]
    return decisions.count("promote") / len(decisions)


@dataclass(frozen=True)
class Row:
    """Shares of challengers that are promoted, one for each of GAINS, where this many queries spread so far."""

    challengers: int
    resamples: int

    def __call__(self, cell: tuple[int, float]) -> list[float]:
        queries, spread = cell
        generator = np.random.default_rng(queries)
        return [promoted(drawn(generator, queries, self.challengers, gain, spread), self.resamples) for gain in GAINS]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--queries", type=int, nargs="+", default=[50, 100, 300, 1000])
    arguments.add_argument("--challengers", type=int, default=400)
    arguments.add_argument("--resamples", type=int, default=2000)
    arguments.add_argument("--processes", type=int, default=1)
    args = arguments.parse_args()
    print("Share of challengers that are promoted, by their true gain in nDCG@10\n")
    print(f"| queries | spread | {' | '.join(f'{gain:+.3f}' for gain in GAINS)} |\n|---|---|{'---|' * len(GAINS)}")
    cells = [(queries, spread) for queries in args.queries for spread in SPREADS]
    rows = run_by(Row(args.challengers, args.resamples), cells, args.processes)
    for (queries, spread), shares in zip(cells, rows, strict=True):
        print(f"| {queries} | {spread:.2f} | {' | '.join(f'{share:.1%}' for share in shares)} |", flush=True)


if __name__ == "__main__":
    from gate import main as by_its_name  # where other processes find what they are sent

    by_its_name()
