"""Does a verdict from logs agree with the verdict from judgments?

    python benchmarks/from_logs.py ../shared/data/nfcorpus

Pairs of rankers, drawn at random: each orders a query's judged documents and some unjudged ones by their grade, times
how good the ranker is, plus noise that all rankers share and noise of its own. The first of a pair serves: simulated
clients search, some queries much more often than others, look at rank k with probability 1 / k^eta, and click on what
they look at by its grade, or by mistake. The product's own code makes an eval dataset of that log, and its gate decides
whether the second ranker may replace the first; it decides on the judgments too. Nothing is indexed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tribrid.corpus.formats import judged_queries, parse_qrels, parse_queries
from tribrid.errors import NotEnoughEvidence
from tribrid.evaluation.believed import believe
from tribrid.evaluation.comparison import Value, compare
from tribrid.evaluation.gate import Evidence, decide
from tribrid.evaluation.measures import Run, per_query
from tribrid.mining.clicks.odds import LogOdds, log_odds
from tribrid.mining.from_logs import Chosen, choose
from tribrid.types import Feedback, JudgedQuery, LoggedList, ScoredDoc, Signal
from tribrid.types.evidence import LogEvidence

DEPTH, MOST_RELEVANT = 50, 20
NEAR = 0.03
"""A true difference from which the verdicts should agree."""
SHARED, OWN = 0.6, 0.4
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """What the simulated users ask: queries, the candidates of each, their grades as shares of the highest one."""

    queries: list[JudgedQuery]
    doc_ids: list[list[str]]
    grades: Floats

    def run(self, scores: Floats) -> Run:
        return {
            query.query_id: [ScoredDoc(*pair) for pair in zip(docs, row, strict=True)]
            for query, docs, row in zip(self.queries, self.doc_ids, scores.tolist(), strict=True)
        }


@dataclass(frozen=True)
class Found:
    """What came of one pair: the true change, and both verdicts; the logs' is None where they say too little."""

    truth: float
    by_judgments: str
    by_logs: str | None
    estimate: float
    low: float
    high: float
    queries: int

    @property
    def agrees(self) -> bool:
        return self.by_logs == self.by_judgments

    @property
    def held(self) -> bool:
        return self.low <= self.truth <= self.high


def world(folder: Path, most: int, seed: int) -> World:
    rng = np.random.default_rng(seed)
    texts = parse_queries([(folder / "queries.jsonl").read_bytes()])
    judged = judged_queries(texts, parse_qrels((folder / "qrels.tsv").read_text("utf-8")))
    queries = [query for query in judged if query.has_positive]
    queries = [queries[at] for at in rng.permutation(len(queries))[:most]]
    best = max(max(query.judgments.values()) for query in queries)
    doc_ids = [candidates(at, query, rng) for at, query in enumerate(queries)]
    grades = [
        [query.judgments.get(doc, 0) / best for doc in docs] for query, docs in zip(queries, doc_ids, strict=True)
    ]
    return World(queries, doc_ids, np.array(grades))


def candidates(at: int, query: JudgedQuery, rng: np.random.Generator) -> list[str]:
    """Some of the relevant documents, and others that are not."""
    relevant = [doc_id for doc_id, grade in query.judgments.items() if grade >= 1]
    found = [relevant[place] for place in rng.permutation(len(relevant))[:MOST_RELEVANT]]
    return [*found, *(f"other{at}-{number}" for number in range(DEPTH - len(found)))]


def searches(made: World, scores: Floats, rng: np.random.Generator, args: argparse.Namespace) -> list[LoggedList]:
    """The log of clients who were shown this order."""
    order = np.argsort(-scores, axis=1)[:, : args.shown]
    popular = 1 / (rng.permutation(len(made.queries)) + args.flat)
    asked = rng.choice(len(made.queries), args.searches, p=popular / popular.sum())
    clients = rng.integers(0, args.clients, args.searches)
    relevance = np.take_along_axis(made.grades, order, axis=1)
    attraction = (args.noise + (1 - 2 * args.noise) * relevance)[asked]
    looked = np.arange(1, args.shown + 1) ** -args.eta
    clicked = rng.random(attraction.shape) < looked * attraction
    ranks = range(1, args.shown + 1)
    shown = [[made.doc_ids[at][place] for place in row] for at, row in enumerate(order.tolist())]
    lists = []
    for number, (query, client) in enumerate(zip(asked.tolist(), clients.tolist(), strict=True)):
        at_us, name = 1 + number * 60_000_000, f"s{number}"
        acts = [
            Feedback(name, Signal.CLICK, shown[query][place], None, at_us) for place in np.flatnonzero(clicked[number])
        ]
        text = made.queries[query].text
        lists.append(LoggedList(name, text, shown[query], ranks, acts, at_us, "search", f"c{client}"))
    return lists


def decided(before: Mapping[str, Value], after: Mapping[str, Value], resamples: int) -> tuple[str, float, float, float]:
    """The gate's decision in nDCG@10, where nothing else speaks against the second."""
    delta = compare(before, after, resamples=resamples, confidence=0.95, seed=13)
    evidence = Evidence(measure="ndcg@10", delta=delta, before=0.5, after=0.5 + delta.mean, retrieval=0.5)
    return decide(evidence).decision, delta.mean, *delta.ci


def pair(args: argparse.Namespace, number: int) -> Found:
    made = world(args.folder, args.queries, args.seed)
    rng = np.random.default_rng([args.seed, number])
    shared = rng.normal(0, SHARED, made.grades.shape)
    strengths = 1 + rng.uniform(-args.apart, args.apart, 2)
    scores = [strength * made.grades + shared + rng.normal(0, OWN, made.grades.shape) for strength in strengths]
    runs = [made.run(of) for of in scores]
    measure = ("ndcg@10",)
    true = [per_query(run, made.queries, measure)["ndcg@10"] for run in runs]
    by_judgments, truth, _, _ = decided(true[0], true[1], args.resamples)
    odds = log_odds(searches(made, scores[0], rng, args), examined_below_click=1, min_clients=3)
    try:
        chosen = choose(odds, {doc_id for of in made.doc_ids for doc_id in of}, 14)
    except NotEnoughEvidence:
        return Found(truth, by_judgments, None, 0.0, 0.0, 0.0, 0)
    drawn = by_logs(made, runs, chosen, odds)
    decision, mean, low, high = decided(drawn[0], drawn[1], args.resamples)
    return Found(truth, by_judgments, decision, mean, low, high, len(chosen.queries))


def by_logs(made: World, runs: Sequence[Run], chosen: Chosen, odds: LogOdds) -> list[Mapping[str, Value]]:
    """The values of both rankers on the dataset that was made of the log."""
    ids = {query.text: query.query_id for query in made.queries}
    named = [{q.query_id: run[ids[q.text]] for q in chosen.queries} for run in runs]
    evidence = LogEvidence(
        since_us=0,
        until_us=1,
        clients=odds.clients,
        searches=odds.lists,
        examination=(),
        good=chosen.good,
        log_odds=chosen.log_odds,
    )
    order = {query_id: [doc.doc_id for doc in docs] for query_id, docs in named[0].items()}
    beliefs = believe(chosen.queries, evidence, order, named, 13)
    return [beliefs.values(run, chosen.queries, ("ndcg@10",))["ndcg@10"] for run in named]


def share(found: Sequence[bool]) -> str:
    return f"{np.mean(found):.1%} of {len(found)}" if found else "none"


def promoted(those: Sequence[Found]) -> str:
    return (
        f"{share([one.by_logs == 'promote' for one in those])} by logs, "
        f"{share([one.by_judgments == 'promote' for one in those])} by judgments"
    )


def between(found: Sequence[Found], least: float, most: float) -> list[Found]:
    """The pairs whose true change is so large."""
    return [one for one in found if least <= one.truth <= most]


def told(found: Sequence[Found]) -> str:
    """What came of all pairs."""
    known = [one for one in found if one.by_logs is not None]
    better, worse = between(known, NEAR, np.inf), between(known, -np.inf, -NEAR)
    agreed = [one.agrees for one in (*better, *worse)]
    kinds = {f"better by {NEAR} or more": better, f"worse by {NEAR} or more": worse}
    kinds["no better"] = between(known, -np.inf, 0)
    lines = [
        f"{len(found)} pairs, {len(known)} with evidence enough; {mean(known, 'queries'):.0f} queries",
        f"verdicts agree where the true difference is {NEAR} or more: {share(agreed)}",
        *(f"promoted of those {name}: {promoted(those)}" for name, those in kinds.items()),
        f"the interval holds the true change: {share([one.held for one in known])}",
        f"mean error of the change: {mean(known, 'estimate') - mean(known, 'truth'):+.4f}",
    ]
    return "\n".join(lines)


def mean(found: Sequence[Found], name: str) -> float:
    return float(np.mean([getattr(one, name) for one in found]))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--pairs", type=int, default=200)
    arguments.add_argument("--queries", type=int, default=300)
    arguments.add_argument("--searches", type=int, default=20_000)
    arguments.add_argument("--clients", type=int, default=4000)
    arguments.add_argument("--shown", type=int, default=10)
    arguments.add_argument("--flat", type=float, default=20.0, help="how evenly queries are asked")
    arguments.add_argument("--eta", type=float, default=1.0)
    arguments.add_argument("--noise", type=float, default=0.1)
    arguments.add_argument("--apart", type=float, default=0.4)
    arguments.add_argument("--resamples", type=int, default=2000)
    arguments.add_argument("--seed", type=int, default=13)
    arguments.add_argument("--processes", type=int, default=2)
    args = arguments.parse_args()
    started = time.monotonic()
    with ProcessPoolExecutor(args.processes) as pool:
        found = list(pool.map(partial(pair, args), range(args.pairs)))
    print(f"{args.folder.name}: {told(found)}\nIt took {time.monotonic() - started:.0f} s.")


if __name__ == "__main__":
    main()
