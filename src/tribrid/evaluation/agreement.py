"""How far two judges agree: Cohen's kappa with quadratic weights, and its interval over queries.

A grade that is off by two counts four times as much as one that is off by one. Pairs of one query are alike, so queries
are drawn, not pairs.

References:
    Cohen (1968), Weighted kappa: nominal scale agreement with provision for scaled disagreement or partial credit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.float64]
LEAST_QUERIES = 5
"""With fewer an interval by drawing queries says nothing."""
_RESAMPLES, _SEED = 2000, 42


@dataclass(frozen=True, slots=True)
class Kappa:
    """`table`: pairs by the grade of the first judge (row) and of the second (column)."""

    kappa: float | None
    ci95: tuple[float, float] | None
    table: tuple[tuple[int, ...], ...]


def weighted_kappa(pairs: Sequence[tuple[str, int, int]], grades: int) -> Kappa:
    """The agreement of two judges on (query_id, grade of the first, grade of the second).

    Args:
        grades: how many there are; each is from 0 to one less.
    """
    places = {query_id: at for at, query_id in enumerate(sorted({pair[0] for pair in pairs}))}
    by_query = np.zeros((len(places), grades, grades))
    for query_id, a, b in pairs:
        by_query[places[query_id], a, b] += 1
    table = by_query.sum(axis=0)
    (kappa,) = _kappas(table[None])
    found = None if np.isnan(kappa) else float(kappa)
    interval = _interval(by_query) if found is not None and len(places) >= LEAST_QUERIES else None
    return Kappa(found, interval, tuple(tuple(map(int, row)) for row in table))


def _interval(by_query: Counts) -> tuple[float, float] | None:
    """The percentiles over tables of queries drawn with replacement, of those of which kappa can be told."""
    queries = len(by_query)
    drawn = np.random.default_rng(_SEED).multinomial(queries, np.full(queries, 1 / queries), size=_RESAMPLES)
    kappas = _kappas(np.tensordot(drawn.astype(np.float64), by_query, axes=1))
    told = kappas[~np.isnan(kappas)]
    if len(told) < _RESAMPLES / 2:
        return None
    low, high = np.percentile(told, (2.5, 97.5))
    return float(low), float(high)


def _kappas(tables: Counts) -> Counts:
    """Kappa of each table, shape (tables,); NaN where chance alone would never disagree."""
    places = np.arange(tables.shape[1])
    weights = (places[:, None] - places[None, :]) ** 2.0
    total = tables.sum(axis=(1, 2))
    by_chance = np.einsum("ti,tj,ij->t", tables.sum(axis=2), tables.sum(axis=1), weights)
    seen = np.einsum("tij,ij->t", tables, weights) * total
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(by_chance > 0, 1 - seen / by_chance, np.nan)
