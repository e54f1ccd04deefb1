"""A search of a part of an index: the filter comes before the cut in both legs, and changes no score."""

from __future__ import annotations

import numpy as np
import pytest

from tribrid.config.sections import RetrievalConfig
from tribrid.retrieval import snapshot as snapshot_module
from tribrid.retrieval.metadata import Described, Metadata
from tribrid.retrieval.search import Retriever
from tribrid.retrieval.selection import Selection
from tribrid.types import DENSE, SPARSE
from tribrid.types.filters import Filter

COUNT = 120


class Fixed:
    """An encoder to which all queries are the first axis."""

    def embed_query(self, _text):
        return np.eye(8, dtype=np.float32)[0]


def selection(passages, given, **hashes):
    described = (
        Described(p.doc_id, hashes.get(p.doc_id, f"sha of {p.text}"), {"n": int(p.doc_id[1:]), "odd": p.ordinal == 0})
        for p in passages
    )
    return Selection(Metadata(described), Filter.read(given).meaning)


@pytest.fixture
def filled(make, index):
    passages = make.prose(3, COUNT)
    random = np.random.default_rng(1)
    make.publish(index, passages, [make.unit(*random.normal(size=8)) for _ in passages])
    return index, passages


@pytest.mark.parametrize("few_rows", [2000, 0], ids=["rows named", "asked for more"])
@pytest.mark.parametrize("given", [{"n": {"$lt": 7}}, {"n": {"$gte": 30}}, {"n": 5}, {"$not": {"n": 5}}])
def test_both_legs_find_the_best_of_what_may_be_found(make, filled, monkeypatch, few_rows, given):
    monkeypatch.setattr(snapshot_module, "FEW_ROWS", few_rows)
    index, passages = filled
    chosen = selection(passages, given)
    snapshot = index.snapshot()
    rows = snapshot.chosen(chosen)
    keys = set(snapshot.rows.keys(rows))
    vector, query = make.unit(1, 2, 3), "word0 word1 word2 word5 word40"
    every = snapshot.legs(query, vector, COUNT)
    for k in (1, 5, 40):
        legs = snapshot.legs(query, vector, k, rows)
        for leg in (SPARSE, DENSE):
            wanted = [hit for hit in every.hits[leg] if hit.key in keys][:k]
            assert [hit.score for hit in legs.hits[leg]] == pytest.approx([hit.score for hit in wanted], abs=1e-6)
            assert {hit.key for hit in legs.hits[leg]} <= keys
        assert legs.cosines == pytest.approx({key: every.cosines[key] for key in legs.cosines}, abs=1e-6)


def test_candidates_are_as_many_as_may_be_found(make, filled):
    index, passages = filled
    retriever = Retriever(index, Fixed(), RetrievalConfig.model_validate({"leg_depth": 10}))
    for given, count in [({"n": {"$lt": 7}}, 7), ({"n": {"$lt": 90}}, 50), ({"n": -1}, 0), ({"other": 1}, 0)]:
        found = retriever.search("word0 word1", 50, selection(passages, given))
        assert len(found.candidates) == count
        assert [c.rank for c in found.candidates] == list(range(1, count + 1))
    (only,) = retriever.search("word0 word1", 50, selection(passages, {"n": 5})).candidates
    assert only.doc_id == "d5"
    assert only.legs[DENSE].rank == 1


def test_a_row_whose_text_the_store_has_replaced_is_not_found_by_what_is_said_of_the_new_one(make, filled):
    index, passages = filled
    retriever = Retriever(index, Fixed(), RetrievalConfig.model_validate({}))
    chosen = selection(passages, {"n": {"$lt": 3}}, d1="sha of another text")
    assert {c.doc_id for c in retriever.search("word0", 10, chosen).candidates} == {"d0", "d2"}
    gone = selection(passages[1:], {"n": {"$lt": 3}})
    assert {c.doc_id for c in retriever.search("word0", 10, gone).candidates} == {"d1", "d2"}
    assert {c.doc_id for c in retriever.search("word0", 10, chosen).candidates} == {"d0", "d2"}
