"""What a served score means: the share of relevant documents at each score, and what a threshold on it would keep.

A reranker's score only has to order one query's candidates. Whoever cuts a list off at a score (and hands the rest to a
language model, say) trusts it across queries as well, so both are measured here: how well it orders within a query and
over all queries, and precision and recall of thresholds. The threshold with the best F1 is measured on the half of the
queries that did not choose it.

A document that nobody judged counts as not relevant, as in every measure of the report. So shares and precision are
lower bounds, and each stands beside the share among what was judged.

References:
    Wilson (1927), Probable inference, the law of succession, and statistical inference.
    Kish (1965), Survey sampling: the design effect of observations that come in clusters, here those of one query.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from tribrid.answers.calibration import Band, Calibration, ChosenThreshold, Kept, ScoreOrder, Threshold
from tribrid.evaluation.measures import Run, evaluable
from tribrid.types import JudgedQuery

Vector = NDArray[np.float64]
Flags = NDArray[np.bool_]
Places = NDArray[np.intp]

_TOP_SHARES = (0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
"""Where bins end, as shares of all scores from the top: relevant documents are few and stand there."""
_LEAST_PAIRS = 20
"""Pairs of a bin; with fewer it joins the next."""
_KEPT_SHARES = (0.95, 0.9, 0.8, 0.7, 0.5, 0.25)
"""Shares of the candidates' relevant documents that the table's thresholds keep."""
_FEW_RELEVANT = 50
_LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Every scored (query, document): parallel vectors, and the count of relevant documents of each query, found or
    not. `owner` is the query's place among `positives`; `half` (0 or 1) is where the query stands for the threshold.
    """

    scores: Vector
    relevant: Flags
    judged: Flags
    owner: Places
    positives: Vector
    half: Places

    def by_query(self, flags: Flags) -> Vector:
        """How many of the flagged pairs each query has."""
        return np.bincount(self.owner[flags], minlength=len(self.positives)).astype(np.float64)


def calibrate_served(
    systems: Mapping[str, Run], names: Sequence[str | None], queries: Sequence[JudgedQuery], threshold: float | None
) -> Calibration | None:
    """The calibration of the first of these systems that was run; None as `calibrate`."""
    name = next((name for name in names if name in systems), None)
    return None if name is None else calibrate(name, systems[name], queries, threshold)


def calibrate(
    system: str, run: Run, queries: Sequence[JudgedQuery], threshold: float | None = None
) -> Calibration | None:
    """The calibration of a system's scores; None where there is nothing to read: no relevant candidate, or one score.

    Args:
        system: the run's name.
        run: the served scores, of one kind.
        queries: with their judgments; those without a positive are left out.
        threshold: the one to measure; None: that with the best F1.
    """
    pairs = _collect(run, evaluable(queries))
    if not pairs.relevant.any() or float(np.ptp(pairs.scores)) == 0:
        return None
    order = ScoreOrder(within_queries=_order_within(pairs), across_queries=auc(pairs.scores, pairs.relevant))
    return Calibration(
        system=system,
        queries=len(pairs.positives),
        pairs=len(pairs.scores),
        judged=int(pairs.judged.sum()),
        relevant=int(pairs.relevant.sum()),
        relevant_not_candidates=int(pairs.positives.sum() - pairs.relevant.sum()),
        order=order,
        bins=tuple(_bins(pairs)),
        thresholds=tuple(
            Threshold(threshold=value, **dict(_kept(pairs, pairs.scores >= value)))
            for value in _candidate_thresholds(pairs)
        ),
        chosen=_chosen(pairs, threshold),
        notes=(*([order.told] if order.comparable is False else []), *_notes(pairs)),
    )


def _collect(run: Run, queries: Sequence[JudgedQuery]) -> _Pairs:
    scores: list[float] = []
    relevant: list[bool] = []
    judged: list[bool] = []
    sizes = []
    for query in queries:
        docs = run.get(query.query_id, ())
        grades = [query.judgments.get(doc.doc_id) for doc in docs]
        scores += [doc.score for doc in docs]
        relevant += [grade is not None and grade >= 1 for grade in grades]
        judged += [grade is not None for grade in grades]
        sizes.append(len(docs))
    return _Pairs(
        scores=np.array(scores, dtype=np.float64),
        relevant=np.array(relevant, dtype=np.bool_),
        judged=np.array(judged, dtype=np.bool_),
        owner=np.repeat(np.arange(len(queries)), sizes),
        positives=np.array([sum(g >= 1 for g in query.judgments.values()) for query in queries], dtype=np.float64),
        half=np.array([half_of(query) for query in queries], dtype=np.intp),
    )


def half_of(query: JudgedQuery) -> int:
    """0 or 1: where a query stands when one half chooses a threshold and the other measures it."""
    return hashlib.sha256(query.query_id.encode("utf-8", "surrogatepass")).digest()[0] % 2


def auc(scores: Vector, relevant: Flags) -> float | None:
    """How often a relevant one has the higher score of two, ties half; None where one of the kinds is missing."""
    from scipy.stats import rankdata  # comes with the extra train

    good = int(relevant.sum())
    bad = len(relevant) - good
    if not good or not bad:
        return None
    return float((rankdata(scores)[relevant].sum() - good * (good + 1) / 2) / (good * bad))


def _order_within(pairs: _Pairs) -> float | None:
    """The mean of each query's own `auc`, over the queries that have one."""
    ends = np.cumsum(np.bincount(pairs.owner, minlength=len(pairs.positives)))[:-1]
    parts = zip(np.split(pairs.scores, ends), np.split(pairs.relevant, ends), strict=True)
    found = [value for scores, relevant in parts if (value := auc(scores, relevant)) is not None]
    return float(np.mean(found)) if found else None


def _bins(pairs: _Pairs) -> list[Band]:
    """Bands of the score from the highest down; equal scores are never split."""
    highest_first = np.sort(pairs.scores)[::-1]
    wanted = [highest_first[min(len(highest_first) - 1, int(share * len(highest_first)))] for share in _TOP_SHARES]
    edges: list[float] = []
    taken = 0
    for edge in dict.fromkeys(wanted):
        reached = int((pairs.scores >= edge).sum())
        if reached - taken >= _LEAST_PAIRS and len(highest_first) - reached >= _LEAST_PAIRS:
            edges.append(float(edge))
            taken = reached
    lows = [*edges, float(highest_first[-1])]
    found = []
    above = np.inf
    for low in lows:
        found.append(_bin(pairs, (pairs.scores >= low) & (pairs.scores < above)))
        above = low
    return found


def _bin(pairs: _Pairs, inside: Flags) -> Band:
    scores, relevant, judged = pairs.scores[inside], inside & pairs.relevant, inside & pairs.judged
    share, interval = _share(pairs.by_query(relevant), pairs.by_query(inside))
    return Band(
        low=float(scores.min()),
        high=float(scores.max()),
        mean_score=float(scores.mean()),
        pairs=int(inside.sum()),
        judged=int(judged.sum()),
        relevant=int(relevant.sum()),
        share=share,
        ci95=interval,
        share_of_judged=_of_judged(pairs, relevant, judged),
    )


def _candidate_thresholds(pairs: _Pairs) -> list[float]:
    """The highest threshold that keeps each of `_KEPT_SHARES`, lowest first."""
    found = np.sort(pairs.scores[pairs.relevant])[::-1]
    places = [int(np.ceil(share * len(found))) - 1 for share in _KEPT_SHARES]
    return list(dict.fromkeys(float(found[place]) for place in places))


def _kept(pairs: _Pairs, kept: Flags) -> Kept:
    """What keeping these scores would mean on these queries."""
    good = kept & pairs.relevant
    precision, precision_ci = _share(pairs.by_query(good), pairs.by_query(kept))
    recall, recall_ci = _share(pairs.by_query(good), pairs.positives)
    return Kept(
        kept_per_query=float(kept.sum() / len(pairs.positives)),
        queries_with_none=int((pairs.by_query(kept) == 0).sum()),
        precision=precision,
        precision_ci95=precision_ci,
        precision_of_judged=_of_judged(pairs, good, kept & pairs.judged),
        recall=recall,
        recall_ci95=recall_ci,
    )


def _chosen(pairs: _Pairs, threshold: float | None) -> ChosenThreshold:
    """One threshold with its precision and recall, measured on queries that had no part in choosing it."""
    if threshold is not None:
        kept = _kept(pairs, pairs.scores >= threshold)
        return ChosenThreshold(by="setting", held_out=False, threshold=threshold, **dict(kept))
    best = _best_f1(pairs, np.ones(len(pairs.positives), dtype=np.bool_))
    sides = [np.asarray(pairs.half == half) for half in (0, 1)]
    if not all(pairs.relevant[side[pairs.owner]].any() for side in sides):
        kept = _kept(pairs, pairs.scores >= best)
        return ChosenThreshold(by="best F1", held_out=False, threshold=best, **dict(kept))
    # Each half of the queries is cut by what the other half chose.
    cut = np.array([_best_f1(pairs, sides[1 - half]) for half in (0, 1)])[pairs.half][pairs.owner]
    return ChosenThreshold(by="best F1", held_out=True, threshold=best, **dict(_kept(pairs, pairs.scores >= cut)))


def _best_f1(pairs: _Pairs, chosen: Flags) -> float:
    """The score that, as a threshold for these queries, has the highest F1 over all their pairs."""
    inside = chosen[pairs.owner]
    order = np.argsort(-pairs.scores[inside], kind="stable")
    scores, relevant = pairs.scores[inside][order], pairs.relevant[inside][order]
    f1 = 2 * np.cumsum(relevant) / (np.arange(1, len(scores) + 1) + pairs.positives[chosen].sum())
    # Only the last of equal scores is a threshold: the others would keep it too.
    last = np.append(scores[1:] < scores[:-1], True)
    return float(scores[last][np.argmax(f1[last])])


def _share(hits: Vector, trials: Vector) -> tuple[float | None, tuple[float, float] | None]:
    """The share of trials that hit, and its 95 % interval: Wilson's, on as many independent trials as these are worth.

    Args:
        hits, trials: counts of each query.

    Pairs of one query are alike. Where nothing or everything hits, how alike cannot be seen, and a query is one trial.
    """
    total, queries = float(trials.sum()), int((trials > 0).sum())
    if not total:
        return None, None
    share = float(hits.sum()) / total
    worth = float(queries)
    if 0 < share < 1:
        spread = float(((hits - share * trials) ** 2).sum()) / total**2 * queries / max(1, queries - 1)
        effect = max(1.0, spread / (share * (1 - share) / total))
        worth = total / effect
    return share, wilson(share, worth)


def wilson(share: float, trials: float) -> tuple[float, float]:
    """The 95 % interval of a share of so many independent trials."""
    z2 = NormalDist().inv_cdf((1 + _LEVEL) / 2) ** 2
    middle = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    reach = float(np.sqrt(z2 * (share * (1 - share) / trials + z2 / (4 * trials**2)))) / (1 + z2 / trials)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def _of_judged(pairs: _Pairs, relevant: Flags, judged: Flags) -> float | None:
    """The share of the judged that is relevant; None where only relevant documents were judged at all: it says nothing
    then.
    """
    if pairs.judged.sum() == pairs.relevant.sum() or not judged.any():
        return None
    return float(relevant.sum() / judged.sum())


def _notes(pairs: _Pairs) -> list[str]:
    found = []
    total, judged, relevant = len(pairs.scores), int(pairs.judged.sum()), int(pairs.relevant.sum())
    if judged == relevant:
        found.append(
            "Nobody judged a candidate not relevant. All that is unjudged counts as not relevant, so every share and "
            "precision is a lower bound."
        )
    elif judged < total:
        found.append(
            f"{judged:,} of {total:,} candidates are judged. The others count as not relevant, so shares and precision "
            "are lower bounds; among the judged alone they are higher, and those were rarely picked at random."
        )
    if relevant < _FEW_RELEVANT:
        found.append(f"Only {relevant} relevant candidates: the intervals are wide.")
    return found
