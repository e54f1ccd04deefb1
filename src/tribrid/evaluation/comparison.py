"""Is B better than A on these queries: the mean difference, its interval, and how likely chance alone makes it.

Paired throughout: the unit is a query, the value its difference after - before. The interval is the bootstrap's,
bias-corrected and accelerated (BCa); the p-value is that of the two-sided randomisation test, which flips the signs
of differences. Both are scipy.stats' methods (and tested against them), computed here as matrix products, so that
many measures and systems share one set of resamples: 10,000 resamples of 10,000 queries take seconds and a fixed
amount of memory.

Where labels are only probable, a query has a value for each of some drawn sets of labels (believed.py), and the last
axis of what is compared is theirs: each resample is measured on one of them.

The seed decides everything: the order of the queries, or which measures are compared together, changes nothing.

References:
    Efron (1987), Better bootstrap confidence intervals.
    Smucker, Allan and Carterette (2007), A comparison of statistical significance tests for IR evaluation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tribrid.answers.changes import Delta
from tribrid.errors import EvaluationFailed, InvalidInput

Matrix = NDArray[np.float64]
Value = float | Matrix
"""Of a query: one number, or a vector with one for each drawn set of labels."""

TIE = 1e-9
"""Differences up to this are ties: a sum taken in another order, not another ranking."""

_CHUNK = 1_000_000
"""Resampled cells (resamples x queries) held at once; 8 bytes each."""
_KEPT = 8_000_000
"""Resampled means held at once; 8 bytes each."""
_FEW_COLUMNS = 8
_BOOTSTRAP, _FLIPS = 0, 1
_PLAIN = 2
"""Axes of values whose labels are certain."""


def compare(
    before: Mapping[str, Value], after: Mapping[str, Value], *, resamples: int, confidence: float, seed: int
) -> Delta:
    """Compare one measure's values, query_id → value, of two systems.

    Raises:
        EvaluationFailed: the two do not hold the same queries, or none, or a value is not finite.
        InvalidInput: resamples < 1, or confidence not between 0 and 1.
    """
    if before.keys() != after.keys():
        unmatched = len(before.keys() ^ after.keys())
        raise EvaluationFailed(
            f"A paired comparison needs the same queries on both sides; {unmatched} are on one side only.",
            unmatched=unmatched,
        )
    differences = np.array([after[query_id] - before[query_id] for query_id in sorted(before)], dtype=np.float64)
    return deltas(differences[:, None], resamples=resamples, confidence=confidence, seed=seed)[0]


def deltas(differences: Matrix, *, resamples: int, confidence: float, seed: int) -> list[Delta]:
    """A Delta for each column of after - before, all from the same resamples.

    Args:
        differences: shape (queries, columns), or (queries, columns, sets of labels).

    Raises:
        EvaluationFailed: no queries, or a value is not finite.
        InvalidInput: resamples < 1, or confidence not between 0 and 1.
    """
    differences = np.where(np.abs(differences) <= TIE, 0.0, differences)
    bounds = intervals(differences, levels=(0.95, confidence), resamples=resamples, seed=seed)
    p_values = sign_flip_p(differences, resamples=resamples, seed=seed)
    found = []
    for column, values in enumerate(_by_query(differences).T):
        wins, losses = int((values > TIE).sum()), int((values < -TIE).sum())
        found.append(
            Delta(
                mean=float(values.mean()),
                ci95=_pair(bounds[0, column]),
                p_value=float(p_values[column]),
                wins=wins,
                losses=losses,
                ties=len(values) - wins - losses,
                ci=_pair(bounds[1, column]),
                confidence=confidence,
            )
        )
    return found


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for having looked at all of them: the chance of one false alarm in the family stays what it
    is for one alone, however they depend on each other.

    References: Holm (1979), A simple sequentially rejective multiple test procedure.
    """
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for done, number in enumerate(sorted(range(len(p_values)), key=lambda at: p_values[at])):
        highest = max(highest, min(1.0, (len(p_values) - done) * p_values[number]))
        corrected[number] = highest
    return corrected


def adjusted(family: Sequence[Delta]) -> list[Delta]:
    """The same changes, each with its `p_holm` within this family."""
    corrected = holm([delta.p_value for delta in family])
    return [delta.model_copy(update={"p_holm": value}) for delta, value in zip(family, corrected, strict=True)]


def by_family(changes: Mapping[str, Delta], is_quality: Callable[[str], bool]) -> dict[str, Delta]:
    """Changes of several measures, corrected for looking at all. Judged@k asks another question than the measures of
    quality do: it is no member of their family, and has its own.
    """
    found = dict(changes)
    for family in ([key for key in found if is_quality(key)], [key for key in found if not is_quality(key)]):
        found |= dict(zip(family, adjusted([changes[key] for key in family]), strict=True))
    return found


def resampled_means(values: Matrix, *, resamples: int, seed: int) -> Matrix:
    """Column means over queries drawn with replacement: shape (resamples, columns). The values are as in `deltas`.

    Raises:
        EvaluationFailed, InvalidInput: as `deltas`.
    """
    _check(values, resamples)
    return _resampled(values, resamples, seed)


def intervals(values: Matrix, *, levels: Sequence[float], resamples: int, seed: int) -> Matrix:
    """BCa bootstrap intervals of each column's mean: shape (levels, columns, 2).

    A column of equal values has an interval of no width. Few queries give an interval that is too narrow (with one,
    none at all): read it with the p-value, which is exact for any number.

    Args:
        values: as in `deltas`.
        levels: coverages, each between 0 and 1.

    Raises:
        EvaluationFailed, InvalidInput: as `deltas`.
    """
    _check(values, resamples)
    if not all(0 < level < 1 for level in levels):
        raise InvalidInput(f"A confidence level lies between 0 and 1, not {levels}.", levels=list(levels))
    found = np.empty((len(levels), values.shape[1], 2))
    # A block of columns at a time, each block drawing the same resamples again, bounds what is held.
    block = max(1, _KEPT // resamples)
    for start in range(0, values.shape[1], block):
        columns = values[:, start : start + block]
        resampled = _resampled(columns, resamples, seed)
        for offset, column in enumerate(_by_query(columns).T):
            for at, level in enumerate(levels):
                found[at, start + offset] = _bca(column, resampled[:, offset], level)
    return found


def sign_flip_p(differences: Matrix, *, resamples: int, seed: int) -> Matrix:
    """Two-sided p-values of the paired randomisation test, shape (columns,). The values are as in `deltas`.

    If A and B were alike, each query's difference could as well have had the other sign. p is the share of sign
    patterns whose mean is at least as far from 0 as the one seen: over all patterns where those are no more than
    `resamples`, else over that many random ones (the pattern seen counted among them, so p is never 0).

    Raises:
        EvaluationFailed, InvalidInput: as `deltas`.
    """
    _check(differences, resamples)
    values = _by_query(differences)
    # Sums taken in another order differ in their last digits: what is equal must count as equal.
    seen = np.abs(values.sum(axis=0)) - 1e-12 * np.abs(values).sum(axis=0)
    if differences.ndim > _PLAIN:
        counts = _drawn_flip_counts(differences, seen, resamples, seed)
        return np.asarray((1.0 + counts) / (1.0 + resamples))
    found = (1.0 + _flip_counts(differences, seen, resamples, seed)) / (1.0 + resamples)
    for column in range(differences.shape[1]):
        nonzero = differences[differences[:, column] != 0, column]
        if 2 ** min(len(nonzero), 64) <= resamples:
            found[column] = float((np.abs(_all_sign_sums(nonzero)) >= seen[column]).mean())
    return found


def _check(values: Matrix, resamples: int) -> None:
    if resamples < 1:
        raise InvalidInput(f"resamples is {resamples}; there must be at least 1.", resamples=resamples)
    if values.shape[0] == 0:
        raise EvaluationFailed("There is no query with a positive judgment, so there is nothing to compare.")
    if not np.isfinite(values).all():
        raise EvaluationFailed("A measured value is not a finite number.")


def _chunks(resamples: int, queries: int) -> Iterator[int]:
    """How many resamples to draw at a time."""
    rows = max(1, _CHUNK // queries)
    for start in range(0, resamples, rows):
        yield min(rows, resamples - start)


def _by_query(values: Matrix) -> Matrix:
    """Shape (queries, columns): the mean over the sets of labels, where there are several."""
    found: Matrix = values.mean(axis=2) if values.ndim > _PLAIN else values
    return found


def _resampled(values: Matrix, resamples: int, seed: int) -> Matrix:
    """Column means of resamples: shape (resamples, columns)."""
    if values.ndim == _PLAIN:
        return _bootstrap_means(values, resamples, seed)
    queries, columns, sets = values.shape
    generator = np.random.default_rng([seed, _BOOTSTRAP])
    found, done = np.empty((resamples, columns)), 0
    for rows in _chunks(resamples, queries):
        drawn = generator.integers(0, queries, size=(rows, queries)) + np.arange(rows)[:, None] * queries
        counts = np.bincount(drawn.ravel(), minlength=rows * queries).reshape(rows, queries).astype(np.float64)
        found[done : done + rows] = _by_set(counts, values, generator.integers(0, sets, size=rows)) / queries
        done += rows
    return found


def _by_set(weights: Matrix, values: Matrix, chosen: NDArray[np.int64]) -> Matrix:
    """Sums over queries, shape (rows, columns): each row of weights by the values of its own set of labels."""
    found = np.empty((len(weights), values.shape[1]))
    for number in np.unique(chosen).tolist():
        rows = chosen == number
        found[rows] = _product(weights[rows], values[:, :, number])
    return found


def _drawn_flip_counts(differences: Matrix, seen: Matrix, resamples: int, seed: int) -> Matrix:
    """As `_flip_counts`, each sign pattern on a set of labels of its own."""
    queries, columns, sets = differences.shape
    generator = np.random.default_rng([seed, _FLIPS])
    counts = np.zeros(columns)
    for rows in _chunks(resamples, queries):
        signs = (1 - 2 * generator.integers(0, 2, size=(rows, queries))).astype(np.float64)
        sums = _by_set(signs, differences, generator.integers(0, sets, size=rows))
        counts += (np.abs(sums) >= seen).sum(axis=0)
    return counts


def _bootstrap_means(values: Matrix, resamples: int, seed: int) -> Matrix:
    """Column means over queries drawn with replacement: shape (resamples, columns).

    A resample is the count of how often each query was drawn, so a chunk of them is one matrix product.
    """
    queries = values.shape[0]
    generator = np.random.default_rng([seed, _BOOTSTRAP])
    found = np.empty((resamples, values.shape[1]))
    done = 0
    for rows in _chunks(resamples, queries):
        drawn = generator.integers(0, queries, size=(rows, queries))
        drawn += np.arange(rows)[:, None] * queries
        counts = np.bincount(drawn.ravel(), minlength=rows * queries).reshape(rows, queries)
        found[done : done + rows] = _product(counts.astype(np.float64), values)
        done += rows
    found /= queries
    return found


def _product(weights: Matrix, columns: Matrix) -> Matrix:
    """`weights @ columns`, a column at a time where there are few.

    BLAS shares even a small product among threads, and on a busy machine waits seconds for them over all chunks;
    einsum needs none.
    """
    if columns.shape[1] > _FEW_COLUMNS:
        return weights @ columns
    return np.column_stack([np.einsum("ij,j->i", weights, column) for column in columns.T])


def _bca(values: Matrix, resampled: Matrix, level: float) -> Matrix:
    """Lower and upper bound of the mean of `values` from its resampled means (Efron 1987, for a mean)."""
    from scipy.special import ndtr, ndtri  # comes with the extra train, as ir_measures, without which nothing is here

    centred = values - values.mean()
    spread = float((centred**2).sum())
    tolerance = 1e-12 * float(np.abs(values).max())
    if (np.ptp(values) == 0 or spread == 0) and np.ptp(resampled) <= tolerance:
        return np.full(2, values.mean())
    below = (resampled < values.mean() - tolerance).mean()
    at_most = (resampled <= values.mean() + tolerance).mean()
    bias = ndtri(np.clip((below + at_most) / 2, 0.5 / len(resampled), 1 - 0.5 / len(resampled)))
    acceleration = float((centred**3).sum()) / (6 * spread**1.5) if spread else 0.0
    tails = ndtri(np.array([(1 - level) / 2, (1 + level) / 2]))
    divisor = 1 - acceleration * (bias + tails)
    adjusted = ndtr(bias + (bias + tails) / divisor) if (divisor > 0).all() else ndtr(tails)
    bounds: Matrix = np.quantile(resampled, adjusted)
    return bounds


def _flip_counts(differences: Matrix, seen: Matrix, resamples: int, seed: int) -> Matrix:
    """In how many random sign patterns each column's sum is at least as far from 0 as `seen`, shape (columns,)."""
    queries = differences.shape[0]
    generator = np.random.default_rng([seed, _FLIPS])
    total = differences.sum(axis=0)
    counts = np.zeros(differences.shape[1])
    for rows in _chunks(resamples, queries):
        packed = generator.integers(0, 256, size=(rows, (queries + 7) // 8), dtype=np.uint8)
        kept = np.unpackbits(packed, axis=1, count=queries).astype(np.float64)
        counts += (np.abs(2 * _product(kept, differences) - total) >= seen).sum(axis=0)
    return counts


def _all_sign_sums(values: Matrix) -> Matrix:
    """The sum of `values` under each of the 2^n sign patterns."""
    sums: Matrix = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums + value, sums - value])
    return sums


def _pair(bounds: Matrix) -> tuple[float, float]:
    return float(bounds[0]), float(bounds[1])
