"""Is an eval dataset fit to decide on? What is wrong with it, in words, before anyone trusts a number from it.

An error means that a verdict on the dataset would mislead; a warning, that it says less than it seems to.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from tribrid.answers.readiness import Power, Problem, Soundness
from tribrid.evaluation.measures import evaluable
from tribrid.evaluation.readiness import POWER, detectable
from tribrid.types import JudgedQuery

HOPED_EFFECT = 0.03
"""Change in the primary measure that an evaluation should be able to see, where nobody says another."""
NAMED = 20
"""Ids that a finding names; the rest is counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a dataset is checked against.

    Attributes:
        queries: the dataset's.
        clusters: of each query, in the same order: near-duplicates share one.
        known: those of its judged documents that the corpus holds.
        measure: the primary measure's name.
        effect: the change in it that one hopes to see.
        spread: standard deviation of per-query differences, and `basis`, where that is from.
        trained_on: query_ids that are, or nearly are, mined training queries.
        in_judgments: the same of the judgments to train from, which mining leaves out.
        recall_ceiling: share of relevant documents among the frozen candidates; None: never measured.
    """

    queries: Sequence[JudgedQuery]
    clusters: Sequence[str]
    known: Collection[str]
    measure: str
    effect: float
    spread: float
    basis: str
    trained_on: Sequence[str] = ()
    in_judgments: Sequence[str] = ()
    recall_ceiling: float | None = None


def check(facts: Facts) -> Soundness:
    """Everything found."""
    counted = evaluable(facts.queries)
    problems = [
        *_labels(facts, counted),
        *_documents(facts, counted),
        *_duplicates(facts),
        *_training(facts),
        *_size(facts, counted),
    ]
    grades = Counter(grade for query in facts.queries for grade in query.judgments.values())
    positives = sum(grade >= 1 for query in counted for grade in query.judgments.values())
    return Soundness(
        ok=not any(problem.severity == "error" for problem in problems),
        problems=tuple(problems),
        queries=len(facts.queries),
        evaluable=len(counted),
        judgments=grades.total(),
        grades={str(grade): grades[grade] for grade in sorted(grades)},
        positives_per_query=round(positives / len(counted), 3) if counted else 0.0,
        primary_measure=facts.measure,
        recall_ceiling=facts.recall_ceiling,
        power=_power(facts, counted),
    )


def _power(facts: Facts, counted: Sequence[JudgedQuery]) -> Power:
    """The smallest change that the dataset shows four times out of five (two-sided test at 5 %).

    Near-duplicates count as one query: they win and lose together, and are no further evidence.
    """
    cluster_of = {query.query_id: of for query, of in zip(facts.queries, facts.clusters, strict=True)}
    independent = len({cluster_of[query.query_id] for query in counted})
    seen = detectable(independent, facts.spread) if independent else None
    return Power(
        effect=facts.effect,
        detectable=None if seen is None else round(seen, 4),
        independent_queries=independent,
        queries_needed=math.ceil((POWER * facts.spread / facts.effect) ** 2),
        spread=round(facts.spread, 4),
        basis=facts.basis,
    )


def _problem(
    code: str, severity: Literal["error", "warning"], detail: str, ids: Sequence[str | tuple[str, ...]]
) -> Problem:
    return Problem(code=code, severity=severity, detail=detail, count=len(ids), examples=tuple(ids[:NAMED]))


def _labels(facts: Facts, counted: Sequence[JudgedQuery]) -> Iterator[Problem]:
    without = [query.query_id for query in facts.queries if not query.has_positive]
    if not counted:
        yield _problem(
            "nothing_relevant", "error", "No query has a relevant document: nothing can be measured.", without
        )
    elif without:
        said = f"{_queries(without)} without a relevant document: excluded from every measure, and counted."
        yield _problem("without_positive", "warning", said, without)


def _documents(facts: Facts, counted: Sequence[JudgedQuery]) -> Iterator[Problem]:
    judged = {doc_id for query in facts.queries for doc_id in query.judgments}
    unknown = sorted(judged - set(facts.known))
    if unknown:
        said = f"{len(unknown):,} of {len(judged):,} judged documents are not in the corpus."
        yield _problem("unknown_documents", "warning", said, unknown)
    lost = [
        query.query_id
        for query in counted
        if not any(grade >= 1 and doc_id in facts.known for doc_id, grade in query.judgments.items())
    ]
    if lost:
        said = f"{_queries(lost)} whose every relevant document is missing from the corpus: they are 0 for any system."
        yield _problem("unanswerable_queries", "error" if len(lost) == len(counted) else "warning", said, lost)


def _duplicates(facts: Facts) -> Iterator[Problem]:
    groups: defaultdict[str, list[JudgedQuery]] = defaultdict(list)
    for query, cluster in zip(facts.queries, facts.clusters, strict=True):
        groups[cluster].append(query)
    repeated = [group for group in groups.values() if len(group) > 1]
    if repeated:
        ids = [tuple(query.query_id for query in group) for group in repeated]
        extra = sum(len(group) - 1 for group in repeated)
        said = f"{len(repeated):,} groups of queries that are nearly the same: {extra:,} of them add no evidence."
        yield _problem("duplicate_queries", "warning", said, ids)
    torn = [tuple(query.query_id for query in group) for group in repeated if _contradict(group)]
    if torn:
        said = (
            f"{len(torn):,} groups of nearly the same query in which a document is relevant to one and not to another."
        )
        yield _problem("contradictory_judgments", "error", said, torn)


def _contradict(group: Sequence[JudgedQuery]) -> bool:
    relevant: defaultdict[str, set[bool]] = defaultdict(set)
    for query in group:
        for doc_id, grade in query.judgments.items():
            relevant[doc_id].add(grade >= 1)
    return any(len(said) > 1 for said in relevant.values())


def _training(facts: Facts) -> Iterator[Problem]:
    if facts.trained_on:
        said = f"{_queries(facts.trained_on)} also stand among the mined triplets, word for word or nearly: mine again."
        yield _problem("training_overlap", "error", said, facts.trained_on)
    if facts.in_judgments:
        said = f"{_queries(facts.in_judgments)} also stand among the judgments to train from; mining leaves them out."
        yield _problem("judgments_overlap", "warning", said, facts.in_judgments)


def _size(facts: Facts, counted: Sequence[JudgedQuery]) -> Iterator[Problem]:
    power = _power(facts, counted)
    if power.detectable is not None and power.detectable > facts.effect:
        said = (
            f"{power.independent_queries:,} independent queries show a change of {power.detectable:.3f} in "
            f"{facts.measure} four times out of five, not one of {facts.effect:.3f}: that takes about "
            f"{power.queries_needed:,} ({facts.basis})."
        )
        yield _problem("too_few_queries", "error", said, [])


def _queries(ids: Sequence[str]) -> str:
    return f"{len(ids):,} {'query' if len(ids) == 1 else 'queries'}"
