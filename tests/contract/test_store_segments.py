"""Lists in segments answer as the same lists in rows do, whoever asks; and they go as rows go."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from segmented import segment
from tribrid.corpus.lexical import normalise
from tribrid.errors import NotShown, QueryNotFound
from tribrid.store import Store
from tribrid.store.logimport import NewList
from tribrid.types import Feedback, Impression, LoggedList, ShownDoc, Signal, Source, Triplet

DAY_US = 86_400_000_000
SIGNALS = (Signal.CLICK, Signal.CLICK, Signal.THUMBS_UP, Signal.DWELL)


def lists(number: int = 120) -> list[NewList]:
    """Lists of some days and clients, with places as logs have them: in order, with gaps, with scores."""
    rng = random.Random(5)
    made = []
    for n in range(number):
        query_id, at_us = f"q{n:04}", rng.randrange(5) * DAY_US + rng.randrange(1000)
        docs = rng.sample([f"d{d}" for d in range(12)], rng.randint(1, 6))
        step, score = rng.choice([(1, 0.0), (1, 0.0), (2, 1.5)])
        shown = [(doc_id, 1 + step * place, score * place, 0, 0) for place, doc_id in enumerate(docs)]
        acts = [
            Feedback(query_id, rng.choice(SIGNALS), rng.choice([*docs, None]), rng.choice([None, 40.0]), at_us + k)
            for k in range(rng.choice([0, 0, 1, 3]))
        ]
        client_id = rng.choice([None, "ann", "bob", "eve"])
        made.append(NewList(query_id, f"query {n % 17}", shown, at_us, "imported", "import", client_id, acts))
    return made


def live(corpus_id: str) -> Impression:
    shown = tuple(ShownDoc(doc_id, rank, 1.0, 0, 4, {}) for rank, doc_id in enumerate(("d1", "d2"), 1))
    at_us = 2 * DAY_US + 500
    return Impression(f"live {corpus_id}", corpus_id, "query 3", shown, "m", True, None, 3.0, at_us, client_id="bob")


@pytest.fixture
def both(store: Store) -> Store:
    """The same log twice: in corpus `c` as rows, in `s` as two segments that overlap; each with a search of its own."""
    store.corpora.create("s", "")
    made = lists()
    store.logs.add_lists("c", made)
    segment(store, "s", made[::2])
    segment(store, "s", made[1::2])
    for corpus_id in ("c", "s"):
        store.logs.add_impression(live(corpus_id))
        late = [Feedback(f"q{n:04}", Signal.CITE, None, None, 9 * DAY_US + n) for n in range(0, 40, 3)]
        assert store.logs.add_feedbacks(corpus_id, late).added == len(late)
        assert store.logs.add_feedbacks(corpus_id, late).known == len(late)
        query_id = f"live {corpus_id}"
        store.logs.add_feedback(Feedback(query_id, Signal.CLICK, "d2", None, 2 * DAY_US + 600))
    return store


def plain(found: list[LoggedList]) -> list[tuple[Any, ...]]:
    """What is learned from, whichever corpus it is of, in an order that does not hang on ties."""
    named = [(one.created_us, one.query_id.replace("live s", "live c"), one) for one in found]
    return sorted((at_us, name, *one[1:4], *map(_act, one.feedback), *one[5:]) for at_us, name, one in named)


def _act(act: Feedback) -> tuple[Any, ...]:
    return (act.signal, act.doc_id, act.value, act.created_us)


READ: dict[str, Callable[[Store, str], Any]] = {
    "all": lambda store, c: plain(list(store.logs.iterate_with_feedback(c))),
    "named": lambda store, c: plain(list(store.logs.iterate_with_feedback(c, named=True))),
    "span": lambda store, c: plain(
        list(store.logs.iterate_with_feedback(c, since_us=DAY_US + 100, until_us=3 * DAY_US + 7))
    ),
    "stats": lambda store, c: store.logs.stats(c).model_copy(update={"corpus_id": ""}),
    "days": lambda store, c: store.logs.days(c, 3),
    "crowd": lambda store, c: store.logs.crowd(c, 5),
    "acts": lambda store, c: sorted(
        (a.doc_id, a.query, a.client_id or "", sorted(map(str, map(_act, a.feedback))))
        for a in store.logs.acts(c, ["d1", "d7"])
    ),
    "clients": lambda store, c: store.logs.clients_of(c, 2 * DAY_US, 3 * DAY_US),
    "newest": lambda store, c: store.logs.newest_us(c),
    "sources": lambda store, c: [store.logs.has_source(c, source) for source in ("search", "import", "reconstructed")],
    "feedback": lambda store, c: (store.logs.has_feedback(c), store.logs.fallbacks_with_feedback(c)),
    "known": lambda store, c: store.logs.known(c, ["q0001", "q0002", "none"]),
    "lists": lambda store, c: [
        (query_id, one.query, one.shown, one.created_us, one.client_id, one.source, one.model_id)
        for query_id, one in sorted(store.logs.lists(c, ["q0001", "q0002", "none"]).items())
    ],
    "a look": lambda store, c: _looked(store, c, 50, None),
    "a look outside": lambda store, c: _looked(store, c, 1000, (DAY_US, 2 * DAY_US)),
}


def _looked(store: Store, corpus_id: str, most: int, held_out: tuple[int, int] | None) -> tuple[Any, ...]:
    found = store.labelled.log(corpus_id, most, held_out)
    return found.impressions, found.whole, sorted((query, str(_act(act))) for query, act in found.used)


@pytest.mark.parametrize("what", READ)
def test_segments_answer_as_rows_do(both: Store, what: str) -> None:
    assert READ[what](both, "s") == READ[what](both, "c")


def test_lists_come_in_the_order_of_time(both: Store) -> None:
    times = [logged.created_us for logged in both.logs.iterate_with_feedback("s")]
    assert times == sorted(times)
    assert len(times) == 121


def test_lineage_reads_what_was_there_when_it_was_mined(both: Store) -> None:
    sets = {}
    for corpus_id in ("c", "s"):
        mined = Triplet("t", "query 3", ("d1", 0), ("d2", 0), Source.LOGS, 1.0, "clicked", "first")
        sets[corpus_id] = both.triplets.put(corpus_id, {}, {}, [mined]).triplet_set_id
    segment(both, "s", [NewList("later", "query 3", [("d1", 1, 0.0, 0, 0)], 5, "imported")])
    spelled = [both.lineage.spellings(sets[corpus_id], normalise) for corpus_id in ("c", "s")]
    assert spelled[0] == spelled[1]
    found = [both.lineage.lists(sets[corpus_id], ["query 3", "query 4"], 4) for corpus_id in ("c", "s")]
    assert {text: len(of) for text, of in found[0].items()} == {text: len(of) for text, of in found[1].items()}
    assert "later" not in {one.query_id for one in found[1]["query 3"]}


def test_feedback_finds_the_latest_list_of_a_query_id(store: Store) -> None:
    def one(score: float) -> NewList:
        return NewList("q", "tea", [("d1", 1, score, 0, 0)], 7, "imported")

    for corpus_id in ("s", "t"):
        store.corpora.create(corpus_id, "")
    segment(store, "s", [one(1.0)])
    assert store.logs.impression("q").corpus_id == "s"
    store.logs.add_feedback(Feedback("q", Signal.CLICK, "d1", None, 8))
    assert [len(logged.feedback) for logged in store.logs.iterate_with_feedback("s")] == [1]
    with pytest.raises(NotShown):
        store.logs.add_feedback(Feedback("q", Signal.CLICK, "d9", None, 8))
    store.logs.add_lists("c", [one(2.0)])
    assert store.logs.impression("q").corpus_id == "c", "it came after the segment"
    segment(store, "t", [one(3.0)])
    assert store.logs.impression("q").corpus_id == "t"
    with pytest.raises(QueryNotFound):
        store.logs.impression("none")


def test_an_import_into_rows_knows_what_segments_hold(both: Store) -> None:
    again = both.logs.add_lists("s", lists())
    assert (again.impressions, again.feedback.added, again.feedback.rejected) == (0, 0, [])
    assert again.feedback.known == sum(len(new.feedback) for new in lists())


def test_old_lists_go_from_segments(both: Store) -> None:
    for corpus_id in ("c", "s"):
        gone = 0
        while now := both.retention.prune(corpus_id, 2 * DAY_US):
            gone += now
        assert gone == sum(new.created_us < 2 * DAY_US for new in lists())
    for what in ("all", "stats", "days"):
        assert READ[what](both, "s") == READ[what](both, "c")
    while both.retention.prune("s", 100 * DAY_US):
        pass
    assert both.logs.stats("s").impressions == 0
    assert not list(both.artifacts.holding("segment", -1)), "the files are gone"


def test_a_deleted_corpus_takes_its_files_along(both: Store) -> None:
    assert both.artifacts.holding("segment", -1)
    both.corpora.delete("s")
    both.segments.remove_dropped()
    assert not both.artifacts.holding("segment", -1)


@pytest.mark.parametrize("erase", ["query", "client", "search", "document"])
def test_what_is_erased_goes_from_segments_as_from_rows(both: Store, erase: str) -> None:
    files = both.artifacts.holding("segment", -1)
    done = {}
    for corpus_id in ("c", "s"):
        if erase == "query":
            done[corpus_id] = both.erasures.query(corpus_id, lambda text: text == "query 3")
        elif erase == "client":
            done[corpus_id] = both.erasures.lists(corpus_id, normalise, client_id="ann")
        elif erase == "search":
            done[corpus_id] = both.erasures.lists(corpus_id, normalise, query_id="q0003")
        else:
            done[corpus_id] = both.erasures.document(corpus_id, "d3")
    assert done["s"].report.erased == done["c"].report.erased
    for what in ("all", "stats", "days", "acts", "crowd"):
        assert READ[what](both, "s") == READ[what](both, "c"), what
    left = both.artifacts.holding("segment", -1)
    assert len(left & files) == (1 if erase == "search" else 0), "only what is touched is written anew"
    assert len(left) == 2
