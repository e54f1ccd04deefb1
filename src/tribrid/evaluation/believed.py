"""What is believed of documents where nobody judged any: sets of labels, each drawn by how likely each label is.

A log speaks of what was shown, mostly the first documents of what served, and says little of many of them. Taken as
judgments, it would call everything else not relevant, and no other ranking could ever win. So what clicks say is added
to what the compared rankings say: how likely a document at these ranks is good is a logistic model of its ranks, fitted
to the documents that were shown, with how much of a query's list is good. That is sound where what was shown depends on
the ranks alone, which is how search works; it does not see a ranking that is right about what was shown and wrong about
what was not.

Each set comes from a fit of its own, to queries drawn with replacement, so that whatever measures on several sets also
sees how far the model can be trusted. Whatever resamples queries measures each resample on one set.

References:
    Carterette (2007), Robust test collections for retrieval evaluation (relevance by logistic regression on ranks,
    comparisons that carry its uncertainty). Rubin (1987), Multiple imputation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tribrid.evaluation.comparison import Matrix
from tribrid.evaluation.measures import PerQuery, Run, is_quality, per_query, per_query_of_sets
from tribrid.types import JudgedQuery, rank_order
from tribrid.types.evidence import LogEvidence

SETS = 40
"""Sets of labels: what they scatter by is known to a tenth."""
USUAL = 0.15
"""Share of shown documents that are good, before anything is known; as mining's click model has it."""
LEAST_SHOWN = 200
"""Documents in recorded lists without which no model of ranks is fitted: all that was never shown is then not good."""
RIDGE = 1.0
STEPS, NEWTON_STEPS, TOLERANCE = 30, 3, 1e-3
LEAST_SHARE = 0.5
"""Documents that each kind has more than was counted, so that no query is all good or all bad."""

Drawn = dict[str, dict[str, Matrix]]
"""Report key → query_id → values, one for each set of labels."""
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Beliefs:
    """Sets of labels, and how likely each label is over all sets.

    Attributes:
        sets: the queries, each time with other labels.
        chances: query_id → doc_id → share of the sets in which it is relevant.
        imputed: whether documents that nobody was shown have labels too.
    """

    sets: Sequence[Sequence[JudgedQuery]]
    chances: Mapping[str, Mapping[str, float]]
    imputed: bool

    def values(self, run: Run, queries: Sequence[JudgedQuery], measures: Sequence[str]) -> Drawn:
        """Each measure's values of each query of a run; what was judged is what was shown, whatever the set."""
        quality = [measure for measure in measures if is_quality(measure)]
        found = per_query_of_sets(run, self.sets, quality)
        plain = per_query(run, queries, [measure for measure in measures if not is_quality(measure)])
        return {
            key: {
                query_id: np.array([values[key][query_id] for values in found])
                if key in found[0]
                else np.full(len(found), plain[key][query_id])
                for query_id in (found[0] | plain)[key]
            }
            for key in measures
        }


def averaged(drawn: Drawn) -> PerQuery:
    """What each query is worth: the mean over the sets of labels."""
    return {key: {query_id: float(values.mean()) for query_id, values in of.items()} for key, of in drawn.items()}


@dataclass(frozen=True, slots=True)
class _Query:
    """The documents of one query: parallel to `doc_ids` the evidence in log-odds (0 where there is none), whether it
    was shown, its normal scores by rank, and how likely it is where no model can say more.
    """

    judged: JudgedQuery
    doc_ids: list[str]
    evidence: Matrix
    shown: Flags
    ranks: Matrix
    fixed: Matrix


def believe(
    queries: Sequence[JudgedQuery],
    evidence: LogEvidence,
    candidates: Mapping[str, Sequence[str]],
    runs: Sequence[Run],
    seed: int,
) -> Beliefs:
    """Sets of labels for what is compared.

    Args:
        queries: the dataset's.
        candidates: query_id → what the runs order.
        runs: the rankings whose ranks the model reads.
    """
    read = [_read(query, evidence, candidates.get(query.query_id, ()), runs) for query in queries]
    generator = np.random.default_rng([seed, len(read)])
    imputed = sum(int(query.shown.sum()) for query in read) >= LEAST_SHOWN
    start = _fitted(read, _nothing(len(runs))) if imputed else _nothing(len(runs))
    sets: list[list[JudgedQuery]] = []
    for _ in range(SETS):
        if imputed:
            weights = _fitted([read[at] for at in generator.integers(0, len(read), len(read)).tolist()], start)
            chances = [_chances(query, weights) for query in read]
        else:
            chances = [query.fixed for query in read]
        sets.append([_draw(query, of, generator) for query, of in zip(read, chances, strict=True)])
    return Beliefs(sets, _shares(sets), imputed)


def _nothing(runs: int) -> Matrix:
    """Weights before any is fitted: of what is usual, each run's ranks, and how good the query's list is."""
    return np.array([0.0, *[0.0] * runs, 1.0])


def _read(query: JudgedQuery, evidence: LogEvidence, candidates: Iterable[str], runs: Sequence[Run]) -> _Query:
    from scipy.special import ndtri  # comes with the extra train

    added = evidence.log_odds.get(query.query_id, {})
    good = evidence.good.get(query.query_id, {})
    doc_ids = list(dict.fromkeys([*candidates, *added, *good]))
    ranks = np.empty((len(doc_ids), len(runs)))
    for column, run in enumerate(runs):
        place = {doc.doc_id: at for at, doc in enumerate(rank_order(run.get(query.query_id, ())))}
        places = np.array([place.get(doc_id, len(place)) for doc_id in doc_ids], np.float64)
        ranks[:, column] = -ndtri((places + 0.5) / (len(place) + 1))
    return _Query(
        query,
        doc_ids,
        np.array([added.get(doc_id, 0.0) for doc_id in doc_ids]),
        np.array([doc_id in added for doc_id in doc_ids], dtype=np.bool_),
        ranks,
        np.array([good.get(doc_id, 0.0) for doc_id in doc_ids]),
    )


def _fitted(read: Sequence[_Query], start: Matrix) -> Matrix:
    """The weights of the model, by expectation-maximisation: how likely each shown document is good, by clicks and
    model, and the model that fits that.
    """
    shown = [query for query in read if query.shown.any()]
    sizes = np.array([int(query.shown.sum()) for query in shown])
    starts = np.append(0, np.cumsum(sizes)[:-1])
    evidence = np.concatenate([query.evidence[query.shown] for query in shown])
    ranks = np.concatenate([query.ranks[query.shown] for query in shown])
    share, weights = np.full(len(evidence), _log_odds(USUAL)), start
    for _ in range(STEPS):
        features = np.column_stack([np.ones(len(evidence)), ranks, share])
        good = _sigmoid(evidence + features @ weights)
        # Of the others in its list: with its own label among them, each document would foretell itself.
        share = _share(np.repeat(np.add.reduceat(good, starts), sizes) - good, np.repeat(sizes, sizes) - 1)
        features[:, -1] = share
        before, weights = weights, _regressed(features, good, weights)
        if np.abs(weights - before).max() < TOLERANCE:
            break
    return weights


def _regressed(features: Matrix, good: Matrix, weights: Matrix) -> Matrix:
    """Logistic regression on shares, by Newton's method, drawn towards 0 but for the intercept."""
    ridge = np.diag([1e-6, *[RIDGE] * (len(weights) - 1)])
    for _ in range(NEWTON_STEPS):
        chance = _sigmoid(features @ weights)
        slope = features.T @ (good - chance) - ridge @ weights
        curve = (features * (chance * (1 - chance))[:, None]).T @ features + ridge
        weights = weights + np.linalg.solve(curve, slope)
    return weights


def _chances(query: _Query, weights: Matrix) -> Matrix:
    """How likely each document of a query is good; of one that was clicked in no recorded list, by that alone."""
    share = np.full(len(query.doc_ids), _log_odds(USUAL))
    found = query.fixed
    for _ in range(NEWTON_STEPS):
        prior = weights[0] + query.ranks @ weights[1:-1] + share * weights[-1]
        found = _sigmoid(query.evidence + prior)
        own = np.where(query.shown, found, 0.0)
        if query.shown.any():
            share = _share(own.sum() - own, query.shown.sum() - query.shown)
    return np.where(query.shown | (query.fixed == 0), found, query.fixed)


def _draw(query: _Query, chances: Matrix, generator: np.random.Generator) -> JudgedQuery:
    """One set of labels. The likeliest document is relevant where none is drawn: somebody found something."""
    relevant = generator.random(len(chances)) < chances
    if not relevant.any():
        relevant[int(chances.argmax())] = True
    return replace(query.judged, judgments=dict(zip(query.doc_ids, relevant.astype(int).tolist(), strict=True)))


def _shares(sets: Sequence[Sequence[JudgedQuery]]) -> dict[str, dict[str, float]]:
    totals: dict[str, dict[str, float]] = {}
    for queries in sets:
        for query in queries:
            of = totals.setdefault(query.query_id, dict.fromkeys(query.judgments, 0.0))
            for doc_id, grade in query.judgments.items():
                of[doc_id] += grade / len(sets)
    return totals


def _share(good: Matrix, of: Matrix) -> Matrix:
    """Log-odds of a good document among those of a list."""
    found: Matrix = np.log((good + LEAST_SHARE) / (of - good + LEAST_SHARE))
    return found


def _log_odds(share: float) -> float:
    return float(np.log(share / (1 - share)))


def _sigmoid(log_odds: Matrix) -> Matrix:
    found: Matrix = 1 / (1 + np.exp(-np.clip(log_odds, -500, 500)))
    return found
