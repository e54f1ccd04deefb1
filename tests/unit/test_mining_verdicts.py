"""From a counted log to labels: good, worse than which, or unknown. By rules that any log keeps, and case by case."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tribrid.mining.clicks.ballots import Ballot
from tribrid.mining.clicks.counts import DOC_BITS, LogCounts
from tribrid.mining.clicks.groups import groups
from tribrid.mining.clicks.labels import log_groups
from tribrid.mining.clicks.lists import Coder
from tribrid.mining.clicks.reformulations import Reformulations
from tribrid.mining.clicks.verdicts import (
    IMPLICIT_CEILING,
    LEAST_LOOKS,
    LEAST_WEIGHT,
    REBUILT_DOUBT,
    SILENCE_DOUBT,
    Verdicts,
)
from tribrid.mining.labels import EXPLICITLY_BAD, Group, Known, Positive
from tribrid.types import Feedback, ImpressionSource, LoggedList, Signal
from tribrid.types.logblocks import block_of

_numbers = itertools.count()
ENOUGH = int(LEAST_LOOKS)
"""Impressions at rank 1, which everybody looks at, from which a document counts as looked at."""


def shown(query: str, docs: Sequence[str], *acts: tuple[Any, ...], source: ImpressionSource = "search") -> LoggedList:
    """A list with acts on it: (doc_id, signal, value, time)."""
    query_id = f"i{next(_numbers)}"
    filled = [(*act, *(None, 0)[len(act) - 2 :]) for act in acts]
    done = [Feedback(query_id, Signal(signal), doc_id, value, at) for doc_id, signal, value, at in filled]
    return LoggedList(query_id, query, list(docs), range(1, len(docs) + 1), done)._replace(source=source)


def counted(*lists: LoggedList, below: int = 1) -> LogCounts:
    """Each list counts, whoever repeats himself."""
    coder = Coder()
    counts = LogCounts(examined_below_click=below, coder=coder)
    if lists:
        block = coder.lists(block_of(lists))
        every = Ballot(np.ones(len(block), np.bool_), np.ones(len(block.opinions.row), np.bool_))
        counts.add(block, every, Reformulations(coder).given_up(block))
    counts.merge()
    return counts


def judge(*lists: LoggedList, below: int = 1) -> Verdicts:
    return Verdicts(counted(*lists, below=below))


@dataclass(frozen=True)
class Row:
    """What the columns say of a document."""

    standing: float
    weight: float
    worse: float
    seen: bool
    judged: bool
    unknown: bool
    words: str


def rows_of(found: Verdicts, query: int = 0) -> dict[str, Row]:
    """By doc_id, of a query by its number."""
    return {
        found.name(row): Row(
            float(found.standing[row]),
            float(found.weight[row]),
            float(found.worse[row]),
            bool(found.seen[row]),
            bool(found.judged[row]),
            found.unknown(row),
            found.words(row),
        )
        for row, pair in enumerate(found.pair.tolist())
        if pair >> DOC_BITS == query
    }


def judged(log: Sequence[LoggedList], below: int = 1) -> tuple[Verdicts, dict[str, dict[str, Row]]]:
    """The verdicts, and their rows by query and doc_id."""
    counts = counted(*log, below=below)
    found = Verdicts(counts)
    return found, {text: rows_of(found, number) for number, (text, _) in enumerate(counts.queries)}


def only_group(found: Verdicts) -> Group:
    (group,) = groups(found)
    return group


def losers(group: Group, doc_id: str) -> dict[str, Known]:
    """Worse than this document by what users did."""
    return {known.doc_id: known for known in group.preferred[doc_id]}


ACTS = st.tuples(
    st.sampled_from("abcdef"), st.sampled_from(list(Signal)), st.one_of(st.none(), st.floats(0, 60)), st.integers(0, 3)
)
LISTS = st.lists(
    st.tuples(
        st.sampled_from(["one query", "another"]),
        st.permutations("abcdef"),
        st.integers(1, 6),
        st.lists(ACTS, max_size=3),
        st.sampled_from(["search", "search", "reconstructed"]),
    ),
    min_size=1,
    max_size=10,
)
QUICK = settings(deadline=None, max_examples=40)


def log_of(drawn: list[Any]) -> list[LoggedList]:
    return [shown(query, order[:length], *acts, source=source) for query, order, length, acts, source in drawn]


@QUICK
@given(LISTS, st.integers(0, 2))
def test_every_number_stays_within_what_it_means(drawn: list[Any], below: int) -> None:
    found, by_query = judged(log_of(drawn), below)
    assert found.pair.tolist() == sorted(set(found.pair.tolist()))
    for rows in by_query.values():
        for row in rows.values():
            assert -1 <= row.standing <= 1
            assert 0 <= row.weight <= 1
            assert 0 <= row.worse <= 1
            assert row.judged or 0 <= row.standing <= IMPLICIT_CEILING
            assert not (row.judged and (row.seen or row.worse)), "where it was rated, clicks say nothing"
            assert not row.seen or row.worse >= SILENCE_DOUBT, "nobody chose it, whether or not anybody looked"


@QUICK
@given(LISTS, st.integers(0, 2))
def test_a_negative_is_one_of_better_documents_only_and_only_if_it_was_looked_at(drawn: list[Any], below: int) -> None:
    found, by_query = judged(log_of(drawn), below)
    for group in groups(found):
        rows = by_query[group.query]
        assert set(group.preferred) == {good.doc_id for good in group.positives}
        for good in group.positives:
            assert good.weight >= LEAST_WEIGHT
            for known in group.preferred[good.doc_id]:
                row = rows[known.doc_id]
                assert known.standing == row.standing < good.standing
                assert row.seen or "where the list was not recorded" in row.words
                assert not row.judged, "a rated one is an explicit negative or none"
                assert LEAST_WEIGHT <= known.weight <= row.worse
                assert known.doc_id in group.preferred.documents()  # type: ignore[attr-defined]


@QUICK
@given(LISTS)
def test_what_was_not_looked_at_and_has_no_feedback_is_unknown(drawn: list[Any]) -> None:
    found, by_query = judged(log_of(drawn))
    for group in groups(found):
        rows = by_query[group.query]
        labelled = {good.doc_id for good in group.positives} | {known.doc_id for known in group.explicit}
        assert set(group.unknown) == {name for name, row in rows.items() if row.unknown}
        assert set(group.unknown) == {name for name, row in rows.items() if name not in labelled and not row.seen}
        assert len(group.unknown) == len(set(group.unknown))


@QUICK
@given(LISTS, st.randoms(use_true_random=False))
def test_labels_do_not_depend_on_the_order_of_the_log(drawn: list[Any], shuffler: Any) -> None:
    def told(log: list[LoggedList]) -> dict[tuple[str, str], Any]:
        labelled = log_groups(log, examined_below_click=1).groups
        return {
            (g.query, p.doc_id): pytest.approx((p.weight, p.standing), abs=1e-6) for g in labelled for p in g.positives
        }

    log = log_of(drawn)
    before = {key: tuple(value.expected) for key, value in told(log).items()}
    shuffler.shuffle(log)
    assert before == told(log)


@QUICK
@given(LISTS, st.lists(st.permutations("abcdef"), max_size=5))
def test_queries_that_nobody_acted_on_change_nothing(drawn: list[Any], orders: list[list[str]]) -> None:
    """There may be no people behind them: a crawler, a monitor."""
    log = log_of(drawn)
    crawled = [shown(f"crawled {n}", order) for n, order in enumerate(orders)]
    alone, beside = judge(*log), judge(*log, *crawled)
    assert alone.model.view() == beside.model.view()
    assert [(g.query, g.positives) for g in groups(alone)] == [(g.query, g.positives) for g in groups(beside)]
    assert alone.conflicting == beside.conflicting


@QUICK
@given(st.lists(st.sampled_from(["a", "b", "c"]), min_size=8, max_size=8), st.lists(st.integers(1, 9), min_size=8))
def test_the_order_of_groups_has_nothing_to_do_with_what_was_clicked(clicked: list[str], times: list[int]) -> None:
    def order(choices: Sequence[str], often: Sequence[int]) -> list[str]:
        log = [shown(f"query {n}", "abc", (doc, "click")) for n, doc in enumerate(choices) for _ in range(often[n])]
        return [group.query for group in log_groups(log, examined_below_click=1).groups]

    usual = order(["a"] * 8, [1] * 8)
    found = order(clicked, times)
    assert found == [query for query in usual if query in found]


def test_a_log_without_an_act_has_no_rows_and_no_groups() -> None:
    for found in (judge(), judge(shown("q", "abc"), shown("r", "ab"))):
        assert not len(found.pair)
        assert list(groups(found)) == []
        assert found.conflicting == 0


@pytest.mark.parametrize(("times", "seen"), [(ENOUGH - 1, False), (ENOUGH, True)])
def test_what_was_shown_on_top_often_enough_was_looked_at(times: int, seen: bool) -> None:
    """Alone in its lists: no use above or below says that anybody looked."""
    found = judge(shown("q", "b", ("b", "click")), *[shown("q", "a")] * times)
    row = rows_of(found)["a"]
    assert (row.seen, row.unknown, row.worse > 0) == (seen, not seen, seen)
    group = only_group(found)
    assert set(losers(group, "b")) == ({"a"} if seen else set())
    assert set(group.unknown) == (set() if seen else {"a"})
    if seen:
        assert losers(group, "b")["a"].kind == "seldom_used"


def test_how_it_is_known_that_a_document_was_looked_at() -> None:
    found = judge(shown("q", "abcd", ("b", "click")), shown("q", "abcd", ("b", "click")))
    negatives = losers(only_group(found), "b")
    assert {name: known.kind for name, known in negatives.items()} == {"a": "skipped_above", "c": "next_not_clicked"}
    assert negatives["a"].reason.startswith("the negative was shown above a click and passed over 2x, not clicked in 2")
    assert negatives["c"].reason.startswith("the negative was shown next below one and left alone 2x, not clicked")
    assert set(only_group(found).unknown) == {"d"}


def test_clicks_fewer_than_expected_are_outvoted_once_enough_looked() -> None:
    others = [shown("q", "ab", ("b", "click"))] * 19
    found = judge(*others, shown("q", "ab", ("a", "click")))
    row = rows_of(found)["a"]
    assert (row.weight, row.judged, row.seen) == (0.0, False, True)
    assert [good.doc_id for good in only_group(found).positives] == ["b"]
    assert losers(only_group(found), "b")["a"].weight > 0.9
    assert found.conflicting == 1


@pytest.mark.parametrize(("times", "uses", "good"), [(ENOUGH - 1, 1, True), (ENOUGH + 1, 2, False)])
def test_clicks_speak_for_a_document_until_enough_looked_and_did_not_click(times: int, uses: int, good: bool) -> None:
    """Half of all looks end in a use, and a third of those at this one: more than a bad document has, and too few."""
    average = [shown("r", "x", ("x", "click"))] * 20 + [shown("r", "x")] * 20
    found = judge(*average, *[shown("q", "a", ("a", "click"))] * uses, *[shown("q", "a")] * (times - uses))
    rows = rows_of(found, 1)
    assert (rows["a"].weight > LEAST_WEIGHT) is good
    assert found.conflicting == (not good)


def test_a_use_is_worth_more_than_a_share_of_silence_and_never_as_much_as_a_rating() -> None:
    found = judge(*[shown("q", "ab", ("a", "cite"))] * 200, shown("q", "ab", ("b", "rating", 4.0)))
    rows = rows_of(found)
    assert rows["a"].standing <= IMPLICIT_CEILING < rows["b"].standing == 0.8
    assert rows["b"].judged
    assert [good.doc_id for good in only_group(found).positives] == ["b", "a"]


def test_a_rating_decides_alone_whatever_was_clicked() -> None:
    rated = [shown("q", "abc", ("c", "click")), shown("q", "abc", ("a", "thumbs_down"))]
    few = rows_of(judge(*rated))["a"]
    many = rows_of(judge(*rated, *[shown("q", "ad", ("a", "click"))] * 30))["a"]
    assert (few.standing, few.weight) == (many.standing, many.weight)
    assert (few.standing, few.weight) == pytest.approx((-0.9, 0.81))
    group = only_group(judge(*rated))
    (bad,) = group.explicit
    assert (bad.doc_id, bad.standing, bad.kind) == ("a", EXPLICITLY_BAD, "explicitly_bad")
    assert bad.reason == "the negative was thumbs down 1x"
    assert "a" not in losers(group, "c")


def test_ratings_that_cancel_out_are_no_label() -> None:
    up, down = shown("q", "ab", ("a", "thumbs_up")), shown("q", "ab", ("a", "thumbs_down"))
    found = judge(up, down, shown("q", "ab", ("b", "click")))
    row = rows_of(found)["a"]
    assert row.weight < LEAST_WEIGHT
    assert (row.judged, row.unknown, found.conflicting) == (True, True, 1)
    agreed = judge(up, up, shown("q", "ab", ("b", "click")))
    assert rows_of(agreed)["a"].weight > rows_of(judge(up, shown("q", "ab", ("b", "click"))))["a"].weight
    assert agreed.conflicting == 0


def test_of_reconstructed_lists_the_one_clicked_less_may_be_worse() -> None:
    def rebuilt(doc_id: str, times: int) -> list[LoggedList]:
        return [shown("q", "xyab", (doc_id, "click"), source="reconstructed")] * times

    found = judge(*rebuilt("a", 6), *rebuilt("b", 2))
    rows, group = rows_of(found), only_group(found)
    assert rows.keys() == {"a", "b"}, "what else stood there was made up"
    assert not rows["a"].seen
    assert [good.doc_id for good in group.positives] == ["a", "b"]
    negative = losers(group, "a")["b"]
    assert (negative.kind, negative.reason) == (
        "clicked_less", "the negative was clicked 2x where the list was not recorded"
    )  # fmt: skip
    assert negative.weight == pytest.approx(REBUILT_DOUBT * (1 - rows["b"].standing / rows["a"].standing))
    assert losers(group, "b") == {}
    # a has 6 of 8 uses and an average one's look to start with; of the most used one's it has all.
    assert rows["a"].standing == pytest.approx(IMPLICIT_CEILING * 6 / 9)
    assert rows["a"].weight == pytest.approx(6 / 7)
    assert rows["b"].weight == pytest.approx(2 / 3 * 2 / 6)
    assert group.positives[0].evidence.startswith("reconstructed:")


def test_what_was_passed_over_above_one_use_and_below_another_is_told_as_passed_over_above() -> None:
    found = judge(*[shown("q", "ab", ("b", "click"))] * 3, shown("q", "ba", ("b", "click")))
    negative = losers(only_group(found), "b")["a"]
    assert negative.kind == "skipped_above"
    assert negative.reason.startswith(
        "the negative was shown above a click and passed over 3x, shown next below one and left alone 1x, not clicked"
    )


def test_a_rating_outranks_clicks_in_lists_that_nobody_recorded() -> None:
    clicks = [shown("q", "ab", ("a", "click"), source="reconstructed")] * 5
    found = judge(*clicks, shown("q", "bc", ("b", "thumbs_up")), shown("q", "ad", ("a", "rating", 3.0)))
    row = rows_of(found)["a"]
    assert (row.judged, row.standing, row.weight, row.worse) == (True, 0.0, 0.0, 0.0)
    assert "a" not in losers(only_group(found), "b")


def test_silence_in_recorded_lists_speaks_against_clicks_in_others() -> None:
    clicks = [shown("q", "ab", ("a", "click"), source="reconstructed")] * 3
    used = [shown("r", "x", ("x", "click"))] * 20
    alone = rows_of(judge(*used, *clicks), 1)["a"].weight
    assert alone == pytest.approx(3 / 4)
    weights = [rows_of(judge(*used, *clicks, *[shown("q", "a")] * times), 1)["a"].weight for times in (1, 2, 4)]
    assert alone > weights[0] > weights[1] > weights[2]


def test_a_positive_says_where_it_was_first_acted_on_and_when_last() -> None:
    first = shown("q", "ab", ("b", "click", None, 5))
    later = shown("q", "ab", ("b", "click", None, 9))
    rated = shown("q", "ab", ("b", "thumbs_up", None, 12))
    assert only_group(judge(first, later)).positives[0].observed_us == 9
    good: Positive = only_group(judge(first, rated, later)).positives[0]
    assert (good.observed_us, good.evidence, good.reason) == (12, f"impression:{first.query_id}", "thumbs up 1x")


def test_words_count_one_impression_and_several() -> None:
    one, three = judge(shown("q", "a", ("a", "click"))), judge(*[shown("q", "a", ("a", "copy"))] * 3)
    assert rows_of(one)["a"].words.startswith("clicked 1x in 1 impression, ")
    assert rows_of(three)["a"].words.startswith("copied 3x in 3 impressions, ")
    both = judge(shown("q", "a", ("a", "click")), shown("q", "a", ("a", "click"), source="reconstructed"))
    assert rows_of(both)["a"].words.endswith(" expected; clicked 1x where the list was not recorded")


def test_only_a_good_document_has_losers() -> None:
    group = only_group(judge(shown("q", "ab", ("b", "click"))))
    assert list(group.preferred) == ["b"]
    assert len(group.preferred) == 1
    for other in ("a", "never shown"):
        with pytest.raises(KeyError):
            group.preferred[other]


def test_queries_are_judged_apart() -> None:
    found = judge(shown("q", "ab", ("b", "click")), shown("r", "ab", ("a", "click")))
    winners = {group.query: [good.doc_id for good in group.positives] for group in groups(found)}
    assert winners == {"q": ["b"], "r": ["a"]}
    assert rows_of(found, 0)["a"].seen
    assert rows_of(found, 1)["b"].seen
