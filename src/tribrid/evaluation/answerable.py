"""Do scores tell a query that has an answer here from one that has none?

No answer is an answer: a query of which documents were judged and none is relevant. No ranking of it is better than
another, so no measure reads it; but whoever shows or quotes the best document wants its score to be low. So the best
score of each query is looked at: how often, of a query with an answer and one without, the former's is higher, and what
a threshold would keep. A query of which nothing was judged says nothing here.

References:
    Newcombe (2006), Confidence intervals for an effect size measure based on the Mann-Whitney statistic, part 2
    (method 5, which holds for few queries and at the ends).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import NormalDist

import numpy as np

from tribrid.answers.calibration import Answerability
from tribrid.answers.changes import Interval
from tribrid.evaluation.calibration import Flags, Places, Vector, auc, half_of, wilson
from tribrid.evaluation.measures import Run
from tribrid.types import JudgedQuery

TINY = 1e-9
_Z = NormalDist().inv_cdf(0.975)


def is_answerless(query: JudgedQuery) -> bool:
    """Whether somebody looked and found nothing relevant."""
    return bool(query.judgments) and not query.has_positive


def answerable_served(
    systems: Mapping[str, Run], names: Sequence[str | None], queries: Sequence[JudgedQuery], threshold: float | None
) -> Answerability | None:
    """How well the scores of the first of these systems that was run tell queries without an answer apart; None where
    there is none of either kind.
    """
    name = next((name for name in names if name in systems), None)
    return None if name is None else answerable(name, systems[name], queries, threshold)


def answerable(
    system: str, run: Run, queries: Sequence[JudgedQuery], threshold: float | None = None
) -> Answerability | None:
    """The same of one system.

    Args:
        run: the served scores, of one kind.
        threshold: the one to measure; None: the one that tells most of both kinds apart.
    """
    looked_at = [query for query in queries if query.judgments and run.get(query.query_id)]
    best = _best(run, looked_at)
    answered = np.array([query.has_positive for query in looked_at], np.bool_)
    area = auc(best, answered) if len(best) else None
    if area is None:
        return None
    half = np.array([half_of(query) for query in looked_at], np.intp)
    chosen, kept, held_out = _chosen(best, answered, half, threshold)
    hits, good = int((kept & answered).sum()), int(answered.sum())
    precision, precision_ci95 = _share(hits, int(kept.sum()))
    return Answerability(
        system=system,
        with_answer=good,
        without_answer=len(best) - good,
        auroc=area,
        auroc_ci95=area_interval(area, good, len(best) - good),
        threshold=chosen,
        by="setting" if threshold is not None else "both kinds",
        held_out=held_out,
        precision=precision,
        precision_ci95=precision_ci95,
        recall=hits / good,
        recall_ci95=wilson(hits / good, good),
    )


def _best(run: Run, queries: Sequence[JudgedQuery]) -> Vector:
    """The highest score of each query."""
    return np.array([max(doc.score for doc in run[query.query_id]) for query in queries], np.float64)


def _share(hits: int, trials: int) -> tuple[float, Interval] | tuple[None, None]:
    """A share with its 95 % interval; nothing of nothing."""
    return (hits / trials, wilson(hits / trials, trials)) if trials else (None, None)


def area_interval(area: float, good: int, bad: int) -> Interval:
    """The 95 % interval of the share of pairs in the right order."""
    from scipy.optimize import brentq  # comes with the extra train

    def beyond(bound: float) -> float:
        sizes = (good + bad) / 2 - 1
        spread = bound * (1 - bound) * (1 + sizes * ((1 - bound) / (2 - bound) + bound / (1 + bound))) / (good * bad)
        return float(abs(area - bound) - _Z * np.sqrt(spread))

    low = brentq(beyond, TINY, min(area, 1 - TINY)) if area > TINY else 0.0
    high = brentq(beyond, max(area, TINY), 1 - TINY) if area < 1 - TINY else 1.0
    return (float(low), float(high))


def _chosen(best: Vector, answered: Flags, half: Places, threshold: float | None) -> tuple[float, Flags, bool]:
    """A threshold, what it keeps of queries that had no part in choosing it, and whether there are such."""
    if threshold is not None:
        return threshold, best >= threshold, False
    chosen = _most_apart(best, answered)
    sides = [half == side for side in (0, 1)]
    if not all(answered[side].any() and (~answered[side]).any() for side in sides):
        return chosen, best >= chosen, False
    cut = np.array([_most_apart(best[sides[1 - side]], answered[sides[1 - side]]) for side in (0, 1)])[half]
    return chosen, best >= cut, True


def _most_apart(best: Vector, answered: Flags) -> float:
    """The score from which on the shares kept of both kinds differ most."""
    found = np.unique(best)
    kept = best[None, :] >= found[:, None]
    apart = kept[:, answered].mean(axis=1) - kept[:, ~answered].mean(axis=1)
    return float(found[int(apart.argmax())])
