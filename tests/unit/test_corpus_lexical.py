"""Identifier parts, normal form and near-duplicates."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribrid.corpus.lexical import (
    expand_identifiers,
    identifier_parts,
    jaccard,
    near_duplicate,
    normalise,
    shingles,
)

# A step that is quadratic in the text takes minutes at this length, a linear one well under a second.
CHARS = 400_000

words = st.from_regex(r"[a-z]{1,12}|[A-Z][a-z]{0,11}|[A-Z]{2,6}|[0-9]{1,4}", fullmatch=True)
prose = st.lists(words, max_size=40).map(", ".join) | st.lists(words, max_size=40).map(" ".join)


@pytest.mark.parametrize(
    ("identifier", "parts"),
    [
        ("readFile", ["read", "File"]),
        ("read_file", ["read", "file"]),
        ("__init__", ["init"]),
        ("json.decoder.JSONDecoder", ["json", "decoder", "JSON", "Decoder"]),
        ("XMLHttpRequest", ["XML", "Http", "Request"]),
        ("base64Encode", ["base64", "Encode"]),
        ("MAX_PATH_LEN", ["MAX", "PATH", "LEN"]),
        ("größeWert_é", ["größe", "Wert"]),
        ("e.g", []),
    ],
)
def test_the_parts_of_an_identifier_follow_the_text(identifier: str, parts: list[str]) -> None:
    assert identifier_parts(identifier) == parts
    text = f"call {identifier} now"
    assert expand_identifiers(text) == (f"{text}\n{' '.join(parts)}" if parts else text)


@given(prose)
def test_plain_prose_is_left_alone(text: str) -> None:
    assert expand_identifiers(text) == text


@pytest.mark.parametrize(
    "text", ["It costs 3.14 dollars, i.e. not much.", "COVID-19 (2020)", "end. Next", "well-known", "a_", "", "U.S.A."]
)
def test_prose_with_punctuation_is_left_alone(text: str) -> None:
    assert expand_identifiers(text) == text


@given(st.text(max_size=200))
def test_the_text_itself_always_comes_first_and_growth_is_bounded(text: str) -> None:
    expanded = expand_identifiers(text)
    assert expanded.startswith(text)
    assert len(expanded) <= 2.5 * len(text) + 1


@given(st.text(max_size=100))
def test_normalise_folds_case_and_space_and_is_stable(text: str) -> None:
    once = normalise(text)
    assert once == once.strip()
    assert "  " not in once
    assert normalise(f"  {text}\n\t") == once


def test_normalise_makes_one_query_of_two() -> None:
    assert normalise(" How  to\nREAD a File ") == "how to read a file"


@given(st.text(max_size=200), st.text(max_size=200), st.floats(0.5, 1))
def test_near_duplicate_is_symmetric_and_reflexive(a: str, b: str, threshold: float) -> None:
    assert near_duplicate(a, b, threshold) == near_duplicate(b, a, threshold)
    assert near_duplicate(a, a, threshold)


@given(prose.filter(str.strip))
def test_case_space_and_punctuation_do_not_make_a_text_another(text: str) -> None:
    assert near_duplicate(text, f"  {text.upper()} !", 1.0)


def test_jaccard_counts_shared_three_word_shingles() -> None:
    a, b = shingles("one two three four"), shingles("zero one two three")
    assert len(a) == len(b) == 2
    assert jaccard(a, b) == pytest.approx(1 / 3)


def test_short_and_wordless_texts_compare_whole() -> None:
    assert near_duplicate("hello", "Hello", 0.9)
    assert not near_duplicate("hello", "hello there", 0.5)
    assert not near_duplicate("!!!", "???", 0.5)


@pytest.mark.parametrize("unit", ["a", "_", "aB", "a.", "a_", "Aa", ".", "1A", "é", " "])
@pytest.mark.timeout(20, func_only=True)
def test_the_time_is_linear_without_a_space(unit: str) -> None:
    text = unit * (CHARS // len(unit))
    expand_identifiers(text)
    normalise(text)
    shingles(text)
