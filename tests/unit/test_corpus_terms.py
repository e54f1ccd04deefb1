"""Stems as the Snowball project lists them, and documents as clients send them."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tribrid.corpus.inline import inline_document
from tribrid.corpus.jsonlines import storable
from tribrid.corpus.stemming import beginnings, stem
from tribrid.corpus.terms import STOP_WORDS, identifiers, query_terms, terms
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


@given(
    st.from_regex("[a-z]{1,3}(ying|y|ies|ied|ing|ed|s|ly|ion)?", fullmatch=True) | st.sampled_from(STEMS.split()[::2])
)
@example("dying")
def test_a_word_begins_as_its_stem_says(word: str) -> None:
    assert word.startswith(tuple(beginnings(stem(word))))


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
    assert storable("a\0b\ud800c 字") == "a bc 字"


def test_the_halves_of_a_surrogate_pair_are_joined() -> None:
    assert storable("a\ud83d\ude00b \udc00\ud835 c\ud835") == "a😀b  c"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("先安装Bosarika客户端", "先安 安装 bosarika 客户 户端"),
        ("Linuxサーバーの設定", "linux サー ーバ バー ーの の設 設定"),
        ("ＡＰＩ２を呼ぶ", "api2 を呼 呼ぶ"),
        ("ﾃﾞｰﾀ", "デー ータ"),
        ("서버를 재시작", "서버 버를 재시 시작"),
        ("Docker컨테이너", "docker 컨테 테이 이너"),
        ("รันPythonบนเครื่อง", "รัน python บน นเ เค ครื่ รื่อ อง"),
        ("字 茶", "字 茶"),
        ("поиск größe Ærø naïve résumés", "поиск gross aero naiv resum"),
        ("หา", "หา"),
        ("docu\u00admentation", "document"),
        ("ﬁle ①", "file 1"),
        ("使用readFile函数", "使用 readfil 函数 使用 read file 函数"),
    ],
)
def test_words_are_cut_where_the_script_changes(text: str, found: str) -> None:
    """In a query as in a document: Thai by what is seen as one character, and full width as any other."""
    assert terms(text) == query_terms(text) == found.split()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("UPS canned owned willing others", "up can own will other"),
        ("vitamin D", "vitamin d"),
        ("The WHO says so", "who say"),
        ("who says so", "say"),
        ("Ask IT about it", "ask it"),
        ("MATERIALS AND METHODS we used", "materi method use"),
        ("cats AND dogs", "cat dog"),
        ("It's the user's; don't, can’t, we'll", "user"),
        ("WHO IS THE PRESIDENT", "presid"),
        ("o'clock", "o clock"),
        ("because the very same", ""),
    ],
)
def test_only_function_words_are_stopped_and_before_they_are_stemmed(text: str, found: str) -> None:
    assert terms(text) == found.split()
    assert query_terms(text) == (found.split() or ["becaus", "the", "veri", "same"])


def test_a_query_of_function_words_alone_asks_for_them() -> None:
    assert query_terms("who") == terms("The WHO.") == ["who"]
    assert query_terms("") == query_terms("...") == []
    assert len(STOP_WORDS) > 100


@pytest.mark.parametrize("kind", ["md5", "sha1", "sha256", "sha512"])
def test_a_hash_is_a_term_however_long(kind: str) -> None:
    found = hashlib.new(kind, b"x").hexdigest()
    other = found[:-1] + ("0" if found[-1] != "0" else "1")
    assert terms(f"it is {found.upper()}.") == [found]
    assert terms(other) != terms(found)
    assert identifiers(f"which file has {found}") == {found}


def test_what_is_longer_than_any_hash_counts_by_its_own() -> None:
    long, other = "a1" * 100, "a1" * 99 + "a2"
    (term,) = terms(long)
    assert len(term) == 64
    assert terms(other) != [term]
    assert query_terms(f"find {long}") == ["find", term]
    assert terms("Donaudampfschifffahrtsgesellschaftskapitänswitwe") != []


@pytest.mark.parametrize("unit", ["a", "字", "ก", "가", "aB", "a'", "don't ", "\u0301", "A ", "\u00ad"])
@pytest.mark.timeout(20, func_only=True)
def test_the_time_is_linear(unit: str) -> None:
    terms(unit * (400_000 // len(unit)))
