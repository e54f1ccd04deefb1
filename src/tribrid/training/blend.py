"""Fits the blend: a listwise linear model pulled towards where it starts, then LambdaMART on what it leaves.

It starts at the untrained order (features.UNTRAINED), or at the fused ranking if these labels surely prefer that. Which
form is served (the start itself, linear, or linear with trees; with memory or without) is decided by cross-validation
over clusters of training queries, never on the eval dataset.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import lightgbm as lgb
import numpy as np

from tribrid.config.sections import TrainingConfig
from tribrid.scoring.blend import Blend
from tribrid.scoring.features import GRAPH_FEATURES, UNTRAINED, Features, matrix
from tribrid.scoring.memory import NAMES as MEMORY_FEATURES
from tribrid.scoring.scorer import UNTRAINED_MODEL
from tribrid.training.linear import TRUSTED, Rows, fit_linear
from tribrid.training.lists import UNKNOWN, PastQuery, TrainingList, memory_of, ndcg
from tribrid.training.onnx_blend import Linear, Vector, blend_of

STARTS: Mapping[str, Mapping[str, float]] = {
    "retrieval": {"fused": 30.0},
    "untrained": UNTRAINED,
}
"""Where the linear model starts: weights of raw features, by the form that is nothing but this start. The first is the
ranking as it is."""
SURE = 1.64
"""Standard errors by which a learned form must beat its start on held-out queries: 95 %, one-sided."""
SURE_OF_LINEAR = 0.84
"""The same of the linear model without memory, on queries whose labels can be trusted: 80 %. Pulled to its start as it
is, it cannot go far wrong with few of them, and with few of them little can be shown (decision 0017)."""
LEAST_CHANGED = 5
"""Such queries that it must change at all: in fewer, all of them better is chance once in sixteen times or more."""
SURE_OF_CLICKS = 0.0
"""The same where most labels are clicks. Those were made on the ranking that they would have to prove wrong, and
flatter it: SciFact's eval queries gained 0.02 where held-out clicks showed 0.003. What serves is the gate's to say."""
ALLOWANCE = 0.005
"""Held-out nDCG@10 that trees may be behind and still be preferred, with MANY_LISTS; with fewer, so much less. Those
that are compared were grown on part of the lists and in one bag, those that are served on all and in three: linear with
trees ranked as well or better on every collection tried (docs/benchmarks.md). Where most labels are clicks, memory may
be so much behind too: it finds what stood too low to be clicked, which held-out clicks cannot show (decision 0005)."""
MANY_LISTS = 400
RANK, FIRST_STAGE = "log_rank", ("fused", "fused_gap", "fused_z")
"""The place of a document in the first stage's order, and what made it."""
EVIDENCE = frozenset(
    f"{name}{form}"
    for name in ("cosine", "bm25", "exact_cosine", "word_bm25", "agreement", "pulled")
    for form in ("", "_gap", "_z", "_raw")
)
"""What also tells the places apart: to trees, more of it is never worse. To the linear model it may be: the fused score
is the sum of both legs, and it corrects their shares by taking some of one back."""
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
RETRIEVAL, UNTRAINED_FORM, LINEAR, TREES_FORM = "retrieval", UNTRAINED_MODEL, "linear", "trees"
LEARNED: tuple[Form, ...] = (LINEAR, TREES_FORM)
NO_DIRECTIONS: Mapping[str, int] = MappingProxyType({})


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


@dataclass(frozen=True, slots=True)
class Fitted:
    """A blend as it was fitted, before it is one graph.

    Attributes:
        linear: the linear part.
        boosters: the trees on top, each set with its own seed; their mean counts.
    """

    linear: Linear
    boosters: Sequence[lgb.Booster] = ()

    def scores(self, features: Features) -> Vector:
        """float64 (n,) of one list."""
        columns = matrix(features, self.linear.names)
        scores = self.linear.scores(columns)
        trees = [np.asarray(booster.predict(columns), np.float64) for booster in self.boosters]
        return scores + np.mean(trees, axis=0) if trees else scores

    def blend(self) -> Blend:
        """As it is served."""
        return blend_of(self.linear, self.boosters)


def fit(
    rows: Rows,
    names: Sequence[str],
    form: Form,
    start: Form,
    seed: int,
    bags: int = BAGS,
    directions: Mapping[str, int] = NO_DIRECTIONS,
) -> Fitted:
    """A blend of one form.

    Args:
        start: of STARTS.
        bags: sets of trees.
        directions: as `choose`.
    """
    unlearned = _start(rows, names, start)
    if form in STARTS:
        return Fitted(unlearned)
    linear = _learned(rows, unlearned, directions)
    return Fitted(linear) if form == LINEAR else Fitted(linear, _trees(rows, linear, seed, bags, directions))


def _start(rows: Rows, names: Sequence[str], start: Form) -> Linear:
    """Where learning starts, over features standardised on these rows."""
    mean = rows.columns.mean(axis=0, dtype=np.float64)
    scale = rows.columns.std(axis=0, dtype=np.float64) + 1e-6
    weights = np.array([STARTS[start].get(name, 0.0) for name in names])
    return Linear(tuple(names), mean, scale, weights * scale)


def _learned(rows: Rows, start: Linear, directions: Mapping[str, int]) -> Linear:
    columns = (rows.columns - start.mean) / start.scale
    return replace(start, weights=fit_linear(columns, rows, start.weights, _directions(start.names, directions)))


def _trees(rows: Rows, linear: Linear, seed: int, bags: int, directions: Mapping[str, int]) -> list[lgb.Booster]:
    offset = linear.scores(rows.columns)
    ways = _directions(linear.names, {**dict.fromkeys(EVIDENCE, 1), **directions})
    return [_fit_trees(rows, offset, ways, seed + bag) for bag in range(bags)]


def _directions(names: Sequence[str], also: Mapping[str, int]) -> list[int]:
    """What more of each feature may do: 1 never harm a document, -1 never help it, 0 either.

    Having been good for a past query never harms: where every document has one query, as in generated data, the
    opposite would be learned ("already an answer, so not this one") and be true of the eval dataset too, and of no
    search after it. A worse place in the first stage's order never helps: a hundred clients who act on what stands at
    rank 40 would make it a good place, for every query.

    Args:
        also: of further features.
    """
    known = {**dict.fromkeys((*MEMORY_FEATURES, *FIRST_STAGE), 1), RANK: -1, **also}
    return [known.get(name, 0) for name in names]


def _fit_trees(rows: Rows, offset: Vector, directions: Sequence[int], seed: int) -> lgb.Booster:
    data = lgb.Dataset(rows.columns, rows.grades, weight=rows.weights, group=rows.sizes, init_score=offset)
    params = {**_TREE_PARAMS, "seed": seed, "monotone_constraints": list(directions)}
    return lgb.train(params, data, num_boost_round=TREES)


@dataclass(frozen=True, slots=True)
class Choice:
    """What cross-validation found.

    Attributes:
        form: the best one.
        start: where it started, of STARTS; the form itself where nothing learned was better.
        use_memory: whether memory features are in it.
        scores: variant → mean nDCG@10 over held-out training queries.
        held_out: for each list, the scores (n,) a blend gave that never saw its cluster.
    """

    form: Form
    start: Form
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
    directions: Mapping[str, int] = NO_DIRECTIONS,
) -> Choice:
    """Cross-validate every form with and without memory.

    Args:
        past: what the memory holds besides the lists, whichever are held out.
        directions: of features whose direction somebody said: what more of each may do, as `_directions` has it.
        report: gets folds done and all, and says whether to go on; what was never held out then does not count.
    """
    variants = [*((form, False) for form in STARTS), *((form, memory) for memory in (False, True) for form in LEARNED)]
    held_out: dict[tuple[Form, bool], list[Vector]] = {v: [np.zeros(0)] * len(lists) for v in variants}
    folds = [fold_of(item.cluster, config.seed, config.folds) for item in lists]
    start = _better_start(lists)
    tried = 0
    for fold in range(config.folds):
        inside = [i for i, own in enumerate(folds) if own != fold]
        outside = [i for i, own in enumerate(folds) if own == fold]
        if outside and any(lists[i].teaches for i in inside):
            _cross(lists, inside, outside, start, config.seed, held_out, past, directions)
        tried = fold + 1
        if not report(tried, config.folds):
            break
    weights = _importance([item if own < tried else None for item, own in zip(lists, folds, strict=True)])
    found = {
        variant: np.array([ndcg(s, item) if len(s) else 0.0 for s, item in zip(of, lists, strict=True)])
        for variant, of in held_out.items()
    }
    clicked = np.array([item.labels.clicked for item in lists], np.float64)
    best = _best(found, weights, _trusted(lists, weights), (start, False), by_clicks=float(clicked @ weights) > 1 / 2)
    named = {f"{form}{'+memory' if memory else ''}": float(v @ weights) for (form, memory), v in found.items()}
    return Choice(best[0], start, best[1], named, held_out[best])


def _importance(lists: Sequence[TrainingList | None]) -> Vector:
    """Each list's share in a mean, summing to 1. A query counts as much as its surest label: guessed queries must not
    outvote real ones. None counts nothing.
    """
    sure = np.array([0.0 if item is None else item.weights.max(initial=0.0) for item in lists])
    return sure / sure.sum() if sure.sum() > 0 else np.full(len(lists), 1 / len(lists))


def _trusted(lists: Sequence[TrainingList], weights: Vector) -> Vector:
    """The lists' weights, 0 where no label is taken at its word."""
    return np.where([item.weights.max(initial=0.0) >= TRUSTED for item in lists], weights, 0.0)


def _better_start(lists: Sequence[TrainingList]) -> Form:
    """The untrained order, unless the fused one ranks these labels better beyond chance; nothing is fitted in either.
    Clicks were made on the fused ranking and flatter it, so they do not count.
    """
    stated = [item for item in lists if item.teaches and not item.labels.clicked]
    if not stated:
        return UNTRAINED_FORM
    weights = _importance(stated)

    def worth(start: Form) -> Vector:
        ranked = [sum(w * item.described[name] for name, w in STARTS[start].items()) for item in stated]
        return np.array([ndcg(np.asarray(s), item) for s, item in zip(ranked, stated, strict=True)])

    return RETRIEVAL if _above(worth(RETRIEVAL) - worth(UNTRAINED_FORM), weights, SURE) else UNTRAINED_FORM


def _best(
    found: Mapping[tuple[Form, bool], Vector],
    weights: Vector,
    trusted: Vector,
    unlearned: tuple[Form, bool],
    *,
    by_clicks: bool,
) -> tuple[Form, bool]:
    """The start unless what was learned is better beyond chance; of the equally good the simplest.

    Args:
        found: variant → nDCG@10 of each held-out list.
        weights: of the lists, summing to 1.
        trusted: the same, 0 where labels cannot be trusted: guessed queries are not like real ones.
    """
    variants = list(found)

    def is_better(variant: tuple[Form, bool]) -> bool:
        gains = found[variant] - found[unlearned]
        changed = np.count_nonzero(gains[trusted > 0])
        if variant == (LINEAR, False) and changed >= LEAST_CHANGED and _above(gains, trusted, SURE_OF_LINEAR):
            return True
        return _above(gains, weights, SURE_OF_CLICKS if by_clicks else SURE)

    better = [v for v in variants if v[0] in LEARNED and is_better(v)]
    lists = 1 / float(weights @ weights)
    allowance = ALLOWANCE * min(1.0, lists / MANY_LISTS)

    def worth(variant: tuple[Form, bool]) -> float:
        form, memory = variant
        return round(float(found[variant] @ weights) + allowance * ((form == TREES_FORM) + (memory and by_clicks)), 4)

    return max([unlearned, *better], key=lambda v: (worth(v), -variants.index(v)))


def _above(gains: Vector, weights: Vector, errors: float) -> bool:
    """Whether the weighted mean of per-query gains exceeds that many of its own standard errors."""
    weights = weights / max(float(weights.sum()), 1e-9)
    mean = float(gains @ weights)
    error = float(np.sqrt((weights**2) @ (gains - mean) ** 2))
    return mean > errors * error


def _cross(
    lists: Sequence[TrainingList],
    inside: Sequence[int],
    outside: Sequence[int],
    start: Form,
    seed: int,
    held_out: dict[tuple[Form, bool], list[Vector]],
    past: Sequence[PastQuery],
    directions: Mapping[str, int],
) -> None:
    """Fit on `inside` and score `outside` in every variant; of the lists, the memory holds `inside` alone."""
    learned = [lists[i] for i in inside]
    memory = memory_of([*learned, *past])
    features = [item.features(memory) for item in lists]
    seen = [features[i] for i in inside]
    for use_memory in (False, True):
        names = feature_names(seen, use_memory)
        rows = stack(learned, seen, names)
        linear = _learned(rows, _start(rows, names, start), directions)
        fitted = {LINEAR: Fitted(linear), TREES_FORM: Fitted(linear, _trees(rows, linear, seed, 1, directions))}
        if not use_memory:
            fitted |= {form: Fitted(_start(rows, names, form)) for form in STARTS}
        for form, blend in fitted.items():
            for i in outside:
                held_out[form, use_memory][i] = blend.scores(features[i])


def feature_names(features: Sequence[Features], use_memory: bool) -> list[str]:
    """The columns of a blend, in order. Those of the graph leg are none where it had no part in any list: a column that
    says nothing would still change which others the trees draw.
    """
    walked = any(found[name].any() for found in features for name in GRAPH_FEATURES)
    left_out = {*(() if use_memory else MEMORY_FEATURES), *(() if walked else GRAPH_FEATURES)}
    return [name for name in features[0] if name not in left_out]
