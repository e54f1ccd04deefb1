"""Learning an order: what can be learned is, noise is not, and nothing of a held-out cluster is seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from synthetic import training_list
from tribrid.config import Config
from tribrid.config.sections import TrainingConfig
from tribrid.scoring.memory import NAMES as MEMORY_FEATURES
from tribrid.training.blend import (
    ALLOWANCE,
    EVIDENCE,
    FIRST_STAGE,
    LEARNED,
    LINEAR,
    RANK,
    RETRIEVAL,
    STARTS,
    TREES_FORM,
    UNTRAINED_FORM,
    Choice,
    Fitted,
    _best,
    choose,
    feature_names,
    fit,
    fold_of,
    stack,
)
from tribrid.training.lists import TrainingList, memory_of, ndcg

pytestmark = pytest.mark.slow  # it trains

CONFIG: TrainingConfig = Config().training.model_copy(update={"folds": 3})


def silent(_done: int, _all: int) -> bool:
    return True


def chosen(lists: list[TrainingList], report: Callable[[int, int], bool] = silent) -> Choice:
    return choose(lists, CONFIG, report)


@pytest.fixture(scope="module")
def learned() -> tuple[list[TrainingList], Choice]:
    lists = [training_list(seed, learnable=True) for seed in range(45)]
    return lists, chosen(lists)


def test_what_can_be_learned_is(learned: tuple[list[TrainingList], Choice]) -> None:
    _, choice = learned
    assert choice.form in LEARNED
    assert choice.scores[choice.form + ("+memory" if choice.use_memory else "")] > choice.scores[choice.start] + 0.2


def test_held_out_scores_measure_what_is_reported(learned: tuple[list[TrainingList], Choice]) -> None:
    lists, choice = learned
    found = [ndcg(scores, item) for scores, item in zip(choice.held_out, lists, strict=True)]
    name = choice.form + ("+memory" if choice.use_memory else "")
    assert np.mean(found) == pytest.approx(choice.scores[name], abs=1e-9)


@pytest.mark.parametrize("seed", [0, 100])
def test_nothing_is_learned_from_noise(seed: int) -> None:
    """Labels that have nothing to do with any feature leave the start as it is."""
    choice = chosen([training_list(seed + i, learnable=False) for i in range(30)])
    assert choice.form == choice.start


def ranked_first_by(start: str, item: TrainingList) -> TrainingList:
    """The list, had this start the good document first, and the other one last."""
    good = (item.grades > 0).astype(np.float32)
    nothing = {name: np.zeros_like(good) for name in STARTS[UNTRAINED_FORM]}
    told = {"fused": good, "agreement": -good} if start == RETRIEVAL else {"fused": -good, "agreement": good}
    return replace(item, described={**item.described, **nothing, **told})


@pytest.mark.parametrize(("fused_better", "start"), [(3, UNTRAINED_FORM), (5, UNTRAINED_FORM), (9, RETRIEVAL)])
def test_learning_starts_at_the_fused_order_only_if_the_labels_are_sure_of_it(fused_better: int, start: str) -> None:
    firsts = [RETRIEVAL if at < fused_better else UNTRAINED_FORM for at in range(9)]
    lists = [ranked_first_by(first, training_list(at, learnable=False)) for at, first in enumerate(firsts)]
    assert chosen(lists).start == start


def test_memory_that_clicks_cannot_measure_is_kept_and_judgments_are_believed() -> None:
    """Here it neither helps nor harms: judgments say so, and clicks could not say otherwise."""
    judged = [training_list(seed, learnable=True) for seed in range(30)]
    clicked = [replace(item, labels=replace(item.labels, clicked=True)) for item in judged]
    of_judgments, of_clicks = chosen(judged), chosen(clicked)
    assert (of_judgments.use_memory, of_clicks.use_memory) == (False, True)
    ahead = of_clicks.scores[of_clicks.form] - of_clicks.scores[f"{of_clicks.form}+memory"]
    assert ahead <= ALLOWANCE


def test_one_query_is_not_enough_to_learn_from() -> None:
    choice = chosen([training_list(0, learnable=True)])
    assert (choice.form, [len(s) for s in choice.held_out]) == (choice.start, [0])


def test_one_cluster_is_never_split() -> None:
    lists = [training_list(seed, learnable=True, cluster="same") for seed in range(6)]
    assert len({fold_of(item.cluster, CONFIG.seed, CONFIG.folds) for item in lists}) == 1
    choice = chosen(lists)
    assert choice.form == choice.start  # nothing outside it to learn from


def test_folds_are_steady_and_spread() -> None:
    folds = [fold_of(f"c{i}", 13, 5) for i in range(500)]
    assert folds == [fold_of(f"c{i}", 13, 5) for i in range(500)]
    assert min(folds.count(fold) for fold in range(5)) > 70
    assert folds != [fold_of(f"c{i}", 14, 5) for i in range(500)]


def test_lists_that_teach_nothing_are_no_trouble() -> None:
    lists = [training_list(seed, learnable=True) for seed in range(12)]
    mute = [replace(item, labels=replace(item.labels, grades={})) for item in lists[:4]]
    assert len(chosen([*mute, *lists[4:]]).held_out) == 12


def test_guesses_do_not_outvote_labels() -> None:
    sure = [training_list(seed, learnable=True) for seed in range(30)]
    guesses = [training_list(1000 + seed, learnable=False, weight=0.01) for seed in range(30)]
    assert chosen([*sure, *guesses]).form in LEARNED


def test_a_small_gain_of_few_labels_is_enough_for_the_linear_model() -> None:
    """Of the linear model that is pulled to its start less certainty is asked, if the labels are no guesses."""

    def form(weight: float) -> str:
        return chosen([training_list(100 + n, learnable=n % 3 == 0, weight=weight) for n in range(14)]).form

    assert [form(weight=1.0), form(weight=0.1)] == [LINEAR, UNTRAINED_FORM]


@pytest.mark.parametrize(
    ("gains", "form"),
    [((1.0, 1.0, 1.0, -0.6), UNTRAINED_FORM), ((1.0, 1.0, 1.0, 1.0, -1.2), LINEAR), ((0.1, -0.1) * 5, UNTRAINED_FORM)],
)
def test_a_linear_model_that_changes_few_held_out_queries_shows_nothing(gains: tuple[float, ...], form: str) -> None:
    """However large the changes are: the first two are 1.4 and 1.2 standard errors above the start."""
    weights = np.full(30, 1 / 30)
    nothing = np.zeros(30)
    moved = np.array([*gains, *[0.0] * (30 - len(gains))])
    found = {(UNTRAINED_FORM, False): nothing, (LINEAR, False): moved, (TREES_FORM, False): moved}
    assert _best(found, weights, weights, (UNTRAINED_FORM, False), by_clicks=False) == (form, False)


def test_progress_is_told_fold_by_fold() -> None:
    told: list[tuple[int, int]] = []

    def tell(done: int, all_: int) -> bool:
        told.append((done, all_))
        return True

    chosen([training_list(seed, learnable=True) for seed in range(6)], tell)
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_what_there_is_no_time_to_hold_out_does_not_count(learned: tuple[list[TrainingList], Choice]) -> None:
    lists, whole = learned
    choice = chosen(lists, lambda done, _all: done < 2)
    measured = [fold_of(item.cluster, CONFIG.seed, CONFIG.folds) < 2 for item in lists]
    assert [len(scores) > 0 for scores in choice.held_out] == measured
    assert choice.form in LEARNED
    assert choice.scores[RETRIEVAL] == pytest.approx(whole.scores[RETRIEVAL], abs=0.1)


def test_the_same_lists_give_the_same_choice(learned: tuple[list[TrainingList], Choice]) -> None:
    lists, choice = learned
    again = chosen(lists)
    assert again.scores == choice.scores
    for one, other in zip(again.held_out, choice.held_out, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("form", [RETRIEVAL, UNTRAINED_FORM, LINEAR, TREES_FORM])
def test_memory_is_in_the_columns_only_if_it_is_used(form: str) -> None:
    lists = [training_list(seed, learnable=True) for seed in range(6)]
    memory = memory_of(lists)
    features = [item.features(memory) for item in lists]
    for use_memory in (False, True):
        names = feature_names(features, use_memory)
        assert set(MEMORY_FEATURES) <= set(names) if use_memory else not set(MEMORY_FEATURES) & set(names)
        blend = fit(stack(lists, features, names), names, form, UNTRAINED_FORM, 1).blend()
        assert np.isfinite(blend.score(features[0])).all()


@pytest.mark.parametrize("form", [LINEAR, TREES_FORM])
def test_a_worse_place_is_never_learned_as_a_better_one(form: str) -> None:
    """Whoever acts on what stands at one rank would else teach that it is a good rank."""
    lists = [training_list(seed, learnable=False, good=9) for seed in range(60)]
    features = [item.features(memory_of(lists)) for item in lists]
    names = feature_names(features, use_memory=False)
    fitted = fit(stack(lists, features, names), names, form, UNTRAINED_FORM, 1)
    linear = Fitted(fitted.linear)

    def places(blend: Fitted, name: str, values: Sequence[float]) -> Any:
        """Scores of the documents of a list that differs in one feature: a row a value."""
        found = features[0]
        return np.stack([blend.scores(found | {name: np.full_like(found[name], value)}) for value in values])

    ranks = np.log1p(np.arange(12.0)).tolist()
    assert (np.diff(places(fitted, RANK, ranks), axis=0) <= 1e-9).all()
    steps = np.linspace(-3, 3, 25).tolist()
    for name in FIRST_STAGE:
        assert (np.diff(places(fitted, name, steps), axis=0) >= -1e-9).all(), name
    for name in sorted(EVIDENCE.intersection(names)):
        of_trees = places(fitted, name, steps) - places(linear, name, steps)
        assert (np.diff(of_trees, axis=0) >= -1e-9).all(), name


def test_having_been_good_never_counts_against_a_document() -> None:
    """Each document is good for one query only, so memory of the others points away from the right answer."""
    lists = [training_list(seed, learnable=True) for seed in range(20)]
    memory = memory_of(lists)
    features = [item.features(memory) for item in lists]
    rng = np.random.default_rng(0)
    for item, found in zip(lists, features, strict=True):
        found["memory_best"] = np.where(item.grades > 0, 0.0, rng.random(len(item.grades))).astype(np.float32)
    names = feature_names(features, use_memory=True)
    blend = fit(stack(lists, features, names), names, LINEAR, UNTRAINED_FORM, 1).blend()
    for name in MEMORY_FEATURES:
        liked = features[0] | {name: features[0][name] + 1}
        assert (blend.score(liked) - blend.score(features[0]) >= -1e-9).all()


@pytest.mark.parametrize("form", LEARNED)
@pytest.mark.parametrize("way", [1, -1])
def test_a_direction_is_kept_where_the_labels_say_the_opposite(form: str, way: int) -> None:
    rng = np.random.default_rng(3)
    lists = []
    for seed in range(40):
        item = training_list(seed, learnable=True)
        against = (-way * (item.grades > 0) + rng.normal(0, 0.3, len(item.candidates))).astype(np.float32)
        lists.append(replace(item, described={**item.described, "field:stock": against}))
    memory = memory_of(lists)
    features = [item.features(memory) for item in lists]
    names = feature_names(features, use_memory=False)
    rows = stack(lists, features, names)
    spent = fit(rows, names, form, RETRIEVAL, 1)
    kept = fit(rows, names, form, RETRIEVAL, 1, directions={"field:stock": way})

    def rises(of: Fitted) -> bool:
        levels = [of.scores({**features[0], "field:stock": np.full(12, x, np.float32)}) for x in np.linspace(-2, 2, 9)]
        steps = way * np.diff(np.array(levels), axis=0)
        return bool((steps >= -1e-9).all())

    assert rises(kept)
    assert not rises(spent)
