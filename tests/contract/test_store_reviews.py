"""Decisions on triplets: kept beside the sets, laid over every set that has the triplet, never contradictory."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config as AlembicConfig

from tribrid.errors import Conflict, TripletNotFound
from tribrid.store import Store, tables
from tribrid.store.database import Database
from tribrid.store.reviews import triplet_id
from tribrid.types import Document, Mark, Place, Review, Source, Triplet, TripletStatus

REVIEW = TripletStatus.REVIEW


def triplet(positive: str, negative: str, *, held_back: bool = False, query: str = "green tea") -> Triplet:
    sides = (positive, 0), (negative, 3)
    return Triplet(
        "q", query, *sides, source=Source.LOGS, weight=0.5, reason="clicked; not chosen", held_back=held_back
    )


MINED = [
    triplet("good", "bad"),
    triplet("good", "worse"),
    triplet("good", "maybe", held_back=True),
    triplet("fine", "bad"),
    triplet("fine", "maybe", held_back=True),
]


def named(positive: str, negative: str, corpus_id: str = "c") -> str:
    return triplet_id(corpus_id, "green tea", positive, negative)


def pairs(store: Store) -> list[tuple[str, str]]:
    found = store.triplets.load(store.triplets.latest("c").triplet_set_id)
    assert not any(t.held_back for t in found)
    return [(t.positive[0], t.negative[0]) for t in found]


def statuses(store: Store) -> dict[tuple[str, str], str]:
    rows, _ = store.triplets.page("c", None, None, 0, 100)
    return {(row.triplet.positive[0], row.triplet.negative[0]): str(row.status) for row in rows}


def waiting(store: Store) -> list[str]:
    rows, total = store.triplets.page("c", None, None, 0, 100, REVIEW)
    assert total == len(rows)
    return [row.triplet_id for row in rows]


def test_what_waits_for_review_is_not_trained_on(store: Store) -> None:
    store.triplets.put("c", {}, {}, MINED)
    assert pairs(store) == [("good", "bad"), ("good", "worse"), ("fine", "bad")]
    assert waiting(store) == [named("good", "maybe"), named("fine", "maybe")]


def test_an_accepted_one_is_trained_on_and_a_dropped_one_never(store: Store) -> None:
    store.triplets.put("c", {}, {}, MINED)
    assert store.reviews.decide(named("good", "maybe"), Mark.ACCEPT) == "c"
    store.reviews.decide(named("fine", "maybe"), Mark.DROP)
    store.reviews.decide(named("good", "bad"), Mark.DROP)
    assert pairs(store) == [("good", "worse"), ("good", "maybe"), ("fine", "bad")]
    assert waiting(store) == []
    assert statuses(store)["good", "maybe"] == "accepted"
    assert statuses(store)["good", "bad"] == "dropped"
    store.reviews.decide(named("good", "maybe"), Mark.DROP)
    assert pairs(store) == [("good", "worse"), ("fine", "bad")]


def test_a_flipped_one_is_a_positive_of_its_query(store: Store) -> None:
    store.triplets.put("c", {}, {}, MINED)
    store.reviews.decide(named("good", "maybe"), Mark.FLIP)
    assert sorted(pairs(store)) == sorted(
        [("good", "bad"), ("maybe", "bad"), ("good", "worse"), ("maybe", "worse"), ("fine", "bad")]
    )
    flipped = store.triplets.load(store.triplets.latest("c").triplet_set_id)[1]
    assert (flipped.positive, flipped.evidence) == (("maybe", 3), "review")
    assert statuses(store)["fine", "maybe"] == "flipped", "for every positive of the query"


def test_decisions_hold_in_every_set_and_go_with_the_corpus(store: Store) -> None:
    store.triplets.put("c", {}, {}, MINED)
    store.reviews.decide(named("good", "maybe"), Mark.ACCEPT)
    store.triplets.put("c", {"again": True}, {}, MINED)
    assert waiting(store) == [named("fine", "maybe")]
    assert store.reviews.list("c") == [Review("green tea", "good", "maybe", Mark.ACCEPT)]
    store.corpora.create("other", "")
    store.triplets.put("other", {}, {}, MINED)
    assert store.triplets.page("other", None, None, 0, 9, REVIEW)[1] == 2
    store.corpora.delete("c")
    with store.database.read() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM reviews")).scalar_one() == 0


def test_a_document_is_not_both_relevant_and_not(store: Store) -> None:
    store.triplets.put("c", {}, {}, MINED)
    store.reviews.decide(named("good", "maybe"), Mark.ACCEPT)
    with pytest.raises(Conflict) as caught:
        store.reviews.decide(named("fine", "maybe"), Mark.FLIP)
    assert caught.value.facts["contradicts"] == named("good", "maybe")
    store.reviews.decide(named("good", "maybe"), Mark.FLIP)
    with pytest.raises(Conflict):
        store.reviews.decide(named("fine", "maybe"), Mark.ACCEPT)


def test_a_triplet_that_was_never_mined(store: Store) -> None:
    with pytest.raises(TripletNotFound):
        store.reviews.decide("none", Mark.DROP)
    with pytest.raises(TripletNotFound):
        store.triplets.find("none")


def test_triplets_of_before_get_their_ids(database_url: str, tmp_path: Path) -> None:
    """What an older release mined can be reviewed like what this one mines."""
    database = Database(database_url)
    script = AlembicConfig()
    script.set_main_option("script_location", str(Path(tables.__file__).parent / "migrations"))
    with database.begin() as connection:
        script.attributes["connection"] = connection
        command.upgrade(script, "0002_client")
        connection.execute(sa.text("INSERT INTO corpora VALUES ('c', '', 0, 0)"))
        connection.execute(sa.text("INSERT INTO triplet_sets VALUES (1, 's', 'c', 0, '{}', '{}', 2500)"))
        row = "INSERT INTO triplets VALUES (1, :n, 'q', 'green tea', 'good', 0, :bad, 0, 'logs', 1.0, 'why', 'i')"
        connection.execute(sa.text(row), [{"n": n, "bad": f"d{n}"} for n in range(2500)])
    database.close()
    store = Store.open(tmp_path / "data", database_url)
    assert len(store.triplets.load("s")) == 2500
    store.reviews.decide(named("good", "d2400"), Mark.DROP)
    assert len(store.triplets.load("s")) == 2499
    assert store.triplets.find(named("good", "d1")).status is TripletStatus.ACTIVE
    store.close()


def test_places_are_read_without_the_text(store: Store) -> None:
    store.documents.upsert(
        "c",
        [
            Document("a", "text", uri="https://x.example/p#one", metadata={"parent_id": "whole", "n": 1}),
            Document("b", "text", metadata={"parent_id": 7}),
            Document("d", "text", metadata={"parent_id": None}),
        ],
    )
    assert store.documents.places("c", ["a", "b", "d", "none"]) == {
        "a": Place("https://x.example/p#one", "whole"),
        "b": Place("", "7"),
        "d": Place("", None),
    }
