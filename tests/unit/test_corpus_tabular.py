"""Tables and JSON in: every value stands beside its name, and a record is a paragraph."""

from __future__ import annotations

import json

import pytest

from tribrid.corpus.contents import Unreadable
from tribrid.corpus.tabular import read_csv, read_json

MAX = 1_000_000


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("part,price\nBolt M8,3.20\nNut,\n", "part: Bolt M8\nprice: 3.20\n\npart: Nut"),
        ("part;price\nBolt M8;3,20\nNut;0,10\n", "part: Bolt M8\nprice: 3,20\n\npart: Nut\nprice: 0,10"),
        ('a,b\n"two\nlines","say ""x"""\n', 'a: two\nlines\nb: say "x"'),
        ("3,4\n5,6\n", "3\n4\n\n5\n6"),
        ("a,a\n1,2\n", "a\na\n\n1\n2"),
        ("id,name\n1,Ann,more\n\n,\n2\n", "id: 1\nname: Ann\nmore\n\nid: 2"),
        ("name\nAnn\nBob\n", "name: Ann\n\nname: Bob"),
        ("part,price\n", "part\nprice"),
        ("", ""),
    ],
)
def test_a_row_repeats_the_names_of_its_columns(source: str, text: str) -> None:
    assert read_csv(source.encode(), None, MAX).text == text


def test_a_tab_separates_where_the_ending_says_so() -> None:
    assert read_csv(b"a, b\tc\n1, 2\t3\n", "\t", MAX).text == "a, b: 1, 2\nc: 3"


def test_a_cell_may_be_as_long_as_the_file() -> None:
    assert read_csv(b"a,b\n1," + b"x" * 300_000, None, MAX).text == f"a: 1\nb: {'x' * 300_000}"


def test_a_table_that_names_make_too_long_has_them_at_its_head() -> None:
    table = b"thing,price\n" + b"bolt,\nnut,3\n" * 10
    assert "thing: nut\nprice: 3" in read_csv(table, None, 500).text
    found = read_csv(table, None, 200)
    assert found.text == "thing, price" + "\nbolt\nnut, 3" * 10
    assert found.losses == ("too long to name the columns in each row: they are named at its head",)


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (b'a,b\n1,"open\n2,x\n3,y\n', "line 2: its quotation marks do not pair, so it is read as one row up to line 4"),
        (
            b'a,b\n0,z\n1,"open\n2,x\n3,"y"\n4,z\n',
            "line 3: its quotation marks do not pair, so it is read as one row up",
        ),
        (b'a,b\n1,"ope"n\n2,x\n', "line 2: its quotation marks do not pair"),
    ],
)
def test_a_quotation_mark_that_swallows_rows_is_said(source: bytes, told: str) -> None:
    (loss,) = read_csv(source, None, MAX).losses
    assert loss.startswith(told)
    assert read_csv(b'a,b\n1,"two\nlines"\n5" pipe,"say ""x"""\n', None, MAX).losses == ()


@pytest.mark.parametrize("source", [b'{"a": 1, "b": [{"c": 1, "c": 2}]}', b'{"c": 1, "c": 2}\n{"a": 3}\n'])
def test_a_name_twice_in_a_json_object_is_said(source: bytes) -> None:
    (loss,) = read_json(source).losses
    assert loss == "the name 'c' comes twice in one object: only its last value is read"


def test_what_is_no_text_is_no_table() -> None:
    with pytest.raises(Unreadable, match="binary"):
        read_csv(b"a,b\n\0", None, MAX)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (
            {"name": "Bolt", "price": 3.2, "spare": None, "stock": {"here": True}},
            "name: Bolt\nprice: 3.2\nstock.here: true",
        ),
        ([{"a": "x"}, {"a": "y"}], "a: x\n\na: y"),
        ({"tags": ["m8", "steel", 2], "by": [{"n": "Ann"}, {"n": "Bob"}]}, "tags: m8, steel, 2\nby.n: Ann\nby.n: Bob"),
        (["one", "two"], "one\n\ntwo"),
        ("words", "words"),
        ({}, ""),
        ([[1, 2], [3]], "1, 2\n\n3"),
    ],
)
def test_a_value_stands_beside_the_names_that_lead_to_it(value: object, text: str) -> None:
    assert read_json(json.dumps(value).encode()).text == text


def test_an_object_names_its_title() -> None:
    assert read_json(b'{"title": " Bolts  and nuts ", "name": "x"}').title == "Bolts and nuts"
    assert read_json(b'{"name": "x", "title": 3}').title == "x"
    assert read_json(b'[{"title": "one"}, {"title": "two"}]').title == ""


def test_a_line_that_is_no_json_is_told_and_the_others_are_read() -> None:
    found = read_json(b'{"a": 1}\n\n{"a": \n{"a": 3}\nno\n{"a": 5}')
    assert found.text == "a: 1\n\na: 3\n\na: 5"
    assert found.losses == ("lines 3, 5 of 5: not valid JSON",)


@pytest.mark.parametrize(
    "source", ['{\n  // a comment\n  "a": 1,\n}', "[" * 100_000, "1\n2\nthree", '{"a": 1', "9" * 5000 + "\n{"]
)
def test_what_only_looks_like_json_stays_as_it_is(source: str) -> None:
    assert read_json(source.encode()).text == source
