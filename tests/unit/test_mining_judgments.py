"""Judgments as labels."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tribrid.mining.judgments import LOWER_GRADED_KEPT, judged_groups
from tribrid.types import JudgedQuery


def test_relevant_is_positive_best_first_and_the_rest_of_the_judged_is_bad() -> None:
    (group,) = judged_groups([JudgedQuery("1", "q", {"a": 1, "b": 3, "c": 0, "d": -2})])
    assert [p.doc_id for p in group.positives] == ["b", "a"]
    assert [p.weight for p in group.positives] == [1.0, 1 / 3]
    best, lesser = group.positives
    assert {k.doc_id: k.kind for k in group.known_negatives(best)} == {
        "a": "judged_lower",
        "c": "judged_not_relevant",
        "d": "judged_not_relevant",
    }
    assert {k.doc_id for k in group.known_negatives(lesser)} == {"c", "d"}


def test_one_text_under_two_ids_is_one_query_with_the_better_grade() -> None:
    (group,) = judged_groups(
        [JudgedQuery("1", "Some query", {"a": 0, "b": 1}), JudgedQuery("2", " some  QUERY", {"a": 2, "b": 0})]
    )
    assert group.query_id == "1"
    assert [(p.doc_id, p.standing) for p in group.positives] == [("a", 2.0), ("b", 1.0)]
    assert group.explicit == ()


def test_a_query_without_a_positive_is_left_out() -> None:
    assert judged_groups([JudgedQuery("1", "q", {"a": 0}), JudgedQuery("2", "r", {})]) == []


def test_click_counts_as_grades_keep_their_weights_in_bounds() -> None:
    (group,) = judged_groups([JudgedQuery("1", "q", {f"d{n}": n for n in range(1, 400)})])
    assert all(0.1 <= p.weight <= 1 for p in group.positives)
    assert max(len(group.known_negatives(p)) for p in group.positives) == LOWER_GRADED_KEPT


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.integers(-1, 4)))
def test_a_negative_is_always_graded_lower(grades) -> None:
    for group in judged_groups([JudgedQuery("1", "q", grades)]):
        for positive in group.positives:
            assert grades[positive.doc_id] >= 1
            for known in group.known_negatives(positive):
                assert grades[known.doc_id] < grades[positive.doc_id]
                assert 0 < known.weight <= 1
