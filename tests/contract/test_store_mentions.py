"""What documents name of each other, as it is kept."""

from __future__ import annotations

import pytest

from tribrid.errors import CorpusNotFound
from tribrid.store import Store
from tribrid.types import Document, Place
from tribrid.types.edges import Mention

A, B = Document("a", "see b", uri="u", metadata={"parent_id": 7}), Document("b", "text")
LINK = Mention("link", "b", 0.5)


def test_what_was_read_is_kept_until_the_text_changes(store: Store) -> None:
    store.documents.upsert("c", [A, B])
    assert store.mentions.unread("c") == ["a", "b"]
    store.mentions.put("c", [(A, [LINK]), (B, [])])
    assert store.mentions.unread("c") == []
    assert list(store.mentions.all("c")) == [("a", Place("u", "7"), [LINK]), ("b", Place("", None), [])]
    store.documents.upsert("c", [Document("b", "other text"), Document("d", "new")])
    assert store.mentions.unread("c") == ["b", "d"]
    assert [naming.doc_id for naming in store.mentions.all("c")] == ["a", "b", "d"]


def test_reading_again_replaces_and_tells_by_the_version(store: Store) -> None:
    store.documents.upsert("c", [A])
    before = store.corpora.get("c").version
    store.mentions.put("c", [(A, [LINK])])
    assert store.corpora.get("c").version == before + 1
    store.mentions.put("c", [(A, [])])
    assert [naming.mentions for naming in store.mentions.all("c")] == [[]]


def test_they_go_with_their_document(store: Store) -> None:
    store.documents.upsert("c", [A, B])
    store.mentions.put("c", [(A, [LINK]), (B, [])])
    store.erasures.document("c", "a")
    assert [naming.doc_id for naming in store.mentions.all("c")] == ["b"]


def test_nothing_is_kept_of_what_changed_or_went_while_it_was_read(store: Store) -> None:
    store.documents.upsert("c", [Document("a", "other text")])
    before = store.corpora.get("c").version
    store.mentions.put("c", [(A, [LINK]), (B, [])])
    assert [naming.mentions for naming in store.mentions.all("c")] == [[]]
    assert store.corpora.get("c").version == before
    with pytest.raises(CorpusNotFound):
        store.mentions.put("none", [(A, [LINK])])
