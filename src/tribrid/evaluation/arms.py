"""Runs every system of a comparison on the same frozen candidates. A system that fails is named, never scored."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tribrid.encoders.tokens import maxsim
from tribrid.errors import Cancelled, TribridError
from tribrid.evaluation.inputs import FrozenCandidates
from tribrid.scoring.learned import LearnedReranker, Reading, Scores
from tribrid.scoring.scorer import Scorer, ranked
from tribrid.types import ScoredDoc, rank_order

Readings = Mapping[str, Reading]
"""query_id → what a reranker reads of it."""
Rank = Callable[[Reading], Scores]


@dataclass
class Arms:
    """What was run: name → query_id → ranking; and what could not be."""

    systems: dict[str, dict[str, list[ScoredDoc]]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    latency_ms: list[float] = field(default_factory=list)


def freeze(readings: Readings, depth: int) -> FrozenCandidates:
    """The candidate lists by hash, before any model sees them."""
    doc_ids = {query_id: [c.doc_id for c in reading.candidates] for query_id, reading in readings.items()}
    return FrozenCandidates(depth, candidates_sha(doc_ids), doc_ids)


def candidates_sha(doc_ids: Mapping[str, Sequence[str]]) -> str:
    """sha256 of candidate lists, query_id → doc_ids best first, as canonical JSON."""
    text = json.dumps(doc_ids, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def restricted(run: Mapping[str, Sequence[ScoredDoc]], candidates: FrozenCandidates) -> dict[str, list[ScoredDoc]]:
    """The frozen candidates in the order of another engine's run; those it did not return come last, as they were
    retrieved. Says what its order is worth, where the run as it is also says what its retrieval is worth.
    """
    found = {}
    for query_id, doc_ids in candidates.doc_ids.items():
        theirs = [doc.doc_id for doc in rank_order(run.get(query_id, ()))]
        ours = set(doc_ids)
        known = dict.fromkeys(doc_id for doc_id in theirs if doc_id in ours)
        order = list(known | dict.fromkeys(doc_ids))
        found[query_id] = [ScoredDoc(doc_id, float(len(order) - at)) for at, doc_id in enumerate(order)]
    return found


def given_arm(
    orders: Mapping[str, Sequence[str]], readings: Readings, candidates: FrozenCandidates
) -> tuple[dict[str, list[ScoredDoc]], list[str]]:
    """The frozen candidates in the order in which another engine gave a query's documents to be reranked, as
    `restricted`; and the query_ids of which such an order is known.

    Args:
        orders: query's text → doc_ids.
    """
    run = {}
    for query_id, reading in readings.items():
        order = list(dict.fromkeys(orders.get(reading.query, ())))
        if not set(candidates.doc_ids[query_id]).isdisjoint(order):
            run[query_id] = [ScoredDoc(doc_id, float(len(order) - at)) for at, doc_id in enumerate(order)]
    return restricted(run, candidates), list(run)


def retrieval_arm(readings: Readings) -> dict[str, list[ScoredDoc]]:
    """The fused order as it was retrieved."""
    return {
        query_id: [ScoredDoc(c.doc_id, c.score) for c in reading.candidates] for query_id, reading in readings.items()
    }


def ranks(scorers: Iterable[tuple[str, Scorer | None]], challenger: LearnedReranker | None) -> list[tuple[str, Rank]]:
    """Every arm to run, by name: the scorers there are, then the challenger's parts, each alone. What it knows of the
    order before any label is a copy of what the corpus had: the corpus's own goes before it.
    """
    arms: list[tuple[str, Rank]] = [(name, scorer.score) for name, scorer in scorers if scorer is not None]
    given = {name for name, _ in arms}
    if challenger is not None:
        for part in challenger.parts:
            name = "blend_without_cross_encoder" if part == "blend" else part
            if part != "served" and name not in given:
                arms.append((name, lambda reading, part=part: challenger.score(reading, part)))  # type: ignore[misc]
    return arms


def run_arms(
    readings: Readings,
    arms: Sequence[tuple[str, Rank]],
    timed: str,
    clock: Callable[[], float],
    report: Callable[[str, int, int], None],
) -> Arms:
    """Run each arm over all queries.

    Args:
        readings: the queries.
        arms: (name, scoring function).
        timed: the arm whose time a query goes into `latency_ms`.
        clock: seconds, from any start.
        report: gets the arm's name, queries done and all, a few times an arm.

    Raises:
        Cancelled: somebody asked for the end.
    """
    found = Arms()
    step = max(1, len(readings) // 20)
    for name, score in arms:
        rankings: dict[str, list[ScoredDoc]] = {}
        try:
            for number, (query_id, reading) in enumerate(readings.items(), 1):
                started = clock()
                rankings[query_id] = ranked(reading, score(reading)) if reading.candidates else []
                if name == timed and reading.candidates:
                    found.latency_ms.append((clock() - started) * 1000)
                if number % step == 0:
                    report(name, number, len(readings))
        except Cancelled:  # the whole comparison ends, not this arm alone
            raise
        except TribridError as error:
            found.failed[name] = error.detail
            continue
        found.systems[name] = rankings
    return found


def base_scores(reading: Reading) -> Scores:
    """The untrained base encoder as a late-interaction reranker."""
    return np.array([maxsim(reading.tokens, passage) for passage in reading.passages], np.float64)
