"""Is a gain the same everywhere? One change in one measure, seen on several corpora.

The pooled interval is of the plain mean over these corpora (each counts the same, however many queries it has), by a
bootstrap that draws queries within each corpus. It says nothing of a corpus that was not asked. Whether corpora differ
by more than chance is Cochran's Q, and how much of the scatter that is, I².

References:
    Cochran (1954), The combination of estimates from different experiments.
    Higgins and Thompson (2002), Quantifying heterogeneity in a meta-analysis.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tribrid.answers.changes import Consistency, CorpusPart, Delta, Heterogeneity, Pooled
from tribrid.config.sections import EvaluationConfig
from tribrid.evaluation.comparison import Matrix, Value, deltas, resampled_means

Answer = Literal["yes", "no", "unclear"]

_DIFFER = 0.05
"""p of Cochran's Q below which corpora are said to differ."""


@dataclass(frozen=True, slots=True)
class CorpusChange:
    """One corpus's values of the measure that decides, query_id → value, and who made them.

    `transferred`: the model was trained on another corpus. `leaked`: queries that it was trained on. `before` and
    `after` hold the same queries.
    """

    corpus_id: str
    before: Mapping[str, Value]
    after: Mapping[str, Value]
    before_system: str
    model_id: str | None
    transferred: bool = False
    leaked: int = 0

    @property
    def differences(self) -> Matrix:
        return np.array([self.after[query_id] - self.before[query_id] for query_id in sorted(self.before)], np.float64)


def compare_corpora(
    measure: str, changes: Sequence[CorpusChange], config: EvaluationConfig
) -> tuple[tuple[CorpusPart, ...], Consistency]:
    """The change on each corpus, and whether the gain is consistent across them.

    Args:
        measure: its report key.
        changes: two corpora or more, each with at least one query.
    """
    found = [
        deltas(change.differences[:, None], resamples=config.resamples, confidence=config.confidence, seed=config.seed)[
            0
        ]
        for change in changes
    ]
    rows = tuple(_row(change, delta) for change, delta in zip(changes, found, strict=True))
    heterogeneity = _heterogeneity([change.differences for change in changes])
    pooled = _pooled([change.differences for change in changes], config)
    answer, reasons = _answer([change.corpus_id for change in changes], found, heterogeneity, pooled)
    if leaked := [change.corpus_id for change in changes if change.leaked]:
        answer = "unclear" if answer == "yes" else answer
        reasons = [f"Queries of {', '.join(leaked)} were trained on, so a gain there may be memory.", *reasons]
    return rows, Consistency(
        consistent=answer,
        reasons=tuple(reasons),
        measure=measure,
        gains=sum(delta.mean > 0 for delta in found),
        losses=sum(delta.mean < 0 for delta in found),
        pooled=pooled,
        heterogeneity=heterogeneity,
    )


def _row(change: CorpusChange, delta: Delta) -> CorpusPart:
    return CorpusPart(
        corpus_id=change.corpus_id,
        model_id=change.model_id,
        transferred=change.transferred,
        compared_with=change.before_system,
        queries=len(change.before),
        leaked=change.leaked,
        before=float(np.mean(list(change.before.values()))),
        after=float(np.mean(list(change.after.values()))),
        delta=delta,
    )


def _heterogeneity(differences: Sequence[Matrix]) -> Heterogeneity | None:
    """Cochran's Q, its p-value and I² over the corpora whose change scatters at all; None with fewer than two."""
    from scipy.special import chdtrc  # comes with the extra train

    scattered = [values for values in differences if len(values) > 1 and np.ptp(values) > 0]
    if len(scattered) < 2:
        return None
    means = np.array([values.mean() for values in scattered])
    weights = np.array([len(values) / values.var(ddof=1) for values in scattered])
    q = float((weights * (means - np.average(means, weights=weights)) ** 2).sum())
    freedom = len(scattered) - 1
    return Heterogeneity(q=q, p_value=float(chdtrc(freedom, q)), i2=max(0.0, (q - freedom) / q) if q > 0 else 0.0)


def _pooled(differences: Sequence[Matrix], config: EvaluationConfig) -> Pooled:
    """The mean of the corpora's mean changes, with the 95 % interval of a bootstrap within each."""
    drawn = [
        resampled_means(values[:, None], resamples=config.resamples, seed=config.seed + number)[:, 0]
        for number, values in enumerate(differences)
    ]
    low, high = np.quantile(np.mean(drawn, axis=0), [0.025, 0.975])
    mean = float(np.mean([values.mean() for values in differences]))
    return Pooled(mean=mean, ci95=(float(low), float(high)))


def _answer(
    corpus_ids: Sequence[str],
    found: Sequence[Delta],
    heterogeneity: Heterogeneity | None,
    pooled: Pooled,
) -> tuple[Answer, list[str]]:
    """The answer, and why. A no needs evidence: a corpus that certainly loses, or one that falls behind the others."""
    worse = [name for name, delta in zip(corpus_ids, found, strict=True) if delta.ci95[1] < 0]
    not_up = [name for name, delta in zip(corpus_ids, found, strict=True) if delta.mean <= 0]
    low, high = pooled.ci95
    spread = f"Over all, {pooled.mean:+.3f} [{low:+.3f}, {high:+.3f}], each corpus counting the same."
    differ = heterogeneity is not None and heterogeneity.p_value < _DIFFER
    reasons = [spread, *_words(heterogeneity, differ)]
    if worse:
        return "no", [f"It falls on {', '.join(worse)}, and chance does not explain that.", *reasons]
    if differ and not_up:
        return "no", [f"It does not rise on {', '.join(not_up)}, and the corpora differ.", *reasons]
    if not not_up and low > 0:
        return "yes", [f"It rises on each of the {len(found)} corpora.", *reasons]
    if not_up:
        return "unclear", [f"It does not rise on {', '.join(not_up)}, which may be chance.", *reasons]
    return "unclear", ["It rises on each corpus, but over all it cannot be told from chance.", *reasons]


def _words(heterogeneity: Heterogeneity | None, differ: bool) -> list[str]:
    if heterogeneity is None:
        return ["Whether the corpora differ cannot be said: too few of them change at all."]
    facts = f"(Q p = {heterogeneity.p_value:.3f}, I² = {heterogeneity.i2:.0%})"
    if differ:
        return [f"How much it changes differs between the corpora by more than chance {facts}: look at each."]
    return [f"The corpora differ by no more than chance would make them {facts}."]
