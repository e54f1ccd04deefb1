"""From a real corpus's triplets to what a training is given, within its time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from http_examples import TRAINING, WORDS
from tribrid.app import Tribrid
from tribrid.loop.train import Taught, read_triplets
from tribrid.training.resources import Pace
from tribrid.types import Document, JudgedQuery, TripletStatus
from tribrid.workspace.corpus import open_corpus

_AS_STORED: list[dict[str, Any]] = sorted(TRAINING, key=lambda one: str(one["query_id"]))
JUDGED = [JudgedQuery(one["query_id"], one["text"], one["judgments"]) for one in _AS_STORED]
TAUGHT = 6


class Told:
    """An emit that keeps its messages and its stages."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.stages: list[Any] = []

    def __call__(self, _type: str, data: Any) -> None:
        self.messages += [data["message"]] if "message" in data else []
        self.stages += [data["stage"]] if "stage" in data else []


@pytest.fixture(scope="module")
def tribrid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tribrid]:
    """Ten judged queries, of which six are mined and four remembered."""
    with Tribrid(tmp_path_factory.mktemp("data")) as made:
        made.create_corpus("c")
        made.corpus("c").documents.add(
            [Document(f"notes/{word}.md", f"How to read and write a {word}.", word) for word in WORDS]
        )
        made.corpus("c").judgments.put(JUDGED)
        mined = made.corpus("c").mine(max_pairs=TAUGHT, sources=["judgments"])
        assert (mined.pairs, mined.remembered) == (TAUGHT, len(JUDGED) - TAUGHT)
        yield made


def taught(tribrid: Tribrid, pace: Pace, told: Told) -> Taught:
    corpus = open_corpus(tribrid.folder, "c")
    triplets = corpus.store.triplets.load(corpus.store.triplets.latest("c").triplet_set_id)
    return read_triplets(corpus, triplets, pace, told)


def test_what_is_past_the_budget_is_not_read_and_is_remembered(tribrid: Tribrid) -> None:
    told = Told()
    found = taught(tribrid, Pace(None), told)
    assert [item.labels.query for item in found.lists] == [own.text for own in JUDGED[:TAUGHT]]
    assert [list(past.good) for past in found.past] == [list(own.judgments) for own in JUDGED[TAUGHT:]]
    assert len({item.cluster for item in found.lists} | {past.cluster for past in found.past}) == len(JUDGED)
    assert found.past[0].tokens.embedding.shape == found.lists[0].tokens.embedding.shape
    assert (told.messages, told.stages[-1]) == ([], "memory")


def test_where_time_is_short_less_is_remembered(tribrid: Tribrid) -> None:
    told = Told()
    late = Pace(1.0, iter([0.0, *[9.0] * 100]).__next__)
    found = taught(tribrid, late, told)
    assert (len(found.lists), len(found.past)) == (1, 0)
    assert told.messages == [
        f"training.time_budget_s leaves time to read 1 of {TAUGHT} queries",
        f"training.time_budget_s leaves time to remember 0 of {len(JUDGED) - TAUGHT} queries",
    ]


def test_a_model_knows_what_it_was_not_taught(tribrid: Tribrid) -> None:
    metrics = tribrid.corpus("c").train(cross_encoder=False).metrics
    assert (metrics["queries"], metrics["remembered_queries"]) == (TAUGHT, len(JUDGED))


def test_what_is_remembered_is_listed_and_says_so(tribrid: Tribrid) -> None:
    listed = tribrid.corpus("c").triplets(status=TripletStatus.ACTIVE, limit=500).triplets
    remembered = [row for row in listed if row.remembered]
    assert {row.query for row in remembered} == {own.text for own in JUDGED[TAUGHT:]}
    assert all(row.positive.text and row.negative.text for row in remembered)
