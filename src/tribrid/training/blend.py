"""Fits the blend: a listwise linear model pulled towards the fused ranking, then LambdaMART on what it leaves.

Which form is served (the fused ranking itself, linear, or linear with trees; with memory or without) is decided by
cross-validation over clusters of training queries, never on the eval dataset.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import lightgbm as lgb
import numpy as np
from scipy.optimize import minimize

from tribrid.config.sections import TrainingConfig
from tribrid.scoring.blend import Blend
from tribrid.scoring.features import Features, matrix
from tribrid.scoring.memory import NAMES as MEMORY_FEATURES
from tribrid.training.lists import UNKNOWN, PastQuery, TrainingList, memory_of, ndcg
from tribrid.training.onnx_blend import Linear, Vector, blend_of

FUSED_SCALE = 30.0
"""Where the linear model starts: this many times the fused score and nothing else, i.e. the ranking as it is."""
RIDGE = 0.03
"""How hard the linear model is pulled towards its start, where labels can be trusted."""
TRUSTED = 0.5
"""Mean trust in lists (each list's surest label) from which on labels are taken at their word. Guessed queries are not
like real ones, and no held-out guess can show it: the less labels are trusted, the harder the fused ranking pulls."""
SURE = 1.64
"""Standard errors by which a learned form must beat the fused ranking on held-out queries: 95 %, one-sided."""
SURE_OF_CLICKS = 0.0
"""The same where most labels are clicks. Those were made on the ranking that they would have to prove wrong, and
flatter it: SciFact's eval queries gained 0.02 where held-out clicks showed 0.003. What serves is the gate's to say."""
ALLOWANCE = 0.005
"""Held-out nDCG@10 that trees may be behind and still be preferred: those that are compared were grown on part of the
lists and in one bag, those that are served on all and in three. Linear with trees ranked as well or better on every
collection tried (docs/benchmarks.md). Where most labels are clicks, memory may be so much behind too: it finds what
stood too low to be clicked, which held-out clicks cannot show (docs/decisions/0005)."""
TREES, LEAVES, SHRINKAGE, BAGS = 100, 7, 0.03, 3
_TREE_PARAMS = {
    "objective": "lambdarank",
    "num_leaves": LEAVES,
    "learning_rate": SHRINKAGE,
    "min_data_in_leaf": 20,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "verbose": -1,
    "deterministic": True,
    "force_row_wise": True,
    # The data is small: threads would wait for each other longer than they work, without end on a busy machine.
    "num_threads": 1,
}

Form = str
RETRIEVAL, LINEAR, TREES_FORM = "retrieval", "linear", "trees"
FORMS: tuple[Form, ...] = (RETRIEVAL, LINEAR, TREES_FORM)


@dataclass(frozen=True, slots=True)
class Rows:
    """Labelled candidates of many lists, stacked. `sizes` are rows a list; `grades` are 0, 1, 2."""

    columns: np.ndarray[Any, np.dtype[np.float32]]
    grades: np.ndarray[Any, np.dtype[np.int64]]
    weights: Vector
    sizes: list[int]


def stack(lists: Sequence[TrainingList], features: Sequence[Features], names: Sequence[str]) -> Rows:
    """The rows of the lists that teach which are set against each other."""
    parts = [
        (matrix(found, names)[known], grades[known], weights[known])
        for item, found in zip(lists, features, strict=True)
        if item.teaches
        for grades, weights in [item.contrast]
        for known in [np.flatnonzero(grades != UNKNOWN)]
    ]
    columns, grades, weights = zip(*parts, strict=True)
    return Rows(np.concatenate(columns), np.concatenate(grades), np.concatenate(weights), [len(g) for g in grades])


def fit(rows: Rows, names: Sequence[str], form: Form, seed: int, bags: int = BAGS) -> Blend:
    """A blend of one form; `bags` sets of trees, which differ in their seed, are averaged."""
    mean = rows.columns.mean(axis=0, dtype=np.float64)
    scale = rows.columns.std(axis=0, dtype=np.float64) + 1e-6
    start = np.zeros(len(names))
    start[list(names).index("fused")] = FUSED_SCALE * scale[list(names).index("fused")]
    if form == RETRIEVAL:
        return blend_of(Linear(tuple(names), mean, scale, start))
    # Having been good for a past query never counts against a document: where every document has one query, as in
    # generated data, the opposite would be learned ("already an answer, so not this one") and be true of the eval
    # dataset too, and of no search after it.
    rising = [int(name in MEMORY_FEATURES) for name in names]
    weights = _fit_linear((rows.columns - mean) / scale, rows, start, rising)
    linear = Linear(tuple(names), mean, scale, weights)
    if form == LINEAR:
        return blend_of(linear)
    offset = linear.scores(rows.columns)
    return blend_of(linear, [_fit_trees(rows, offset, rising, seed + bag) for bag in range(bags)])


def _fit_linear(columns: Vector, rows: Rows, start: Vector, rising: Sequence[int]) -> Vector:
    """Weighted listwise softmax cross-entropy with a ridge towards `start`.

    A list counts as much as its surest label; a candidate stands in the softmax's denominator by its weight; the less
    the labels are trusted, the harder the ridge. Weights of features that are `rising` are kept at 0 or more.

    References: Cao et al., Learning to rank: from pairwise approach to listwise approach, ICML 2007.
    """
    starts = np.concatenate([[0], np.cumsum(rows.sizes)[:-1]]).astype(np.intp)
    owner = np.repeat(np.arange(len(rows.sizes)), rows.sizes)
    sure = np.log(np.maximum(rows.weights, 1e-6))
    gain = rows.grades * rows.weights
    target = gain / np.add.reduceat(gain, starts)[owner]
    importance = np.maximum.reduceat(rows.weights, starts)
    ridge = RIDGE / min(1.0, max(float(importance.mean()), 1e-6) / TRUSTED)
    importance = importance / importance.sum()

    def loss(weights: Vector) -> tuple[float, Vector]:
        scores = columns @ weights + sure
        scores -= np.maximum.reduceat(scores, starts)[owner]
        exponent = np.exp(scores)
        total = np.add.reduceat(exponent, starts)
        log_p = scores - np.log(total)[owner]
        pull = weights - start
        value = -(importance[owner] * target * log_p).sum() + ridge * (pull @ pull)
        residual = importance[owner] * (exponent / total[owner] - target)
        return float(value), columns.T @ residual + 2 * ridge * pull

    found: Vector = minimize(
        loss,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, None) if up else (None, None) for up in rising],
        options={"maxiter": 200},
    ).x
    return found


def _fit_trees(rows: Rows, offset: Vector, rising: Sequence[int], seed: int) -> lgb.Booster:
    data = lgb.Dataset(rows.columns, rows.grades, weight=rows.weights, group=rows.sizes, init_score=offset)
    params = {**_TREE_PARAMS, "seed": seed, "monotone_constraints": list(rising)}
    return lgb.train(params, data, num_boost_round=TREES)


@dataclass(frozen=True, slots=True)
class Choice:
    """What cross-validation found.

    Attributes:
        form: the best one.
        use_memory: whether memory features are in it.
        scores: variant → mean nDCG@10 over held-out training queries.
        held_out: for each list, the scores (n,) a blend gave that never saw its cluster.
    """

    form: Form
    use_memory: bool
    scores: Mapping[str, float]
    held_out: list[Vector]


def fold_of(cluster: str, seed: int, folds: int) -> int:
    """Which fold a cluster of queries belongs to; the same in every run with the same seed."""
    return int(hashlib.sha256(f"{seed}:{cluster}".encode()).hexdigest(), 16) % folds


def choose(
    lists: Sequence[TrainingList],
    config: TrainingConfig,
    report: Callable[[int, int], bool],
    past: Sequence[PastQuery] = (),
) -> Choice:
    """Cross-validate every form with and without memory.

    Args:
        past: what the memory holds besides the lists, whichever are held out.
        report: gets folds done and all, and says whether to go on; what was never held out then does not count.
    """
    variants = [(form, memory) for memory in (False, True) for form in FORMS if form != RETRIEVAL or not memory]
    held_out: dict[tuple[Form, bool], list[Vector]] = {v: [np.zeros(0)] * len(lists) for v in variants}
    folds = [fold_of(item.cluster, config.seed, config.folds) for item in lists]
    tried = 0
    for fold in range(config.folds):
        inside = [i for i, own in enumerate(folds) if own != fold]
        outside = [i for i, own in enumerate(folds) if own == fold]
        if outside and any(lists[i].teaches for i in inside):
            _cross(lists, inside, outside, config.seed, held_out, past)
        tried = fold + 1
        if not report(tried, config.folds):
            break
    # A query counts as much as its surest label: guessed queries must not outvote real ones.
    sure = np.array(
        [item.weights.max(initial=0.0) if own < tried else 0.0 for item, own in zip(lists, folds, strict=True)]
    )
    weights = sure / sure.sum() if sure.sum() > 0 else np.full(len(lists), 1 / len(lists))
    found = {
        variant: np.array([ndcg(s, item) if len(s) else 0.0 for s, item in zip(of, lists, strict=True)])
        for variant, of in held_out.items()
    }
    scores = {variant: float(values @ weights) for variant, values in found.items()}
    # The fused ranking unless what was learned is better beyond chance; of the equally good the simplest.
    unlearned = variants[0]
    clicked = np.array([item.labels.clicked for item in lists], np.float64)
    by_clicks = float(clicked @ weights) > 1 / 2
    needed = SURE_OF_CLICKS if by_clicks else SURE
    better = [v for v in variants if _above(found[v] - found[unlearned], weights, needed)]

    def worth(variant: tuple[Form, bool]) -> float:
        form, memory = variant
        return round(scores[variant] + ALLOWANCE * ((form == TREES_FORM) + (memory and by_clicks)), 4)

    best = max([unlearned, *better], key=lambda v: (worth(v), -variants.index(v)))
    named = {f"{form}{'+memory' if memory else ''}": value for (form, memory), value in scores.items()}
    return Choice(best[0], best[1], named, held_out[best])


def _above(gains: Vector, weights: Vector, errors: float) -> bool:
    """Whether the weighted mean of per-query gains exceeds that many of its own standard errors; weights sum to 1."""
    mean = float(gains @ weights)
    error = float(np.sqrt((weights**2) @ (gains - mean) ** 2))
    return mean > errors * error


def _cross(
    lists: Sequence[TrainingList],
    inside: Sequence[int],
    outside: Sequence[int],
    seed: int,
    held_out: dict[tuple[Form, bool], list[Vector]],
    past: Sequence[PastQuery],
) -> None:
    """Fit on `inside` and score `outside` in every variant; of the lists, the memory holds `inside` alone."""
    learned = [lists[i] for i in inside]
    memory = memory_of([*learned, *past])
    features = [item.features(memory) for item in lists]
    seen = [features[i] for i in inside]
    for (form, use_memory), found in held_out.items():
        names = feature_names(seen[0], use_memory)
        blend = fit(stack(learned, seen, names), names, form, seed, bags=1)
        for i in outside:
            found[i] = blend.score(features[i])


def feature_names(features: Features, use_memory: bool) -> list[str]:
    """The columns of a blend, in order."""
    return [name for name in features if use_memory or name not in MEMORY_FEATURES]
