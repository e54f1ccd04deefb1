"""What earlier measurements say of a model: has it won against what serves now, and how far do seeds alone spread."""

from __future__ import annotations

from typing import Any

import pytest

from tribrid.evaluation.proof import looked, seed_values, standing
from tribrid.types import ModelVersion
from tribrid.types.looks import Look


def look(model_id: str | None, champion_id: str | None, decision: str = "promote", **fields: Any) -> Look:
    made: dict[str, Any] = {"evaluation_id": f"{model_id}>{champion_id}", "dataset": "d", "reasons": ("because",)}
    made |= {"after": {"ndcg@10": 0.5}, "candidates": "k", "created_us": 1}
    return Look(model_id=model_id, champion_id=champion_id, decision=decision, **(made | fields))


@pytest.mark.parametrize(
    ("looks", "proven", "reason"),
    [
        ([look("m", "c")], True, "because"),
        ([look("m", "c", "keep"), look("m", "c")], False, "because"),  # the newest counts
        ([look("m", None)], False, "never compared with what serves now, model c"),
        ([look("m", "m"), look("m", "c")], True, "because"),  # measured again while it served
        ([look("other", "c")], False, "never evaluated"),
        ([], False, "never evaluated"),
    ],
)
def test_a_model_stands_on_its_newest_comparison_with_what_serves(looks: list[Look], proven: bool, reason: str) -> None:
    found = standing(looks, "m", "c")
    assert found.proven is proven
    assert reason in found.reasons[0]
    assert (found.evaluation_id == "m>c") is (found.reasons == ("because",))


def test_looks_count_the_one_about_to_be_taken() -> None:
    looks = [look("a", None), look("b", None), look(None, None), look("a", "b")]
    assert (looked(looks, "a").count, looked(looks, "a").models) == (5, 2)
    assert looked(looks, "new").models == 3
    assert looked([], None).models == 0


def model(model_id: str, seed: int, **manifest: Any) -> ModelVersion:
    made: Any = {"data": {"sha256": "t"}, "base": {"model": "b"}, "encoder": "e", "config": {"seed": seed, "epochs": 2}}
    return ModelVersion(model_id, "c", f"run of {model_id}", "a" * 64, made | manifest, 1)


def test_seeds_are_models_that_differ_in_nothing_else() -> None:
    own = model("own", 1)
    others = [
        own,
        model("two", 2),
        model("three", 3),
        model("again", 1),
        model("more epochs", 4, config={"seed": 4, "epochs": 3}),
        model("other data", 5, data={"sha256": "u"}),
        model("unmeasured", 6),
    ]
    looks = [
        look("two", None, after={"ndcg@10": 0.62}),
        look("two", None, after={"ndcg@10": 0.61}),
        look("three", None, after={"ndcg@10": 0.63}),
        look("again", None, after={"ndcg@10": 0.60}),
        look("own", None, after={"ndcg@10": 0.60}),
        look("more epochs", None, after={"ndcg@10": 0.9}),
        look("other data", None, after={"ndcg@10": 0.9}),
    ]
    assert seed_values(looks, own, others, "k", "ndcg@10") == [0.62, 0.63]
    assert seed_values(looks, own, others, "other candidates", "ndcg@10") == []
    assert seed_values(looks, own, others, "k", "p@5") == []
    bare = ModelVersion("bare", "c", "r", "a" * 64, {}, 1)
    assert seed_values(looks, bare, [bare, ModelVersion("two", "c", "r", "a" * 64, {}, 1)], "k", "ndcg@10") == []
