"""What a training leaves: triplet sets before it, model versions, evaluations, and who is champion."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tribrid.errors import (
    Conflict,
    CorpusNotFound,
    EvaluationNotFound,
    InvalidInput,
    ModelNotFound,
    NoModel,
    NotFound,
    NoTriplets,
)
from tribrid.store import Store
from tribrid.types import ModelVersion, Source, Triplet


def model(model_id: str, corpus_id: str = "c", created_us: int = 1) -> ModelVersion:
    return ModelVersion(model_id, corpus_id, "run", "a" * 64, {"base_model": "x", "leaves": [1, 2]}, created_us)


def triplet(n: int, source: Source = Source.LOGS) -> Triplet:
    return Triplet(f"q{n}", f"query {n}", ("p", n), ("n", 0), source, 0.1 + 0.2, "clicked, not skipped", "i1", n)


# ------------------------------------------------------------------------------------------ triplets


def page(store: Store, *which: Any, **status: Any) -> tuple[list[Triplet], int]:
    rows, total = store.triplets.page("c", *which, **status)
    return [row.triplet for row in rows], total


def test_triplet_sets_are_kept_apart(store: Store) -> None:
    with pytest.raises(NoTriplets):
        store.triplets.latest("c")
    old = store.triplets.put("c", {"max_pairs": 5}, {"mined": {"logs": 1}}, [triplet(0)])
    many = [triplet(n, Source.JUDGMENTS if n % 3 else Source.LOGS) for n in range(2300)]
    new = store.triplets.put("c", {}, {}, iter(many))
    assert store.triplets.latest("c") == new
    assert store.triplets.load(old.triplet_set_id) == [triplet(0)]
    assert store.triplets.load(new.triplet_set_id) == many
    assert page(store, old.triplet_set_id, None, 0, 10) == ([triplet(0)], 1)
    assert page(store, None, None, 2100, 500) == (many[2100:], 2300)
    assert page(store, None, Source.LOGS, 1, 2) == ([many[3], many[6]], 767)


def test_a_mining_that_found_nothing_leaves_no_triplets(store: Store) -> None:
    store.triplets.put("c", {}, {}, [triplet(0)])
    empty = store.triplets.put("c", {}, {"rejected": {"never examined": 3}}, [])
    with pytest.raises(NoTriplets) as caught:
        store.triplets.latest("c")
    assert caught.value.facts["counts"] == {"rejected": {"never examined": 3}}
    with pytest.raises(NoTriplets):
        store.triplets.page("c", None, None, 0, 1)
    assert store.triplets.load(empty.triplet_set_id) == []


def test_a_triplet_set_that_is_not_there(store: Store) -> None:
    store.corpora.create("other", "")
    theirs = store.triplets.put("other", {}, {}, [triplet(0)])
    with pytest.raises(NotFound):
        store.triplets.load("none")
    with pytest.raises(NotFound):
        store.triplets.page("c", theirs.triplet_set_id, None, 0, 1)
    with pytest.raises(CorpusNotFound):
        store.triplets.put("none", {}, {}, [])


# -------------------------------------------------------------------------------------------- models


def test_models_are_stored_once(store: Store) -> None:
    store.models.put(model("m1", created_us=1))
    store.models.put(model("m2", created_us=2))
    store.models.put(model("m1", created_us=1))
    assert store.models.get("m1") == model("m1")
    assert [m.model_id for m in store.models.list("c")] == ["m2", "m1"]
    with pytest.raises(Conflict):
        store.models.put(replace(model("m1"), artifact="b" * 64))
    with pytest.raises(ModelNotFound):
        store.models.get("none")
    with pytest.raises(CorpusNotFound):
        store.models.put(model("m3", "none"))


def aliases(store: Store) -> tuple[str | None, str | None]:
    return store.models.alias("c", "champion"), store.models.alias("c", "previous")


def test_promote_and_roll_back(store: Store) -> None:
    for model_id in ("m1", "m2"):
        store.models.put(model(model_id))
    assert aliases(store) == (None, None)
    with pytest.raises(NoModel):
        store.models.rollback("c", "nothing there yet")
    store.models.promote("c", "m1", "first", "e1")
    assert aliases(store) == ("m1", None)
    store.models.promote("c", "m2", "better", "e2")
    assert aliases(store) == ("m2", "m1")
    store.models.promote("c", "m2", "again")  # no second row, and the way back stays
    assert aliases(store) == ("m2", "m1")
    assert store.models.rollback("c", "worse in use") == "m1"
    assert aliases(store) == ("m1", "m2")
    assert store.models.rollback("c", "no, better") == "m2"
    assert aliases(store) == ("m2", "m1")
    story = [(p.model_id, p.previous_model_id, p.reason, p.evaluation_id) for p in store.models.promotions("c")]
    assert story == [
        ("m2", "m1", "no, better", None),
        ("m1", "m2", "worse in use", None),
        ("m2", "m1", "better", "e2"),
        ("m1", None, "first", "e1"),
    ]


def test_the_first_promotion_can_be_rolled_back_to_no_model(store: Store) -> None:
    store.models.put(model("m1"))
    store.models.promote("c", "m1", "first")
    assert store.models.rollback("c", "search was better without") is None
    assert aliases(store) == (None, "m1")
    assert store.models.rollback("c", "it was not") == "m1"
    assert aliases(store) == ("m1", None)


def test_only_the_corpus_s_own_models_are_promoted(store: Store) -> None:
    store.corpora.create("other", "")
    store.models.put(model("m1", "other"))
    for model_id in ("m1", "none"):
        with pytest.raises(ModelNotFound):
            store.models.promote("c", model_id, "")
    with pytest.raises(CorpusNotFound):
        store.models.promote("none", "m1", "")
    assert aliases(store) == (None, None)


# --------------------------------------------------------------------------------------- evaluations


def test_evaluations_are_stored_once(store: Store) -> None:
    store.evaluations.put("e1", "c", {"verdict": {"decision": "keep"}}, [{"query_id": "q1"}])
    store.evaluations.put("e1", "c", {"verdict": {"decision": "promote"}}, [])
    store.evaluations.put("e2", "c", {}, [])
    assert store.evaluations.get("e1") == {"verdict": {"decision": "keep"}}
    assert store.evaluations.queries("e1") == ([{"query_id": "q1"}], 1)
    assert [row.evaluation_id for row in store.evaluations.list("c")] == ["e2", "e1"]
    assert [row.evaluation_id for row in store.evaluations.list("c", limit=1)] == ["e2"]
    for call in (store.evaluations.get, store.evaluations.queries):
        with pytest.raises(EvaluationNotFound):
            call("none")


def test_per_query_rows_are_sorted_by_any_number_in_them(store: Store) -> None:
    deltas = [0.25, -1.5, None, 0.0, 10]
    rows = [{"query_id": f"q{n}", "delta": delta, "after": {"nDCG@10": -n}} for n, delta in enumerate(deltas)]
    del rows[2]["delta"]
    store.evaluations.put("e", "c", {}, rows)

    def order(sort: str | None, offset: int = 0, limit: int = 100) -> list[str]:
        page, total = store.evaluations.queries("e", offset, limit, sort)
        assert total == 5
        return [row["query_id"] for row in page]

    assert order(None) == ["q0", "q1", "q2", "q3", "q4"]
    assert order("delta") == ["q1", "q3", "q0", "q4", "q2"]
    assert order("-delta") == ["q4", "q0", "q3", "q1", "q2"]
    assert order("after.nDCG@10") == ["q4", "q3", "q2", "q1", "q0"]
    assert order("-delta", offset=1, limit=2) == ["q0", "q3"]
    for bad in ("", "-", "a..b", "delta; drop", "a'", "no.such.number", "delta.mean", "after"):
        with pytest.raises(InvalidInput):
            order(bad)
