"""Triplets as lists: grades, weights, and the measure that training looks at."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from synthetic import training_list
from tribrid.evaluation.measures import per_query
from tribrid.mining.labels import FEW_EVIDENCE
from tribrid.training.lists import (
    BAD,
    BETWEEN,
    GOOD,
    UNKNOWN,
    Labels,
    PastQuery,
    TrainingList,
    labels_by_query,
    memory_of,
    ndcg,
    triplets_sha256,
)
from tribrid.types import FILTERED_EVIDENCE, RECONSTRUCTED_EVIDENCE, JudgedQuery, ScoredDoc, Source, Triplet


def triplet(query_id: str, better: str, worse: str, weight: float = 1.0) -> Triplet:
    return Triplet(query_id, f"text of {query_id}", (better, 0), (worse, 0), Source.LOGS, weight, "click")


def test_grades_follow_from_who_is_better_than_whom() -> None:
    (labels,) = labels_by_query([triplet("q", "a", "b"), triplet("q", "b", "c"), triplet("q", "d", "c")])
    assert labels.grades == {"a": GOOD, "b": BETWEEN, "c": BAD, "d": GOOD}
    assert sorted(labels.good) == ["a", "b", "d"]
    assert labels.query == "text of q"


def test_of_what_is_remembered_only_the_positive_counts() -> None:
    past = replace(triplet("q", "second", "other", 0.4), remembered=True)
    (labels,) = labels_by_query([triplet("q", "a", "b"), past])
    assert labels.grades == {"a": GOOD, "b": BAD, "second": GOOD}
    assert labels.weights == {"a": 1.0, "b": 1.0, "second": 0.4}
    assert triplets_sha256([past]) != triplets_sha256([replace(past, remembered=False)])


def test_what_a_model_found_good_is_learned_from_and_not_remembered() -> None:
    judged = replace(triplet("q", "a", "b", 0.3), evidence="judge:0123", source=Source.JUDGE)
    (labels,) = labels_by_query([judged])
    assert labels.grades == {"a": GOOD, "b": BAD}
    assert (labels.good, labels.clicked) == ([], False)
    (both,) = labels_by_query([judged, triplet("q", "a", "c")])
    assert both.good == ["a"]


def test_what_too_few_clients_found_good_is_learned_from_and_not_remembered() -> None:
    few = replace(triplet("q", "lone", "b", 0.3), evidence=f"{FEW_EVIDENCE}impression:1")
    (labels,) = labels_by_query([triplet("q", "a", "b"), few])
    assert labels.grades == {"a": GOOD, "lone": GOOD, "b": BAD}
    assert list(labels.good) == ["a"]
    (both,) = labels_by_query([few, replace(few, evidence="judgment:1", source=Source.JUDGMENTS)])
    assert list(both.good) == ["lone"]


def test_a_query_of_which_nothing_may_be_remembered_has_no_say_in_memory() -> None:
    item = training_list(0, learnable=True, n=4)
    names = [c.doc_id for c in item.candidates]
    grades, weights = {names[0]: GOOD, names[1]: BAD}, {names[0]: 0.5, names[1]: 0.5}
    few = replace(item, labels=Labels("q", "q", grades, weights, few={names[0]}))
    known = replace(item, labels=Labels("q", "q", grades, weights))
    assert memory_of([few, known]).good == {names[0]: (0,)}
    assert len(memory_of([few, known]).clusters) == 1
    assert memory_of([few]).good == {}
    assert few.features(memory_of([few])).keys() == known.features(memory_of([known])).keys()


def test_a_list_in_which_few_clients_found_anything_counts_as_little_as_they_do() -> None:
    item = training_list(0, learnable=True, n=12)
    used = item.candidates[9].doc_id

    def unseen(few: frozenset[str]) -> float:
        labels = Labels("q", "q", {used: GOOD}, {used: 0.1}, clicked=True, few=few)
        return float(replace(item, labels=labels).contrast[1][0])

    assert unseen(frozenset((used,))) == pytest.approx(0.1 * unseen(frozenset()))


def test_a_label_of_few_clients_still_tells_whether_its_list_was_recorded() -> None:
    def clicked(evidence: str) -> bool:
        (labels,) = labels_by_query([replace(triplet("q", "a", "b"), evidence=evidence)])
        return labels.clicked

    assert clicked(f"{FEW_EVIDENCE}impression:1")
    assert not clicked(f"{FEW_EVIDENCE}{RECONSTRUCTED_EVIDENCE}1")
    assert not clicked(f"{FILTERED_EVIDENCE}1")


def test_labels_are_as_new_as_their_newest_triplet() -> None:
    dated = [("1", 5), ("1", 9), ("1", None), ("2", None)]
    labels = labels_by_query([replace(triplet(query, "a", "b"), observed_us=at) for query, at in dated])
    assert [label.observed_us for label in labels] == [9, None]


def test_a_document_is_as_sure_as_its_surest_triplet() -> None:
    (labels,) = labels_by_query([triplet("q", "a", "b", 0.2), triplet("q", "a", "c", 0.7)])
    assert labels.weights == {"a": 0.7, "b": 0.2, "c": 0.7}


def test_queries_come_in_the_order_in_which_they_appear() -> None:
    found = labels_by_query([triplet("z", "a", "b"), triplet("y", "a", "b"), triplet("z", "a", "c")])
    assert [labels.query_id for labels in found] == ["z", "y"]
    assert labels_by_query([]) == []


def test_a_click_low_in_the_list_stands_for_those_that_nobody_made() -> None:
    item = training_list(0, learnable=True, n=12)
    names = [c.doc_id for c in item.candidates]

    def clicked(rank: int, *, clicked: bool = True) -> TrainingList:
        used, other = names[rank - 1], names[0 if rank > 1 else 1]
        return replace(item, labels=Labels("q", "q", {used: GOOD, other: BAD}, {used: 0.5, other: 0.4}, None, clicked))

    assert [clicked(rank).emphasis for rank in (1, 4, 10, 12)] == [1, 4, 10, 10]
    assert clicked(4, clicked=False).emphasis == 1
    assert clicked(4).weights[3] == pytest.approx(4 * 0.5)


def test_what_nobody_looked_at_is_set_against_clicks_and_labelled_by_none() -> None:
    item = training_list(0, learnable=True, n=4)
    first, second, *_ = (c.doc_id for c in item.candidates)
    labels = Labels("q", "q", {first: BAD, second: GOOD}, {first: 0.5, second: 0.5}, None, clicked=True)
    known = replace(item, labels=labels)
    grades, weights = known.contrast
    assert grades.tolist() == [BAD, GOOD, BAD, BAD]
    assert weights.tolist() == pytest.approx([1, 1, 0.6, 0.6])  # the emphasis of rank 2
    assert known.grades.tolist() == [BAD, GOOD, UNKNOWN, UNKNOWN]
    stated = replace(item, labels=replace(labels, clicked=False))
    assert stated.contrast[0].tolist() == [BAD, GOOD, UNKNOWN, UNKNOWN]


def test_labels_are_clicks_only_where_all_are() -> None:
    judged = replace(triplet("2", "a", "c"), source=Source.JUDGMENTS)
    unrecorded = replace(triplet("3", "a", "b"), evidence="reconstructed:i")
    assert not labels_by_query([unrecorded])[0].clicked  # at which rank it stood is not known
    assert [x.clicked for x in labels_by_query([triplet("1", "a", "b"), triplet("2", "a", "b"), judged])] == [
        True,
        False,
    ]


def test_what_nobody_spoke_of_is_unknown_and_never_bad() -> None:
    item = training_list(0, learnable=True, n=4)
    first, *rest = (c.doc_id for c in item.candidates)
    known = replace(item, labels=Labels("q", "q", {first: GOOD, "elsewhere": BAD}, {first: 0.5, "elsewhere": 0.5}))
    assert known.grades.tolist() == [GOOD, UNKNOWN, UNKNOWN, UNKNOWN]
    assert known.weights.tolist() == [0.5, 0, 0, 0]
    assert not known.teaches
    assert replace(item, labels=Labels("q", "q", {first: GOOD, rest[0]: BAD}, {})).teaches


def test_memory_holds_what_the_first_stage_missed() -> None:
    item = training_list(0, learnable=True)
    missed = replace(item, labels=Labels("q", "q", {"elsewhere": GOOD}, {"elsewhere": 1.0}))
    assert memory_of([missed]).good == {"elsewhere": (0,)}
    past = PastQuery("c", item.tokens, ["elsewhere", "d"])
    assert memory_of([missed, past]).good == {"elsewhere": (0, 1), "d": (1,)}


@pytest.mark.parametrize("seed", range(10))
def test_the_measure_is_trec_evals(seed: int) -> None:
    rng = np.random.default_rng(seed)
    item = training_list(seed, learnable=False, n=25)
    grades = {
        c.doc_id: int(g) for c, g in zip(item.candidates, rng.integers(0, 3, 25), strict=True) if rng.random() < 0.6
    }
    grades |= {"missed": 2, item.candidates[0].doc_id: 1}
    item = replace(item, labels=Labels("q", "q", grades, dict.fromkeys(grades, 1.0)))
    scores = rng.permutation(25).astype(float)
    run = {"q": [ScoredDoc(c.doc_id, s) for c, s in zip(item.candidates, scores, strict=True)]}
    expected = per_query(run, [JudgedQuery("q", "q", grades)])["ndcg@10"]["q"]
    assert ndcg(scores, item) == pytest.approx(expected, abs=1e-9)


def test_a_list_without_anything_good_measures_zero() -> None:
    item = training_list(0, learnable=True)
    bad = {c.doc_id: BAD for c in item.candidates}
    assert ndcg(np.arange(12.0), replace(item, labels=Labels("q", "q", bad, {}))) == 0


def test_the_hash_is_of_what_is_taught() -> None:
    these = [triplet("q", "a", "b"), triplet("q", "a", "c")]
    assert triplets_sha256(these) == triplets_sha256(list(these))
    assert len({triplets_sha256(t) for t in (these, these[::-1], these[:1], [], [triplet("q", "a", "b", 0.5)])}) == 5
    assert triplets_sha256([triplet("\ud800", "a", "b")])
