"""How well two judges agree on the documents that both graded: people among themselves, or a model with people.

Weighted kappa: 1 where they always say the same, 0 where they agree as often as if each graded blindly. A disagreement
weighs with the square of the grades between them. The interval is a bootstrap over queries, since the documents of one
query share its difficulty.

People who only ever gave 0 and 1 did not say which of the relevant is best. So a model's grade above the highest that
people gave counts as that.

References: Cohen 1968 (weighted kappa); Efron, Tibshirani 1993 (the percentile interval).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

TOP_GRADE = 3
LEAST_QUERIES = 10
"""With fewer, a bootstrap over them says nothing."""
RESAMPLES = 2000
Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Pair:
    """What people and the model said of one document for one query."""

    query: str
    people: int
    model: float


@dataclass(frozen=True, slots=True)
class Agreed:
    """`kappa` None: it cannot be told, and `why` says why not. `low`, `high`: its interval; None: too few queries.

    `table`: how often people gave each grade (rows) where the model gave each (columns).
    """

    pairs: int
    queries: int
    kappa: float | None
    low: float | None
    high: float | None
    table: Sequence[Sequence[int]]
    why: str | None = None


def agreement(pairs: Iterable[Pair], *, confidence: float, seed: int, top: int | None = None) -> Agreed:
    """The agreement on these pairs.

    Args:
        top: the highest grade; None for the highest that people gave, at most 3.
    """
    found = list(pairs)
    if top is None:
        top = min(TOP_GRADE, max((pair.people for pair in found), default=0))
    tables: defaultdict[str, Floats] = defaultdict(lambda: np.zeros((top + 1, top + 1)))
    for pair in found:
        tables[pair.query][min(max(pair.people, 0), top), min(int(pair.model + 0.5), top)] += 1
    by_query = np.stack(list(tables.values())) if tables else np.zeros((0, top + 1, top + 1))
    whole = by_query.sum(axis=0)
    kappa = float(_kappa(whole[None])[0])
    low, high = _interval(by_query, confidence, seed) if np.isfinite(kappa) else (None, None)
    return Agreed(
        pairs=len(found),
        queries=len(tables),
        kappa=kappa if np.isfinite(kappa) else None,
        low=low,
        high=high,
        table=tuple(tuple(int(count) for count in row) for row in whole),
        why=_why(len(found), whole, low),
    )


def _why(pairs: int, table: Floats, low: float | None) -> str | None:
    if not pairs:
        return "No document was graded by people and by the model."
    if (table.sum(axis=1) > 0).sum() < 2:
        return "People gave all these documents the same grade, so that agreement cannot be told from chance."
    return f"An interval takes {LEAST_QUERIES} queries." if low is None else None


def _interval(by_query: Floats, confidence: float, seed: int) -> tuple[float | None, float | None]:
    count = len(by_query)
    if count < LEAST_QUERIES:
        return None, None
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
    sums = (drawn @ by_query.reshape(count, -1)).reshape(RESAMPLES, *by_query.shape[1:])
    kappas = _kappa(sums)
    kappas = kappas[np.isfinite(kappas)]
    tail = (1 - confidence) / 2
    low, high = np.quantile(kappas, [tail, 1 - tail])
    return float(low), float(high)


def _kappa(tables: Floats) -> Floats:
    """float64 (n,) of tables (n, k, k); not a number where nothing can be told."""
    grades = np.arange(tables.shape[1])
    weights = (grades[:, None] - grades[None, :]) ** 2
    people, model = tables.sum(axis=2), tables.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = people[:, :, None] * model[:, None, :] / tables.sum(axis=(1, 2))[:, None, None]
        found: Floats = 1 - (weights * tables).sum(axis=(1, 2)) / (weights * expected).sum(axis=(1, 2))
    found[(people > 0).sum(axis=1) < 2] = np.nan
    return found


def pairs_of(people: Mapping[str, Mapping[str, int]], model: Mapping[str, Mapping[str, float]]) -> list[Pair]:
    """What both graded; both are query → doc_id → grade."""
    return [
        Pair(query, grade, model[query][doc_id])
        for query, grades in people.items()
        if query in model
        for doc_id, grade in grades.items()
        if doc_id in model[query]
    ]
