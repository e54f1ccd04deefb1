"""Stems as the Snowball project lists them, and documents as clients send them."""

from __future__ import annotations

from typing import Any

import pytest

from tribrid.corpus.inline import inline_document, storable
from tribrid.corpus.stemming import stem
from tribrid.errors import InvalidInput

# snowballstem.org/algorithms/english/stemmer.html, and words for the rules that its sample does not reach.
STEMS = (
    "consign consign, consistency consist, consolation consol, knackeries knackeri, knightly knight, "
    "generously generous, generate generat, happy happi, communication communic, hopping hop, hoping hope, "
    "relational relat, vietnamization vietnam, ties tie, cries cri, gas gas, kiwis kiwi, luxuriated luxuri, say say, "
    "by by, cry cri, youth youth, boyish boyish, flying fli, skies sky, controlling control, agreed agre, rate rate, "
    "cease ceas, this this, analogy analog, activate activ, replacement replac, bled bled, fall fall, roll roll, "
    "proceed proceed, herrings herring, only onli, dying die, adoption adopt, misses miss, sensational sensat, is is"
)


@pytest.mark.parametrize("pair", STEMS.split(", "))
def test_a_stem(pair: str) -> None:
    word, expected = pair.split()
    assert stem(word) == expected


@pytest.mark.parametrize(
    ("sent", "rank_fields", "text", "title", "doc_id"),
    [
        ("a text", None, "a text", "", None),
        ({"text": "t", "title": "T", "id": 7}, None, "t", "T", "7"),
        ({"text": "t", "id": 7.0}, None, "t", "", "7"),
        ({"page_content": "t", "metadata": {"doc_id": "m"}}, None, "t", "", "m"),
        ({"_id": "only"}, None, None, "", "only"),
        ({"text": "t", "city": "c", "stars": 4}, ["city", "stars"], "c\n4", "", None),
        ({"title": "T", "city": "c"}, ["title", "city"], "c", "T", None),
        ({"title": "T", "text": "t"}, ["title"], "T", "", None),
    ],
)
def test_a_document_is_read(
    sent: Any, rank_fields: list[str] | None, text: str | None, title: str, doc_id: str | None
) -> None:
    found = inline_document(sent, 0, rank_fields)
    assert (found.text, found.title, found.doc_id, found.given) == (text, title, doc_id, sent)


@pytest.mark.parametrize("odd", [{"$oid": "65a1"}, "", ["a"], True, 5.5, " a ", "a\nb", "x" * 513, None])
def test_what_cannot_be_an_id_in_another_programs_metadata_is_none(odd: Any) -> None:
    for metadata, doc_id in [
        ({"_id": odd}, None),
        ({"id": odd, "_id": "next"}, "next"),
        ({"doc_id": odd, "id": 5.0}, "5"),
        ({"doc_id": -3.0, "id": odd}, "-3"),
    ]:
        assert inline_document({"text": "t", "metadata": metadata}, 0, None).doc_id == doc_id
    with pytest.raises(InvalidInput, match=r"^documents\[3\]: has no text"):
        inline_document({"metadata": {"id": odd}}, 3, None)


@pytest.mark.parametrize(
    "sent",
    [None, 3, ["a"], {}, {"text": ["a"]}, {"text": {"a": 1}}, {"text": "t", "id": "a\nb"}, {"text": "t", "id": ""}],
)
def test_what_is_no_document_is_refused_by_its_place(sent: Any) -> None:
    with pytest.raises(InvalidInput, match=r"^documents\[3\]"):
        inline_document(sent, 3, None)


def test_what_no_database_takes_is_taken_out() -> None:
    assert storable("a\0b\ud800c 字") == "a b?c 字"
