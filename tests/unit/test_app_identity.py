"""Texts of a rerank that share an id: each is a document of its own, found again, and clicks are learned on it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import handmade
from tribrid.app import Tribrid
from tribrid.errors import InvalidInput, NotShown, QueryNotFound, Unavailable
from tribrid.store.settings import GLOBAL_SCOPE
from tribrid.types import Document
from tribrid.types.texts import MAX_ID_CHARS
from tribrid.workspace.data_folder import DataFolder

TEXTS = ["soup and pasta", "proxy backup", "kitchen soup soup", "night"]
Texts = Sequence[str | Mapping[str, Any]]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataFolder]:
    """Whose encoder all use."""
    opened = handmade.opened(tmp_path_factory.mktemp("encoder"))
    yield opened
    opened.close()


@pytest.fixture
def tribrid(encoder: DataFolder, tmp_path: Path) -> Iterator[Tribrid]:
    """Two corpora, of which "notes" has a document."""
    with Tribrid(tmp_path / "data") as opened:
        opened.folder.share_encoders(encoder)
        for corpus_id in ("notes", "news"):
            opened.create_corpus(corpus_id)
        opened.store.documents.upsert("notes", [Document("soup.md", "soup with noodles", "Dinner")])
        yield opened


def rerank(tribrid: Tribrid, documents: Texts, **how: Any) -> dict[str, Any]:
    """The answer, as plain data."""
    return tribrid.rerank("soup", documents, **how).model_dump(mode="json")


def order(answer: Mapping[str, Any]) -> list[int]:
    return [row["index"] for row in answer["results"]]


def stored(tribrid: Tribrid, corpus_id: str) -> dict[str, str]:
    """Text of each document, by its id."""
    return {document.doc_id: document.text for document in tribrid.store.documents.iterate(corpus_id)}


HOLIDAYS = {"text": "Holidays: every employee gets thirty days of leave a year.", "metadata": {"doc_id": "h.pdf"}}
KITCHEN = {"text": "Kitchen rules: boil the soup for an hour and clean the stove.", "metadata": {"doc_id": "h.pdf"}}
PARKING = {"text": "Parking is free on weekends for all.", "metadata": {"doc_id": "parking.pdf"}}


def learned_text(tribrid: Tribrid, answer: Mapping[str, Any], **target: Any) -> str:
    """What a click on it is learned on."""
    done = tribrid.feedback(answer["query_id"], "click", **target)
    assert done.doc_id is not None
    return stored(tribrid, answer["corpus_id"])[done.doc_id]


def test_texts_that_share_an_id_in_a_call_are_told_apart(tribrid: Tribrid) -> None:
    sent = [HOLIDAYS, KITCHEN, PARKING]
    answer = rerank(tribrid, sent, model="news")
    assert answer["collected"] == 3
    assert [stored(tribrid, "news")[doc_id] for doc_id in ("h.pdf", "parking.pdf")] == [
        sent[0]["text"],
        sent[2]["text"],
    ]
    assert {row["index"]: row["doc_id"] for row in answer["results"]} == {0: "h.pdf", 1: "h.pdf", 2: "parking.pdf"}
    assert [learned_text(tribrid, answer, index=at) for at in range(3)] == [chunk["text"] for chunk in sent]
    assert learned_text(tribrid, answer, index=1, doc_id="h.pdf") == KITCHEN["text"]
    highest = next(row["index"] for row in answer["results"] if row["doc_id"] == "h.pdf")
    assert learned_text(tribrid, answer, doc_id="h.pdf") == sent[highest]["text"]
    assert "1 documents came under an id that stands for another text: 'h.pdf'" in answer["warnings"][-1]
    with pytest.raises(InvalidInput, match=r"index 2 is document 'parking\.pdf', not 'h\.pdf'"):
        tribrid.feedback(answer["query_id"], "click", "h.pdf", index=2)
    with pytest.raises(NotShown):
        tribrid.feedback(answer["query_id"], "click", "h")


@pytest.mark.parametrize("order_", [[HOLIDAYS, KITCHEN], [KITCHEN, HOLIDAYS]])
def test_texts_that_share_an_id_in_two_calls_are_told_apart_and_found_again(tribrid: Tribrid, order_: Texts) -> None:
    first, second = (rerank(tribrid, [chunk, PARKING], model="news") for chunk in order_)
    for answer, chunk in zip((first, second), order_, strict=True):
        assert isinstance(chunk, Mapping)
        assert learned_text(tribrid, answer, index=0) == learned_text(tribrid, answer, doc_id="h.pdf") == chunk["text"]
    before = stored(tribrid, "news")
    again = rerank(tribrid, [PARKING, order_[1], order_[0]], model="news")
    assert (again["collected"], stored(tribrid, "news")) == (0, before)
    given = tribrid.store.logs.impression(again["query_id"]).given
    assert given is not None
    assert [before[doc_id] for doc_id in given] == [c["text"] for c in (PARKING, order_[1], order_[0])]  # type: ignore[index]


def test_a_part_of_the_document_that_the_corpus_has_is_that_document(tribrid: Tribrid) -> None:
    whole = f"{HOLIDAYS['text']}\n\n{KITCHEN['text']}\n\n" + " ".join(f"rule {n} of the house." for n in range(100))
    tribrid.store.documents.upsert("notes", [Document("h.pdf", whole, "Handbook")])
    marked = {"text": f"**{KITCHEN['text']}**".upper().replace(" ", "\n"), "id": "h.pdf"}
    edited = {"text": whole.replace("thirty", "forty"), "id": "h.pdf"}
    for sent in ([HOLIDAYS, KITCHEN, PARKING], [marked], [edited]):
        answer = rerank(tribrid, sent, model="notes")
        assert tribrid.store.logs.impression(answer["query_id"]).given[0] == "h.pdf"  # type: ignore[index]
        assert not any("another text" in told for told in answer["warnings"])
    assert len(stored(tribrid, "notes")) == 3
    both = rerank(tribrid, [{"text": whole, "id": "h.pdf"}, edited], model="notes")
    assert both["collected"] == 1, "in one call they are two"


@pytest.mark.parametrize("text", ["soup " * 300, "  "])
def test_an_id_stands_for_no_text_that_is_not_kept(tribrid: Tribrid, text: str) -> None:
    tribrid.store.settings.patch(GLOBAL_SCOPE, {"indexing": {"max_document_chars": 1000}})
    first = rerank(tribrid, [{"id": "x", "text": text}], model="news")
    rerank(tribrid, [{"id": "x", "text": "night"}], model="news")
    assert stored(tribrid, "news") == {"x": "night"}
    assert tribrid.feedback(first["query_id"], "click", "x").doc_id != "x"


def test_two_calls_at_once_do_not_share_an_id(tribrid: Tribrid) -> None:
    with ThreadPoolExecutor(8) as pool:
        texts = [f"the chunk of number {n} in the book of the house" for n in range(8)]
        sent = [[{"id": "h.pdf", "text": text}] for text in texts]
        answers = list(pool.map(lambda documents: rerank(tribrid, documents, model="news"), sent))
    assert [learned_text(tribrid, answer, index=0) for answer in answers] == texts
    assert sum(answer["collected"] for answer in answers) == 8


def test_a_long_id_leaves_room_to_tell_texts_apart(tribrid: Tribrid) -> None:
    sent = [{"id": "h" * MAX_ID_CHARS, "text": text} for text in TEXTS]
    answer = rerank(tribrid, sent, model="news")
    assert [learned_text(tribrid, answer, index=at) for at in range(4)] == TEXTS
    assert learned_text(tribrid, answer, doc_id="h" * MAX_ID_CHARS) == TEXTS[order(answer)[0]]


def test_where_the_database_takes_nothing_texts_are_told_apart_and_none_is_kept(tribrid: Tribrid) -> None:
    def no_more(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA max_page_count = 1")  # SQLite makes of it the pages there are

    sent: Texts = [HOLIDAYS, KITCHEN, {"id": "long", "text": "soup " * 5000}]
    engine = tribrid.store.database._reader
    engine.dispose()
    sa.event.listen(engine, "connect", no_more)
    with suppress(Unavailable):
        for number in range(1000):
            tribrid.store.documents.upsert("notes", [Document(f"{number}", "x" * 3000)])
    answer = rerank(tribrid, sent, model="news")
    assert (answer["logged"], answer["collected"], len(answer["results"])) == (False, 0, 3)
    assert stored(tribrid, "news") == {}
    assert any("came under an id that stands for another text: 'h.pdf'" in told for told in answer["warnings"])
    with pytest.raises((QueryNotFound, Unavailable), match="not logged"):
        tribrid.feedback(answer["query_id"], "click", index=1)
