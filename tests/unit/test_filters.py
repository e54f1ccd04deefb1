"""Filters: how they are read, what they refuse, and which documents they let through."""

from __future__ import annotations

from typing import Any

import pytest

from tribrid.errors import InvalidInput
from tribrid.retrieval.metadata import Described, Metadata, ValueCount, lets_through
from tribrid.types.filters import MAX_CONDITIONS, MAX_DEPTH, MAX_VALUES, Filter, read_filter

DOCUMENTS: dict[str, dict[str, Any]] = {
    "a": {"lang": "de", "year": 2020, "tags": ["x", "y"], "draft": True},
    "b": {"lang": "en", "year": 2021.5, "tags": [], "draft": False},
    "c": {"lang": ["de", "en"], "year": "2022-01-05", "draft": 1, "by": {"name": "Ann"}},
    "d": {"lang": None},
    "e": {},
}
METADATA = Metadata(Described(doc_id, "", metadata) for doc_id, metadata in DOCUMENTS.items())


def found(given: Any) -> str:
    mask = METADATA.matching(Filter.read(given).meaning)
    return "".join(doc_id for doc_id, number in METADATA.number_of.items() if mask[number])


@pytest.mark.parametrize(
    ("given", "doc_ids"),
    [
        ({"lang": "de"}, "ac"),
        ({"lang": {"$eq": "de"}}, "ac"),
        ({"lang": {"$ne": "de"}}, "bde"),
        ({"lang": {"$in": ["de", "en", "fr"]}}, "abc"),
        ({"lang": {"$nin": ["de"]}}, "bde"),
        ({"lang": "DE"}, ""),
        ({"lang": {"$exists": True}}, "abc"),
        ({"lang": {"$exists": False}}, "de"),
        ({"tags": {"$exists": True}}, "ab"),
        ({"tags": "y"}, "a"),
        ({"by": {"$exists": True}}, "c"),
        ({"by": "Ann"}, ""),
        ({"year": 2020.0}, "a"),
        ({"year": {"$gte": 2020}}, "ab"),
        ({"year": {"$gt": 2020, "$lt": 3000}}, "b"),
        ({"year": {"$lte": "2022-12-31"}}, "c"),
        ({"year": {"$lt": "2022"}}, ""),
        ({"draft": True}, "a"),
        ({"draft": 1}, "c"),
        ({"draft": {"$gte": 0}}, "c"),
        ({"nothing": 1}, ""),
        ({"nothing": {"$ne": 1}}, "abcde"),
        ({"lang": "de", "draft": True}, "a"),
        ({"$and": [{"lang": "de"}, {"lang": "en"}]}, "c"),
        ({"$or": [{"year": 2020}, {"lang": "en"}]}, "abc"),
        ({"$not": {"lang": "de"}}, "bde"),
        ({"$not": {"$or": [{"lang": "de"}, {"draft": False}]}, "lang": {"$exists": False}}, "de"),
    ],
)
def test_what_a_filter_lets_through(given: Any, doc_ids: str) -> None:
    assert found(given) == doc_ids
    for doc_id, metadata in DOCUMENTS.items():
        assert lets_through(Filter.read(given).meaning, metadata) == (doc_id in doc_ids)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "filter: must be an object with a condition"),
        ([], "filter: must be an object"),
        ("lang=de", "filter: must be an object"),
        ({"": 1}, "filter: the name of a field"),
        ({"lang": None}, "filter.lang: null equals nothing"),
        ({"lang": ["de"]}, "filter.lang: must be one value"),
        ({"lang": {}}, "filter.lang: must be a value or an object"),
        ({"price": {"gte": 5}}, "filter.price: there is no operator 'gte'. There are: $eq"),
        ({"price": {"$gte": True}}, "filter.price.$gte: must be a number or a string"),
        ({"price": {"$lt": float("nan")}}, "filter.price.$lt: must be a string, a number"),
        ({"price": {"$in": 5}}, "filter.price.$in: must be a list of 1 to"),
        ({"price": {"$in": []}}, "filter.price.$in: must be a list of 1 to"),
        ({"price": {"$in": [1, [2]]}}, "filter.price.$in[1]: must be one value"),
        ({"price": {"$in": [0] * (MAX_VALUES + 1)}}, "filter.price.$in: must be a list of 1 to"),
        ({"price": {"$exists": 1}}, "filter.price.$exists: must be true or false"),
        ({"$nor": []}, "filter.$nor: is none of $and, $or, $not"),
        ({"$and": {"a": 1}}, "filter.$and: must be a list of filters"),
        ({"$or": []}, "filter.$or: must be a list of filters"),
        ({"$or": [{"a": 1}, {"b": {"$x": 1}}]}, "filter.$or[1].b: there is no operator '$x'"),
        ({"$not": []}, "filter.$not: must be an object"),
        ({"a": "x" * 3000}, "filter.a: has 3000 characters"),
        ({"$or": [{"a": 1}] * (MAX_CONDITIONS + 1)}, "filter: has more than"),
    ],
)
def test_a_filter_that_is_none_is_refused_and_names_the_field(given: Any, says: str) -> None:
    with pytest.raises(InvalidInput) as error:
        Filter.read(given)
    assert error.value.detail.startswith(says)
    assert error.value.detail.endswith(".")


def test_groups_stand_in_each_other_so_deep_and_no_deeper() -> None:
    nested: dict[str, Any] = {"lang": "de"}
    for _ in range(MAX_DEPTH):
        nested = {"$and": [nested]}
    assert found(nested) == "ac"
    with pytest.raises(InvalidInput, match="deep at most"):
        Filter.read({"$and": [nested]})


def test_what_two_filters_let_through_reads_as_a_filter_again() -> None:
    both = Filter.read({"lang": "de"}).within(Filter.read({"draft": True}))
    assert both.given == {"$and": [{"draft": True}, {"lang": "de"}]}
    assert found(both.given) == "a"
    assert read_filter(None) is None


def test_values_are_counted_among_what_a_filter_lets_through() -> None:
    everything, english = METADATA.matching(None), METADATA.matching(Filter.read({"lang": "en"}).meaning)
    assert METADATA.counts("lang", everything, 9) == [ValueCount("de", 2), ValueCount("en", 2)]
    assert METADATA.counts("lang", english, 9) == [ValueCount("en", 2), ValueCount("de", 1)]
    assert METADATA.counts("draft", everything, 9) == [ValueCount(1, 1), ValueCount(False, 1), ValueCount(True, 1)]
    assert METADATA.counts("nothing", everything, 9) == []
    assert METADATA.counts("lang", everything, 1) == [ValueCount("de", 2)]
