"""What one impression is evidence of, and what many add up to."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribrid.mining.labels import Group
from tribrid.mining.logs import ABOVE, BELOW, evidence
from tribrid.mining.tallies import log_groups
from tribrid.types import Feedback, Impression, ShownDoc, Signal

_numbers = itertools.count()


def impression(query: str, docs: str | list[str], query_id: str = "") -> Impression:
    shown = tuple(ShownDoc(doc, rank, 1 / rank, 0, 10, {}) for rank, doc in enumerate(docs, 1))
    return Impression(query_id or f"q{next(_numbers)}", "c", query, shown, "m", True, None, 1.0, 0)


def act(seen: Impression, doc_id: str | None, signal: str, value: float | None = None, at: int = 0) -> Feedback:
    return Feedback(seen.query_id, Signal(signal), doc_id, value, at)


def session(query: str, docs: str, *acts: tuple[Any, ...]) -> tuple[Impression, list[Feedback]]:
    seen = impression(query, docs)
    return seen, [act(seen, *one) for one in acts]


def group_of(*sessions: tuple[Impression, list[Feedback]], below: int = 1) -> Group:
    (group,) = log_groups(sessions, examined_below_click=below).groups
    return group


def lost(group: Group, positive: str) -> dict[str, float]:
    found = next(p for p in group.positives if p.doc_id == positive)
    return {known.doc_id: known.weight for known in group.known_negatives(found)}


def test_what_stands_above_a_click_is_passed_over_and_what_stands_far_below_is_unknown() -> None:
    seen, feedback = session("q", "abcdef", ("c", "click"))
    found = evidence(seen, feedback, examined_below_click=1)
    assert found.passed_over == {"a": ABOVE, "b": ABOVE, "d": BELOW}
    assert found.unknown == {"e", "f"}


def test_between_two_clicks_everything_was_examined() -> None:
    found = evidence(*session("q", "abcde", ("a", "click"), ("d", "cite")), examined_below_click=0)
    assert found.passed_over == {"b": ABOVE, "c": ABOVE}
    assert found.unknown == {"e"}


@pytest.mark.parametrize("acts", [(), (("b", "thumbs_down"),), (("b", "rating", 1.0),), (("b", "dwell", 3.0),)])
def test_where_nothing_was_used_nothing_was_passed_over(acts) -> None:
    found = evidence(*session("q", "abc", *acts), examined_below_click=1)
    assert found.passed_over == {}
    assert found.unknown == {"a", "b", "c"} - {one[0] for one in acts}


@pytest.mark.parametrize(
    ("act", "positive"),
    [
        (("b", "click"), True),
        (("b", "copy"), True),
        (("b", "cite"), True),
        (("b", "thumbs_up"), True),
        (("b", "dwell", 30.0), True),
        (("b", "dwell", 29.9), False),
        (("b", "dwell"), False),
        (("b", "rating", 4.0), True),
        (("b", "rating", 3.0), False),
        (("b", "rating"), False),
        (("b", "rating", 2.0), False),
        (("b", "thumbs_down"), False),
        ((None, "thumbs_up"), False),
        (("never shown", "click"), False),
    ],
)
def test_which_acts_are_good_evidence(act, positive) -> None:
    assert bool(evidence(*session("q", "abc", act), examined_below_click=1).liked) is positive


def test_a_rating_outranks_a_click_and_the_last_word_counts() -> None:
    seen = impression("q", "ab")
    feedback = [
        act(seen, "a", "thumbs_up", at=1),
        act(seen, "a", "click", at=2),
        act(seen, "a", "rating", 1.0, at=3),
    ]
    opinion = evidence(seen, feedback, examined_below_click=1).opinions["a"]
    assert opinion.explicit
    assert opinion.strength < 0
    assert evidence(seen, feedback[::-1], examined_below_click=1).opinions["a"] == opinion


def test_a_click_left_at_once_says_less() -> None:
    quick = evidence(*session("q", "ab", ("a", "click"), ("a", "dwell", 4.0)), examined_below_click=1)
    plain = evidence(*session("q", "ab", ("a", "click")), examined_below_click=1)
    assert 0 < quick.opinions["a"].strength < plain.opinions["a"].strength


def test_repeated_evidence_weighs_more_and_stays_within_one() -> None:
    weights = []
    for times in (1, 2, 10, 200):
        group = group_of(
            *[session("Some  query" if i % 2 else "some query", "ab", ("b", "click")) for i in range(times)]
        )
        weights.append((group.positives[0].weight, lost(group, "b")["a"]))
    assert weights == sorted(weights)
    assert weights[0] < weights[1]
    assert all(0 < weight <= 1 for pair in weights for weight in pair)


def test_conflicting_evidence_weighs_less() -> None:
    agreed = group_of(*[session("q", "ab", ("b", "click"))] * 4)
    disputed = group_of(*[session("q", "ab", ("b", "click"))] * 4, *[session("q", "ba", ("a", "click"))] * 2)
    assert 0 < lost(disputed, "b")["a"] < lost(agreed, "b")["a"]
    assert disputed.positives[0].weight < agreed.positives[0].weight


def test_equal_evidence_makes_neither_a_negative() -> None:
    group = group_of(session("q", "ab", ("b", "click")), session("q", "ba", ("a", "click")))
    assert lost(group, "a") == {}
    assert lost(group, "b") == {}


def test_thumbs_down_is_a_negative_of_every_positive_and_never_a_positive() -> None:
    group = group_of(
        session("q", "abc", ("a", "click")),
        session("q", "abc", ("b", "click")),
        *[session("q", "abc", ("c", "click"))] * 5,
        session("q", "abc", ("c", "thumbs_down")),
    )
    assert {p.doc_id for p in group.positives} == {"a", "b"}
    assert lost(group, "a")["c"] > 0.5
    assert lost(group, "b")["c"] > 0.5


def test_thumbs_that_cancel_out_are_no_label_and_counted() -> None:
    labels = log_groups(
        [session("q", "abc", ("a", "thumbs_up")), session("q", "abc", ("a", "thumbs_down"), ("b", "click"))],
        examined_below_click=1,
    )
    assert [p.doc_id for p in labels.groups[0].positives] == ["b"]
    assert labels.conflicting == 1
    assert "a" in labels.groups[0].unknown


def test_a_rated_document_stands_above_a_clicked_one() -> None:
    group = group_of(*[session("q", "ab", ("a", "click"))] * 50, session("q", "ab", ("b", "rating", 4.0)))
    assert [p.doc_id for p in group.positives] == ["b", "a"]


def test_queries_without_a_positive_give_nothing_and_impressions_are_counted() -> None:
    labels = log_groups([session("q", "ab", ("a", "thumbs_down")), session("r", "ab")], examined_below_click=1)
    assert labels.groups == []
    assert labels.impressions == 2


ACTS = st.tuples(
    st.sampled_from("abcdef"), st.sampled_from(list(Signal)), st.one_of(st.none(), st.floats(0, 60)), st.integers(0, 3)
)
SESSIONS = st.lists(
    st.tuples(st.permutations("abcdef"), st.integers(1, 6), st.lists(ACTS, max_size=4)), min_size=1, max_size=8
)


def sessions_of(drawn: list[Any]) -> list[tuple[Impression, list[Feedback]]]:
    made = []
    for order, length, acts in drawn:
        seen = impression("q", order[:length])
        made.append((seen, [act(seen, doc, signal, value, at) for doc, signal, value, at in acts]))
    return made


@given(SESSIONS, st.integers(0, 3))
def test_a_negative_was_examined_and_never_has_feedback_as_good_as_the_positives(drawn, below) -> None:
    sessions = sessions_of(drawn)
    labels = log_groups(sessions, examined_below_click=below)
    examined = set()
    for seen, feedback in sessions:
        found = evidence(seen, feedback, examined_below_click=below)
        examined |= found.opinions.keys() | found.passed_over.keys()
    for group in labels.groups:
        standing = {positive.doc_id: positive.standing for positive in group.positives}
        for positive in group.positives:
            assert 0 < positive.weight <= 1
            for known in group.known_negatives(positive):
                assert known.doc_id in examined
                assert known.standing < positive.standing
                assert standing.get(known.doc_id, -1.0) < positive.standing
                assert 0 < known.weight <= 1


@given(SESSIONS, st.integers(0, 3), st.randoms(use_true_random=False))
def test_the_order_of_the_log_does_not_matter(drawn, below, shuffler) -> None:
    sessions = sessions_of(drawn)
    labels = log_groups(sessions, examined_below_click=below)
    shuffler.shuffle(sessions)
    again = log_groups(sessions, examined_below_click=below)
    assert [[p.doc_id for p in g.positives] for g in again.groups] == [
        [p.doc_id for p in g.positives] for g in labels.groups
    ]


@given(SESSIONS, st.integers(0, 3))
def test_examined_unknown_and_used_are_kept_apart(drawn, below) -> None:
    for seen, feedback in sessions_of(drawn):
        found = evidence(seen, feedback, examined_below_click=below)
        shown = {doc.doc_id for doc in seen.shown}
        assert found.opinions.keys() | found.passed_over.keys() | found.unknown == shown
        assert len(found.opinions) + len(found.passed_over) + len(found.unknown) == len(shown)
