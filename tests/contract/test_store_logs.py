"""Impressions and feedback: only evidence of what was really shown, in bulk and one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from tribrid.answers.answer import time_at
from tribrid.answers.logs import LogStats
from tribrid.errors import CorpusNotFound, NotShown, QueryNotFound
from tribrid.store import Store
from tribrid.store.logimport import NewList
from tribrid.types import Feedback, Impression, LegScore, LoggedList, ShownDoc, Signal

SHOWN = (
    ShownDoc("d1", 1, 2.5, 0, 40, {"sparse": LegScore(1, 12.25), "dense": LegScore(3, 0.5)}),
    ShownDoc("d2", 2, 1.5, 40, 80, {}),
)


def impression(query_id: str, created_us: int = 10, **fields: Any) -> Impression:
    made = Impression(query_id, "c", "what is it", SHOWN, "m1", True, None, 12.5, created_us)
    return replace(made, **fields)


def click(query_id: str, doc_id: str | None = "d1", created_us: int = 20) -> Feedback:
    return Feedback(query_id, Signal.CLICK, doc_id, None, created_us)


def test_an_impression_comes_back_as_it_was(store: Store) -> None:
    served = impression("q1", fallback_reason="timeout", reranked=False, source="import", client_id="somebody")
    store.logs.add_impression(served)
    assert store.logs.impression("q1") == served
    fields = {"d2": {"price": 3, "tags": ["a"]}, "cut": {"price": 0.5}}
    given = impression("q1b", source="rerank", given=("d2", "d1", "d1", "cut"), given_fields=fields)
    store.logs.add_impression(given)
    assert store.logs.impression("q1b") == given
    assert store.logs.given_fields("c", ["what is it", "else"]) == {"what is it": fields}
    with pytest.raises(QueryNotFound):
        store.logs.impression("q2")
    with pytest.raises(CorpusNotFound):
        store.logs.add_impression(impression("q3", corpus_id="none"))


def test_feedback_needs_a_list_that_was_served(store: Store) -> None:
    store.logs.add_impression(impression("q1"))
    with pytest.raises(QueryNotFound) as unknown:
        store.logs.add_feedback(click("nobody asked"))
    assert unknown.value.status == 404
    with pytest.raises(NotShown) as never_shown:
        store.logs.add_feedback(click("q1", "d3"))
    assert never_shown.value.status == 422
    assert store.logs.stats("c").feedback == {}
    store.logs.add_feedback(click("q1", "d2"))
    store.logs.add_feedback(Feedback("q1", Signal.RATING, None, 4.0, 30))  # about the whole list
    assert store.logs.stats("c").feedback == {"click": 1, "rating": 1}


def test_iterate_gives_what_can_be_learned_from(store: Store) -> None:
    store.logs.add_impressions(
        [
            impression("late", 30, client_id="somebody"),
            impression("early", 10),
            impression("no feedback", 20),
            impression("fallback", 5, fallback_reason="the model failed", reranked=False),
        ]
    )
    for query_id in ("late", "early", "fallback"):
        store.logs.add_feedback(click(query_id, "d2", 50))
    store.logs.add_feedback(Feedback("early", Signal.DWELL, "d2", 31.5, 40))
    assert list(store.logs.iterate_with_feedback("c")) == [
        LoggedList.of(
            impression("early", 10), [Feedback("early", Signal.DWELL, "d2", 31.5, 40), click("early", "d2", 50)]
        ),
        LoggedList.of(impression("no feedback", 20), ()),
        LoggedList.of(impression("late", 30, client_id="somebody"), [click("late", "d2", 50)]),
    ]
    assert [logged.query_id for logged in store.logs.iterate_with_feedback("c", named=True)] == ["late"]
    assert list(store.logs.iterate_with_feedback("none")) == []


def test_stats(store: Store) -> None:
    empty = store.logs.stats("c")
    assert empty == LogStats(
        corpus_id="c", impressions=0, with_feedback=0, fallbacks=0, feedback={}, first_at=None, last_at=None
    )
    store.logs.add_impressions([impression("q1", 7), impression("q2", 9, fallback_reason="x"), impression("q3", 8)])
    assert not store.logs.has_feedback("c")
    store.logs.add_feedback(click("q1"))
    store.logs.add_feedback(click("q1", "d2"))
    assert store.logs.has_feedback("c")
    assert store.logs.stats("c") == LogStats(
        corpus_id="c",
        impressions=3,
        with_feedback=1,
        fallbacks=1,
        feedback={"click": 2},
        first_at=time_at(7),
        last_at=time_at(9),
    )


def test_an_import_can_be_repeated(store: Store) -> None:
    lists = [impression(f"q{n}", n, source="import") for n in range(5)]
    signals = [click("q1"), click("q1", "d2"), click("q1"), click("q9"), click("q2", "d9"), click("q3", None)]
    assert store.logs.add_impressions(lists[:3]) == 3
    assert store.logs.add_impressions(iter(lists)) == 2
    first = store.logs.add_feedbacks("c", iter(signals))
    assert (first.added, first.known) == (3, 1)
    assert first.rejected == [(3, "query_not_found"), (4, "not_shown")]
    again = store.logs.add_feedbacks("c", signals)
    assert (again.added, again.known) == (0, 4)
    assert store.logs.stats("c").feedback == {"click": 3}


def test_one_log_can_be_imported_into_two_corpora(store: Store) -> None:
    store.corpora.create("other", "")
    assert store.logs.add_impressions([impression("q"), impression("q", corpus_id="other")]) == 2
    assert store.logs.add_feedbacks("c", [click("q")]).added == 1
    assert store.logs.stats("other").with_feedback == 0
    assert store.logs.impression("q").corpus_id == "other"


def test_bulk_spans_batches_and_pages(store: Store) -> None:
    """More than one batch of writing and several pages of reading, all at the same microsecond."""

    def lists() -> Iterator[Impression]:
        return (impression(f"q{n}", 1) for n in range(2500))

    assert store.logs.add_impressions(lists()) == 2500
    done = store.logs.add_feedbacks("c", (click(f"q{n}") for n in range(2600)))
    assert (done.added, len(done.rejected), done.rejected[0]) == (2500, 100, (2500, "query_not_found"))
    read = [served.query_id for served in store.logs.iterate_with_feedback("c")]
    assert read == [f"q{n}" for n in range(2500)]


def new_list(query_id: str, feedback: Sequence[Feedback] = (), **fields: Any) -> NewList:
    made = NewList(query_id, "what is it", [("d1", 1, 2.5, 0, 40), ("d2", 2, 0.0, 0, 0)], 10, "retrieval")
    return made._replace(feedback=feedback, **fields)


def test_lists_come_with_their_feedback_or_not_at_all(store: Store) -> None:
    lists = [
        new_list("q1", [click("q1"), click("q1", "d2"), click("q1")], source="reconstructed", client_id="somebody"),
        new_list("q2"),
        new_list("q3", [click("q3", "d9"), click("q3", None)]),
        new_list("q2", [click("q2")]),
    ]
    done = store.logs.add_lists("c", lists)
    assert (done.impressions, done.feedback.added, done.feedback.known) == (3, 4, 1)
    assert done.feedback.rejected == [(3, "not_shown")]
    stored = store.logs.lists("c", ["q1", "q2", "nobody asked"])
    assert sorted(stored) == ["q1", "q2"]
    assert (stored["q1"].source, stored["q1"].client_id, stored["q1"].model_id) == (
        "reconstructed",
        "somebody",
        "retrieval",
    )
    assert stored["q1"].shown == (ShownDoc("d1", 1, 2.5, 0, 40, {}), ShownDoc("d2", 2, 0.0, 0, 0, {}))
    assert store.logs.known("c", [f"q{n}" for n in range(5000)]) == {"q1", "q2", "q3"}
    assert store.logs.known("other", ["q1"]) == set()
    with pytest.raises(CorpusNotFound):
        store.logs.add_lists("none", lists)


def test_lists_that_are_stored_already_stay_as_they_are(store: Store) -> None:
    store.logs.add_impression(impression("q1"))
    store.logs.add_feedback(click("q1"))
    other = new_list("q1", [click("q1"), click("q1", "d2"), click("q1", "d3")], shown=[("d3", 1, 0.0, 0, 0)])
    done = store.logs.add_lists("c", [other, new_list("q2", [click("q2")])])
    assert (done.impressions, done.feedback.added, done.feedback.known) == (1, 2, 1)
    assert done.feedback.rejected == [(2, "not_shown")]
    assert store.logs.impression("q1") == impression("q1")
    again = store.logs.add_lists("c", [other, new_list("q2", [click("q2")])])
    assert (again.impressions, again.feedback.added, again.feedback.known) == (0, 0, 3)


def test_two_imports_of_one_log_at_once_store_it_once(store: Store) -> None:
    lists = [new_list(f"q{n}", [click(f"q{n}"), click(f"q{n}", "d2")]) for n in range(300)]
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: store.logs.add_lists("c", lists), range(4)))
    assert sum(one.impressions for one in done) == 300
    assert sum(one.feedback.added for one in done) == 600
    assert store.logs.stats("c").feedback == {"click": 600}


def test_days_are_counted_each_and_the_newest_told(store: Store) -> None:
    day = 86_400_000_000
    store.logs.add_impressions(
        [
            impression("q1", 5),
            impression("q2", 3 * day, took_ms=10.0),
            impression("q3", 3 * day + 7, took_ms=20.0, fallback_reason="timeout"),
            impression("q4", 3 * day + 9, source="import", took_ms=0.0),
        ]
    )
    store.logs.add_feedback(click("q2"))
    store.logs.add_feedback(click("q2", "d2"))
    first, last = store.logs.days("c", 10)
    assert (first.day.isoformat(), first.impressions, first.with_feedback) == ("1970-01-01", 1, 0)
    assert (last.day.isoformat(), last.impressions, last.with_feedback, last.fallbacks) == ("1970-01-04", 3, 1, 1)
    assert (last.searches, last.took_ms) == (2, 15.0)
    assert (last.clicks, last.clicked_rank) == (2, 1.5)
    assert (first.clicks, first.clicked_rank) == (0, None)
    assert store.logs.days("c", 1) == [last]
    assert store.logs.days("none", 1) == []
