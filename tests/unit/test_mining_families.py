"""Which documents are parts of one another, by what they say."""

from __future__ import annotations

import pytest

from tribrid.mining.families import Relatives
from tribrid.types import Place

PLACES = {
    "page": Place("https://x.example/guide"),
    "page-1": Place("https://x.example/guide#one"),
    "page-2": Place("https://x.example/guide#two"),
    "app-1": Place("https://x.example/#/one"),
    "app-2": Place("https://x.example/#/two"),
    "again": Place("https://x.example/guide"),
    "whole": Place(),
    "part-1": Place("", "whole"),
    "part-2": Place("", "whole"),
    "plain": Place(),
}


def are_parent_and_child(a: str, b: str, places: dict[str, Place]) -> bool:
    return Relatives([b], places).hold_or_are_in(a)


def are_siblings(a: str, b: str, places: dict[str, Place]) -> bool:
    return Relatives([b], places).have_sibling(a)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("file.py", "file.py:Class"),
        ("file.py:Class", "file.py:Class.method"),
        ("file.py", "file.py:Class.method"),
        ("page.md", "page.md#part"),
        ("page", "page-1"),
        ("whole", "part-2"),
    ],
)
def test_parents_and_children(a, b) -> None:
    assert are_parent_and_child(a, b, PLACES)
    assert are_parent_and_child(b, a, PLACES)
    assert not are_siblings(a, b, PLACES)


@pytest.mark.parametrize(("a", "b"), [("page-1", "page-2"), ("part-1", "part-2")])
def test_siblings(a, b) -> None:
    assert are_siblings(a, b, PLACES)
    assert not are_parent_and_child(a, b, PLACES)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("file.py:Class", "file.py:Classes"),
        ("README", "README.md"),
        ("1", "1.10"),
        ("d1", "d10"),
        ("notes", "notes/soup.md"),
        ("file.py:Class.one", "file.py:Class.two"),
        ("app-1", "app-2"),
        ("page", "again"),
        ("plain", "whole"),
        ("plain", "unknown"),
    ],
)
def test_strangers(a, b) -> None:
    assert not are_parent_and_child(a, b, PLACES)
    assert not are_siblings(a, b, PLACES)
