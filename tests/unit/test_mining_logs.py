"""What one list is evidence of, and what many add up to."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tribrid.mining.clicks.evidence import Evidence, evidence
from tribrid.mining.clicks.labels import log_groups
from tribrid.mining.labels import Group, Positive
from tribrid.types import Feedback, LoggedList, Signal

_numbers = itertools.count()
MINUTE_US = 60_000_000


def session(query: str, docs: Sequence[str], *acts: tuple[Any, ...], **fields: Any) -> LoggedList:
    """A list with acts on it: (doc_id, signal, value, time)."""
    query_id = f"q{next(_numbers)}"
    filled = [(*act, *(None, 0)[len(act) - 2 :]) for act in acts]
    done = [Feedback(query_id, Signal(signal), doc_id, value, at) for doc_id, signal, value, at in filled]
    return LoggedList(query_id, query, list(docs), range(1, len(docs) + 1), done)._replace(**fields)


def group_of(*sessions: LoggedList, below: int = 1) -> Group:
    (group,) = log_groups(sessions, examined_below_click=below).groups
    return group


def positive(group: Group, doc_id: str) -> Positive:
    return next(p for p in group.positives if p.doc_id == doc_id)


def lost(group: Group, doc_id: str) -> dict[str, float]:
    return {known.doc_id: known.weight for known in group.known_negatives(positive(group, doc_id))}


def test_what_stands_above_a_click_is_passed_over_and_what_stands_far_below_is_unknown() -> None:
    group = group_of(session("q", "abcdef", ("c", "click")))
    weights = lost(group, "c")
    assert weights.keys() == {"a", "b", "d"}
    assert weights["a"] > weights["b"] > weights["d"] > 0
    assert group.unknown == {"e", "f"}
    kinds = {known.doc_id: known.kind for known in group.known_negatives(group.positives[0])}
    assert kinds == {"a": "skipped_above", "b": "skipped_above", "d": "next_not_clicked"}


def test_between_two_clicks_everything_was_looked_at() -> None:
    group = group_of(session("q", "abcde", ("a", "click"), ("d", "cite")), below=0)
    assert lost(group, "d").keys() >= {"b", "c"}
    assert group.unknown == {"e"}


@pytest.mark.parametrize("acts", [(), (("b", "thumbs_down"),), (("b", "rating", 1.0),), (("b", "dwell", 3.0),)])
def test_where_nothing_was_used_nothing_was_passed_over(acts) -> None:
    group = group_of(session("q", "abc", *acts), session("q", "xy", ("x", "thumbs_up")), below=0)
    assert {known.doc_id for known in group.known_negatives(group.positives[0])} <= {"b"}
    assert group.unknown >= {"a", "c"}


@pytest.mark.parametrize(
    ("act", "used"),
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
def test_which_acts_are_good_evidence(act, used) -> None:
    assert evidence(session("q", "abc", act)).lowest == (2 if used else 0)
    assert bool(log_groups([session("q", "abc", act)], examined_below_click=1).groups) is used


def test_a_rating_outranks_a_click_and_the_last_word_counts() -> None:
    shown = session("q", "ab", ("a", "thumbs_up", None, 1), ("a", "click", None, 2), ("a", "rating", 1.0, 3))
    opinion = evidence(shown).opinions["a"]
    assert opinion.explicit
    assert opinion.strength < 0
    assert evidence(shown._replace(feedback=shown.feedback[::-1])).opinions["a"] == opinion


def test_a_click_left_at_once_says_less() -> None:
    quick = group_of(session("q", "ab", ("a", "click"), ("a", "dwell", 4.0)))
    plain = group_of(session("q", "ab", ("a", "click")))
    cited = group_of(session("q", "ab", ("a", "click"), ("a", "cite")))
    assert 0 < quick.positives[0].weight < plain.positives[0].weight < cited.positives[0].weight
    assert quick.positives[0].reason.startswith("clicked and left soon 1x in 1 impression")


def test_the_reason_says_what_was_done_and_what_was_to_be_expected() -> None:
    sessions = [session("q", "abc", ("c", "click", None, n)) for n in range(3)] + [session("q", "abc")] * 9
    group = group_of(*sessions)
    assert group.positives[0].reason.startswith("clicked 3x in 12 impressions, ")
    assert group.positives[0].reason.endswith(" expected")
    assert group.positives[0].evidence == f"impression:{sessions[0].query_id}"
    assert group.positives[0].observed_us == 2
    reason = next(known.reason for known in group.known_negatives(group.positives[0]) if known.doc_id == "a")
    assert "the negative was shown above a click and passed over 3x, not clicked in 12 impressions, " in reason


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
    assert positive(disputed, "b").weight < positive(agreed, "b").weight


def test_equal_evidence_makes_neither_a_negative() -> None:
    group = group_of(session("q", "ab", ("b", "click")), session("q", "ba", ("a", "click")))
    assert lost(group, "a") == {}
    assert lost(group, "b") == {}


def test_a_click_where_few_look_says_no_less_than_one_where_all_do_and_silence_there_says_less() -> None:
    docs = "abcdefgh"
    high = group_of(session("q", docs, ("a", "click")), session("q", docs))
    low = group_of(session("q", docs, ("h", "click")), session("q", docs))
    assert positive(low, "h").weight > positive(high, "a").weight


def test_a_click_by_mistake_is_outvoted_by_the_impressions_without() -> None:
    others = [session("q", "ab", ("b", "click")) for _ in range(9)]
    labels = log_groups([*others, session("q", "ab", ("a", "click"))], examined_below_click=1)
    (group,) = labels.groups
    assert [p.doc_id for p in group.positives] == ["b"]
    assert labels.conflicting == 1
    assert lost(group, "b")["a"] > 0.9
    one_time = group_of(session("q", "ab", ("a", "click")))
    assert [p.doc_id for p in one_time.positives] == ["a"]


def test_what_was_often_shown_high_and_never_used_is_a_negative_and_after_few_impressions_unknown() -> None:
    def shown(times: int) -> Group:
        # Nothing below it was ever used, so no single list says that anybody looked at it.
        return group_of(session("q", "bc", ("b", "click")), *[session("q", "ad") for _ in range(times)], below=0)

    assert "a" in shown(2).unknown
    assert lost(shown(2), "b") == {}
    often = shown(30)
    assert "a" not in often.unknown
    assert lost(often, "b")["a"] > 0.9
    (known,) = (known for known in often.known_negatives(often.positives[0]) if known.doc_id == "a")
    assert known.kind == "seldom_used"


def test_a_query_soon_asked_again_in_other_words_counts_against_what_was_shown_and_not_used() -> None:
    def weights(second: str, after_us: int, client: str = "x", *acts: tuple[Any, ...]) -> tuple[float, float]:
        used = session("green tea", "ab", ("b", "click"))
        first = session("green tea", "ab", *acts, client_id="x", created_us=MINUTE_US)
        again = session(second, "cd", client_id=client, created_us=MINUTE_US + after_us)
        group = group_of(used, first, again)
        return lost(group, "b")["a"], group.positives[0].weight

    given_up = weights("brewing green tea", MINUTE_US)
    for other in (
        weights("brewing green tea", 6 * MINUTE_US),
        weights("brewing green tea", MINUTE_US, "somebody else"),
        weights("red wine", MINUTE_US),
        weights("Green  tea", MINUTE_US),
    ):
        assert given_up[0] > other[0]
        assert given_up[1] < other[1]
    satisfied = weights("brewing green tea", MINUTE_US, "x", ("b", "click"))
    assert satisfied == weights("red wine", MINUTE_US, "x", ("b", "click"))


def test_of_a_reconstructed_list_only_the_clicks_count() -> None:
    clicks = {"a": 6, "b": 3, "c": 1}
    sessions = [
        session("q", "xyabc", (doc_id, "click"), source="reconstructed")
        for doc_id, times in clicks.items()
        for _ in range(times)
    ]
    group = group_of(*sessions)
    assert [p.doc_id for p in group.positives] == ["a", "b", "c"]
    assert group.positives[0].weight > group.positives[1].weight > group.positives[2].weight
    assert group.positives[0].reason == "clicked 6x where the list was not recorded"
    assert lost(group, "a").keys() == {"b", "c"}
    assert not group.unknown & {"x", "y"}
    nothing = log_groups([], examined_below_click=1)
    assert log_groups(sessions, examined_below_click=1).model.view() == nothing.model.view()


def test_thumbs_down_is_a_negative_of_every_positive_and_never_a_positive() -> None:
    group = group_of(
        session("q", "abc", ("a", "click")),
        session("q", "abc", ("b", "click")),
        *[session("q", "xyc", ("c", "click"))] * 5,
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


def test_queries_without_a_positive_give_nothing_and_lists_are_counted() -> None:
    labels = log_groups([session("q", "ab", ("a", "thumbs_down")), session("r", "ab")], examined_below_click=1)
    assert labels.groups == []
    assert labels.impressions == 2


ACTS = st.tuples(
    st.sampled_from("abcdef"), st.sampled_from(list(Signal)), st.one_of(st.none(), st.floats(0, 60)), st.integers(0, 3)
)
SESSIONS = st.lists(
    st.tuples(
        st.permutations("abcdef"),
        st.integers(1, 6),
        st.lists(ACTS, max_size=4),
        st.sampled_from(["search", "search", "reconstructed"]),
    ),
    min_size=1,
    max_size=8,
)


def sessions_of(drawn: list[Any]) -> list[LoggedList]:
    return [session("q", order[:length], *acts, source=source) for order, length, acts, source in drawn]


def acted_on(sessions: Sequence[LoggedList]) -> list[tuple[LoggedList, Evidence]]:
    return [(shown, evidence(shown)) for shown in sessions]


@settings(deadline=None)
@given(SESSIONS, st.integers(0, 3))
def test_a_negative_was_looked_at_and_never_has_feedback_as_good_as_the_positives(drawn, below) -> None:
    sessions = sessions_of(drawn)
    labels = log_groups(sessions, examined_below_click=below)
    looked_at: set[str] = set()
    often: Counter[str] = Counter()
    for shown, found in acted_on(sessions):
        looked_at |= found.opinions.keys()
        if shown.source != "reconstructed":
            looked_at |= {*shown.doc_ids[: found.lowest + below if found.lowest else 0]}
            often.update(shown.doc_ids)
    looked_at |= {doc_id for doc_id, times in often.items() if times >= 5}
    for group in labels.groups:
        standing = {good.doc_id: good.standing for good in group.positives}
        for good in group.positives:
            assert 0 < good.weight <= 1
            for known in group.known_negatives(good):
                assert known.doc_id in looked_at
                assert known.standing < good.standing
                assert standing.get(known.doc_id, -1.0) < good.standing
                assert 0 < known.weight <= 1
                assert known.doc_id not in group.unknown


@settings(deadline=None)
@given(SESSIONS, st.integers(0, 3), st.randoms(use_true_random=False))
def test_the_order_of_the_log_does_not_matter(drawn, below, shuffler) -> None:
    sessions = sessions_of(drawn)
    labels = log_groups(sessions, examined_below_click=below)
    shuffler.shuffle(sessions)
    again = log_groups(sessions, examined_below_click=below)
    assert [[p.doc_id for p in g.positives] for g in again.groups] == [
        [p.doc_id for p in g.positives] for g in labels.groups
    ]


@settings(deadline=None)
@given(SESSIONS)
def test_good_bad_and_unknown_are_kept_apart(drawn) -> None:
    sessions = sessions_of(drawn)
    for group in log_groups(sessions, examined_below_click=1).groups:
        good = {found.doc_id for found in group.positives}
        bad = {known.doc_id for known in group.explicit}
        assert not good & bad
        assert not group.unknown & (good | bad)
        assert good | bad | group.unknown <= {doc_id for shown in sessions for doc_id in shown.doc_ids}
