"""Is there enough data, before anyone waits for a training? An answer in words, and what it rests on.

Two questions decide. Could anything be learned: how many queries have labels, and does retrieval bring their documents
within the reranker's reach. And would it be seen: how large a change the eval dataset can tell from chance, against
the gains that were measured elsewhere. The latter are of other collections: a rough guide, not a forecast.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from tribrid.answers.readiness import Assessment, ExpectedGain, LabelCounts

MEASURED_GAINS = {
    "SciFact, 500 judged pairs": 0.065,
    "the same, without memory of past queries": 0.003,
    "Python's standard library, 500 docstrings": 0.035,
}
"""Changes in nDCG@10 from docs/benchmarks.md: what the interval is made of."""
REFERENCE_QUERIES = 500
HALF_WAY = 25
"""Of the gain at 500 queries, 100 gave 0.53 and 250 gave 0.87 when it was measured on SciFact: close to a logarithm
that starts at this many queries. More than 500 are counted as 500, because no more were measured."""
SPREAD = 0.2
"""Standard deviation of per-query differences in nDCG@10, as on SciFact; an evaluation of the corpus replaces it."""
POWER = 1.96 + 0.84
"""Standard errors of a change that a two-sided test at 5 % finds four times out of five."""
FEWEST_QUERIES = 50
LEAST_COVERAGE = 0.5
SMALLER = 2 / 3
"""The next smaller change that it is said what it would take to see, as a share of the smallest that shows now."""

Answer = Literal["yes", "perhaps", "no"]


@dataclass(frozen=True, slots=True)
class Labels:
    """Labelled queries of one source that may be mined.

    Attributes:
        queries: with at least one good document; those that the eval dataset asks are left out and counted.
        positives: pairs of query and good document.
        left_out: queries that the eval dataset asks too.
        whole: whether that is all there is, or a sample of it and so a lower bound.
    """

    queries: int = 0
    positives: int = 0
    left_out: int = 0
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Known:
    """What was found out about a corpus.

    Attributes:
        documents, passages: stored, and indexed.
        logs, judgments: labels that somebody gave.
        heuristics: queries that the documents ask of themselves, about.
        coverage: share of sampled positives that retrieval brings within the reranker's depth; None: not measured.
        eval_queries: of the eval dataset, with a relevant document; None: there is no dataset.
        spread: standard deviation of per-query differences in the last evaluation; None: there was none.
    """

    documents: int
    passages: int
    logs: Labels = field(default_factory=Labels)
    judgments: Labels = field(default_factory=Labels)
    heuristics: int = 0
    coverage: float | None = None
    eval_queries: int | None = None
    spread: float | None = None

    @property
    def labelled(self) -> int:
        return self.logs.queries + self.judgments.queries


def detectable(queries: int, spread: float) -> float:
    """The smallest mean change that so many eval queries tell from chance four times out of five."""
    return POWER * spread / math.sqrt(queries)


def standing(queries: int, spread: float) -> str:
    """In words: how many eval queries there are, what change they show, and what a smaller one would take."""
    known = f"{queries:,} of {FEWEST_QUERIES} queries" if queries < FEWEST_QUERIES else f"{queries:,} queries"
    if not queries:
        change = detectable(FEWEST_QUERIES, spread)
        return f"{known}; no change would show now, one of {change:.3f} at {FEWEST_QUERIES}."
    more = math.ceil(queries / SMALLER**2 / 10) * 10
    now, then = detectable(queries, spread), detectable(more, spread)
    return f"{known}; a change of {now:.3f} would show now, {then:.3f} at {more:,}."


def expected_gain(queries: int) -> tuple[float, float]:
    """The measured gains, scaled to so many training queries: lowest and highest change in nDCG@10."""
    share = min(1.0, math.log1p(queries / HALF_WAY) / math.log1p(REFERENCE_QUERIES / HALF_WAY))
    gains = MEASURED_GAINS.values()
    return min(gains) * share, max(gains) * share


def assess(known: Known) -> Assessment:
    """Yes, no or perhaps, and why."""
    missing = _missing(known)
    usable = known.labelled or known.heuristics
    low, high = expected_gain(usable)
    spread = known.spread or SPREAD
    seen = detectable(known.eval_queries, spread) if known.eval_queries else None
    advice = [] if missing else _advice(known, high, seen)
    answer: Answer = "no" if missing else "perhaps" if advice else "yes"
    return Assessment(
        ready=answer == "yes",
        answer=answer,
        summary=_summary(answer, known, missing or advice),
        missing=tuple(missing),
        advice=tuple(advice),
        expected_gain=ExpectedGain(
            measure="ndcg@10",
            low=round(low, 4),
            high=round(high, 4),
            basis=f"a rough guide: changes measured on other collections, scaled to {usable:,} queries",
            measured=dict(MEASURED_GAINS),
        ),
        detectable_change=None if seen is None else round(seen, 4),
        standing=standing(known.eval_queries or 0, spread),
    )


def _missing(known: Known) -> list[str]:
    """What makes a training or its evaluation impossible."""
    found = []
    if known.documents == 0:
        found.append("documents: index some with `tribrid index`")
    elif known.passages == 0:
        found.append("an index: the documents are stored and not indexed yet")
    if not known.labelled and not known.heuristics:
        found.append("labels: judgments, or searches with feedback; the documents have no headings or titles to use")
    if known.eval_queries is None:
        found.append(
            "an eval dataset: without one, before and after cannot be compared and nothing is promoted; where nobody "
            "judges, make one from the log with `tribrid evalset from-logs`"
        )
    elif known.eval_queries == 0:
        found.append("eval queries with a relevant document: the eval dataset has none")
    return found


def _advice(known: Known, high: float, seen: float | None) -> list[str]:
    """What makes a good end unlikely."""
    found = []
    if not known.labelled:
        found.append("nothing to learn from in logs and judgments yet: training starts from headings and titles alone")
    elif known.labelled < FEWEST_QUERIES:
        found.append(f"only {known.labelled:,} labelled queries: {FEWEST_QUERIES - known.labelled} more make a start")
    if known.coverage is not None and known.coverage < LEAST_COVERAGE:
        found.append(
            f"only {known.coverage:.0%} of the sampled positives are retrieved: a reranker cannot show the others; "
            "raise reranking.tribrid_reranker_topn"
        )
    if seen is not None and high < seen:
        wanted = math.ceil((POWER * (known.spread or SPREAD) / high) ** 2)
        found.append(
            f"{known.eval_queries:,} eval queries tell a change of {seen:.3f} from chance, and the gain may be at most "
            f"about {high:.3f}: it would take some {wanted:,}"
        )
    return found


def _summary(answer: Answer, known: Known, reasons: Sequence[str]) -> str:
    if answer == "no":
        return f"No. What is missing: {'; '.join(reason.partition(':')[0] for reason in reasons)}."
    if answer == "perhaps":
        return f"Perhaps. It can be tried, but: {'; '.join(reasons)}."
    return (
        f"Yes: {known.labelled:,} labelled queries to learn from, and {known.eval_queries:,} eval queries that will "
        "show whether it helped."
    )


def labels_view(labels: Labels) -> LabelCounts:
    """The counts; those of a sample are lower bounds."""
    return LabelCounts(
        queries=labels.queries,
        positives=labels.positives,
        in_eval_dataset=labels.left_out,
        at_least=not labels.whole,
    )
