"""How likely each rank is to be looked at, and how likely what is looked at is to be used.

The position-based model: a document is used when it is looked at, which depends on its rank alone, and when it
attracts, which depends on the document alone. Documents are of two kinds: good ones attract much, all others little
(people click by mistake and out of curiosity). Expectation-maximisation finds the examination of each rank, how much
either kind attracts, and how many of the documents at each rank are good.

What tells position from quality is a document that was shown for one query at several ranks, because the model or
the corpus changed: of the same document, the clicks at two ranks are in the ratio of the ranks' examination
(intervention harvesting). Everything is drawn towards a stated prior, and with few clicks stays there.

References:
    Richardson et al.: Predicting clicks, WWW 2007 (the model). Wang et al.: Position bias estimation for unbiased
    learning to rank in personal search, WSDM 2018 (by expectation-maximisation). Agarwal et al.: Estimating position
    bias without intrusive interventions, WSDM 2019, arXiv 1812.05161 (harvesting, all pairs of ranks).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tribrid.types.stored import ClickModelFacts

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ETA = 1.0
"""The prior examination of rank k is 1 / k^ETA: what eye tracking and click logs of web search come near."""
EXAMINATION_PRIOR = 100.0
"""Impressions at a rank that the prior counts as."""
HARVEST_PRIOR = 10.0
"""Clicks, at two neighbouring ranks together, that their prior ratio counts as."""
GOOD_PRIOR, OTHER_PRIOR = 0.5, 0.05
"""Share of the looks at a good document, and at any other, that end in its use."""
SHARE_PRIOR = 0.15
"""Share of the documents shown that are good."""
KIND_PRIOR = 10.0
"""Looks, and impressions at a rank, that those three count as."""
LEAST_CONTRAST = 3.0
"""A click speaks at least this many times more for a good document than for another, whatever the log says: where
it holds one impression of each pair, nothing else keeps the kinds apart."""
LEAST_EXAMINATION = 0.001
MOST_CHANCE = 0.999
"""Nothing is certain to be used: one look without a click must not rule a document out."""

REPORTED_RANKS = 10
MOST_CELLS = 100_000
"""Counts fitted to: more of them, which is every n-th query's, would only say the same."""
MOST_ITERATIONS = 60
TOLERANCE = 1e-4
MOST_OFFSETS = 8
"""A pair shown at more ranks than this is compared at the nearest ones."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Impressions and uses of (query, document) pairs, one row for each pair and rank, rows of a pair together.

    Attributes:
        pair: int64 (n,), a number for the pair, ascending.
        rank: int64 (n,), from 1.
        shown, used: float64 (n,), `used` <= `shown`; `fit` leaves out rows that were not shown.
    """

    pair: Ints
    rank: Ints
    shown: Floats
    used: Floats


@dataclass(frozen=True, slots=True)
class ClickModel:
    """What was learned of how people look.

    Attributes:
        examination: float64 (ranks,), chance that a rank is looked at, the highest is 1; the last one stands for all
            ranks below too.
        good, other: chance that a good document, or another, is used when it is looked at.
        share: float64 (ranks,), share of the documents at a rank that are good.
        average: uses per look, over all that was shown.
        harvested: clicks on pairs that were shown at several ranks.
    """

    examination: Floats
    good: float
    other: float
    share: Floats
    average: float
    harvested: int

    def examined(self, rank: Ints) -> Floats:
        """Chance that each rank is looked at."""
        return self._at(self.examination, rank)

    def good_share(self, rank: Ints) -> Floats:
        return self._at(self.share, rank)

    def view(self) -> ClickModelFacts:
        """For a report: the first ranks, rounded. Equal for equal logs."""
        return {
            "examination": np.round(self.examination[:REPORTED_RANKS], 3).tolist(),
            "good_used": round(self.good, 3),
            "others_used": round(self.other, 3),
            "clicks_at_several_ranks": self.harvested,
        }

    def for_use(self) -> float:
        """What one use adds to the log-odds that a document is good."""
        return float(np.log(self.good / self.other))

    def for_silence(self, rank: Ints) -> Floats:
        """What being shown at a rank and left alone adds to them: less than 0, and little where nobody looks."""
        examined = self.examined(rank)
        silence: Floats = np.log1p(-_chance(examined, self.good)) - np.log1p(-_chance(examined, self.other))
        return silence

    @staticmethod
    def _at(values: Floats, rank: Ints) -> Floats:
        found: Floats = values[np.minimum(rank, len(values)) - 1]
        return found


def fit(counts: Counts) -> ClickModel:
    """The model of a log; that of the prior where there is none."""
    sample = _sample(counts)
    ranks = int(sample.rank.max(initial=1))
    curve, harvested = harvest(sample, ranks)
    model = _Estimate(sample, curve).run()
    looks = float((model.examined(counts.rank) * counts.shown).sum())
    prior = SHARE_PRIOR * GOOD_PRIOR + (1 - SHARE_PRIOR) * OTHER_PRIOR
    average = (float(counts.used.sum()) + KIND_PRIOR * prior) / (looks + KIND_PRIOR)
    return ClickModel(model.examination, model.good, model.other, model.share, average, harvested)


def prior_examination(ranks: int) -> Floats:
    """float64 (ranks,): what is assumed of them before any click."""
    curve: Floats = np.arange(1, ranks + 1, dtype=np.float64) ** -ETA
    return curve


def harvest(counts: Counts, ranks: int) -> tuple[Floats, int]:
    """The examination of each rank by intervention harvesting, and the clicks that it rests on.

    For every two ranks, the clicks per impression at one and at the other are summed over the pairs shown at both,
    each pair weighing as many impressions as it has at the rarer of the two. The logarithms of the two sums' ratios,
    and of the prior's ratios of neighbours, are joined by least squares, each weighing by its variance.
    """
    clicks = np.zeros((ranks, ranks))
    repeated = np.zeros(len(counts.pair), dtype=bool)
    for offset in range(1, min(MOST_OFFSETS, len(counts.pair) - 1) + 1):
        same = np.flatnonzero(counts.pair[offset:] == counts.pair[:-offset])
        if not len(same):
            break
        for at, beside in ((same, same + offset), (same + offset, same)):
            weight = np.minimum(counts.shown[at], counts.shown[beside])
            np.add.at(
                clicks, (counts.rank[at] - 1, counts.rank[beside] - 1), weight * counts.used[at] / counts.shown[at]
            )
            repeated[at] = True
    laplacian = np.zeros((ranks, ranks))
    right = np.zeros(ranks)
    prior = np.log(prior_examination(ranks))
    for a, b in np.argwhere(np.triu((clicks > 0) & (clicks.T > 0), 1)).tolist():
        there, here = float(clicks[a, b]), float(clicks[b, a])
        _equation(laplacian, right, a, b, float(np.log(there / here)), 1 / (1 / there + 1 / here))
    for a in range(ranks - 1):
        _equation(laplacian, right, a, a + 1, float(prior[a] - prior[a + 1]), HARVEST_PRIOR / 4)
    laplacian[0, 0] += 1.0  # one of the logarithms is free: that of rank 1 is 0
    curve = np.exp(np.linalg.solve(laplacian, right))
    return _scaled(curve), int(counts.used[repeated].sum())


def _equation(laplacian: Floats, right: Floats, a: int, b: int, difference: float, weight: float) -> None:
    """Adds `x[a] - x[b] = difference`, to be met as nearly as its weight demands."""
    laplacian[a, a] += weight
    laplacian[b, b] += weight
    laplacian[a, b] -= weight
    laplacian[b, a] -= weight
    right[a] += weight * difference
    right[b] -= weight * difference


def _scaled(curve: Floats) -> Floats:
    scaled: Floats = np.clip(curve / curve.max(), LEAST_EXAMINATION, 1.0)
    return scaled


def _chance(examined: Any, attraction: float) -> Any:
    return np.minimum(examined * attraction, MOST_CHANCE)


def _sample(counts: Counts) -> Counts:
    """Every n-th pair that was shown, with all its rows, so that at most some MOST_CELLS are left."""
    kept = counts.shown > 0
    step = -(-len(counts.pair) // MOST_CELLS)
    if step > 1:
        kept &= np.cumsum(np.diff(counts.pair, prepend=counts.pair[0]) != 0) % step == 0
    return Counts(counts.pair[kept], counts.rank[kept], counts.shown[kept], counts.used[kept])


@dataclass(slots=True)
class _Kind:
    """One kind of document in one iteration: how many looks it had, and how many of them ended in its use."""

    looks: float
    drawn: float


class _Estimate:
    """Expectation-maximisation over the counts of a log."""

    def __init__(self, counts: Counts, curve: Floats) -> None:
        self._counts = counts
        self._row = counts.rank - 1
        self._starts = np.flatnonzero(np.diff(counts.pair, prepend=-1) != 0)
        self._rows = np.diff(np.append(self._starts, len(counts.pair))).astype(np.int64)
        self._silent = counts.shown - counts.used
        self._shown_at = np.bincount(self._row, counts.shown, len(curve))
        self._prior = curve
        self._examination = curve
        self._good, self._other = GOOD_PRIOR, OTHER_PRIOR
        self._share: Floats = np.full(len(curve), SHARE_PRIOR)

    def run(self) -> ClickModel:
        for _ in range(MOST_ITERATIONS if len(self._counts.pair) else 0):
            before = np.concatenate([self._examination, self._share, [self._good, self._other]])
            self._step()
            after = np.concatenate([self._examination, self._share, [self._good, self._other]])
            if np.abs(after - before).max() < TOLERANCE:
                break
        return ClickModel(self._examination, self._good, self._other, self._share, 0.0, 0)

    def _step(self) -> None:
        examined = self._examination[self._row]
        chances = [_chance(examined, attraction) for attraction in (self._good, self._other)]
        goodness = self._goodness(chances)
        looks: Floats = np.zeros(len(goodness))
        kinds: list[_Kind] = []
        for attraction, chance, part in zip((self._good, self._other), chances, (goodness, 1 - goodness), strict=True):
            # Shown and left alone: it was looked at and did not attract, or would have and was not looked at.
            looked = self._counts.used + self._silent * (examined - chance) / (1 - chance)
            drawn = self._counts.used + self._silent * (attraction - chance) / (1 - chance)
            looks += part * looked
            kinds.append(_Kind(float((part * self._counts.shown).sum()), float((part * drawn).sum())))
        ranks = len(self._examination)
        curve = (np.bincount(self._row, looks, ranks) + EXAMINATION_PRIOR * self._prior) / (
            self._shown_at + EXAMINATION_PRIOR
        )
        good, other = (
            (kind.drawn + KIND_PRIOR * prior) / (kind.looks + KIND_PRIOR)
            for kind, prior in zip(kinds, (GOOD_PRIOR, OTHER_PRIOR), strict=True)
        )
        highest = float(curve.max())
        self._examination = _scaled(curve)
        self._good = min(MOST_CHANCE, max(good, other) * highest)
        self._other = min(good, other) * highest
        self._other = min(self._other, self._good / LEAST_CONTRAST)
        good_at = np.bincount(self._row, goodness * self._counts.shown, ranks)
        self._share = (good_at + KIND_PRIOR * SHARE_PRIOR) / (self._shown_at + KIND_PRIOR)

    def _goodness(self, chances: list[Floats]) -> Floats:
        """float64 (rows,): the chance that the row's document is good, by all of its pair's rows."""
        good, other = chances
        counts = self._counts
        odds = counts.used * np.log(good / other) + self._silent * (np.log1p(-good) - np.log1p(-other))
        share = np.add.reduceat(counts.shown * self._share[self._row], self._starts)
        share /= np.add.reduceat(counts.shown, self._starts)
        log_odds = np.add.reduceat(odds, self._starts) + np.log(share / (1 - share))
        return np.repeat(sigmoid(log_odds), self._rows)


def sigmoid(log_odds: Floats) -> Floats:
    """The chance that log-odds stand for."""
    chance: Floats = 1 / (1 + np.exp(-np.clip(log_odds, -500, 500)))
    return chance
