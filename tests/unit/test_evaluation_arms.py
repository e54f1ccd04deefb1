"""The order in which documents came to a rerank, as an arm of the comparison."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np

from synthetic import STATISTICS, reading_of, training_list
from tribrid.evaluation.arms import Readings, base_scores, freeze, given_arm
from tribrid.scoring.features import compute
from tribrid.scoring.learned import Reading
from tribrid.scoring.scorer import InteractionScorer
from tribrid.training.lists import memory_of
from tribrid.types import Candidate, Passage


def reading(query: str, *doc_ids: str) -> Reading:
    found = [Candidate(Passage(doc_id, 0, 0, 1, "", "x"), rank, 1.0, {}) for rank, doc_id in enumerate(doc_ids, 1)]
    return Reading(query, cast("Any", None), found, [])


def test_the_order_that_came_with_a_rerank_is_that_of_the_frozen_candidates() -> None:
    asked = {"q1": ("tea", "a", "b", "c"), "q2": ("milk", "a", "b"), "q3": ("rum", "a")}
    readings: Readings = {query_id: reading(*of) for query_id, of in asked.items()}
    # Given twice, not a candidate, erased: none of these takes a place.
    orders = {"tea": ["c", "z", "(erased)", "c", "a"], "rum": ["z"]}
    run, known = given_arm(orders, readings, freeze(readings, 3))
    assert known == ["q1"], "of q3 nothing that was given is a candidate"
    order = {query_id: [doc.doc_id for doc in docs] for query_id, docs in run.items()}
    assert order == {"q1": ["c", "a", "b"], "q2": ["a", "b"], "q3": ["a"]}


def test_an_empty_passage_has_no_similarity_wherever_it_is_counted() -> None:
    found = reading_of(1, lengths=[5, 0, 9], n=3)
    base = base_scores(found)
    assert base[1] == 0
    without_legs = replace(found, candidates=[replace(c, legs={}) for c in found.candidates])
    np.testing.assert_allclose(InteractionScorer("m").score(without_legs), base / 2)
    features = compute(
        found.tokens, found.candidates, found.passages, STATISTICS, memory_of([training_list(0, learnable=True)])
    )
    np.testing.assert_allclose(features["maxsim"], base, rtol=1e-6)
