"""A query to candidates, on a real index."""

from __future__ import annotations

import numpy as np
import pytest

from tribrid.config.sections import RetrievalConfig
from tribrid.retrieval.search import Retriever
from tribrid.types import DENSE, SPARSE


class Fixed:
    """An encoder that knows its queries; any other is the first axis."""

    def __init__(self, **vectors):
        self.vectors = vectors

    def embed_query(self, text):
        return self.vectors.get(text, np.eye(8, dtype=np.float32)[0])


class TestRetriever:
    def test_candidates_carry_what_the_legs_said(self, make, index):
        passages = [
            make.passage("a", "cells grow"),
            make.passage("a", "sand", 1),
            make.passage("b", "stars"),
            make.passage("c", "stone"),
        ]
        make.publish(index, passages, [make.unit(-1), make.unit(1, 2), make.unit(1), make.unit(0, 1)])
        config = RetrievalConfig.model_validate({"dense_weight": 0.5})
        found = Retriever(index, Fixed(cells=make.unit(1)), config).search("cells", 2)
        assert [(candidate.rank, candidate.doc_id, candidate.passage.ordinal) for candidate in found.candidates] == [
            (1, "b", 0),
            (2, "a", 1),
        ]
        best = found.candidates[1]
        assert best.passage == passages[1]
        assert best.legs[SPARSE].rank == 1
        assert best.legs[DENSE].rank == 2
        assert best.legs[DENSE].score == pytest.approx(0.2**0.5)
        assert SPARSE not in found.candidates[0].legs
        assert [scored.doc_id for scored in found.leg_runs[SPARSE]] == ["a"]
        assert [scored.doc_id for scored in found.leg_runs[DENSE]] == ["b", "a"]

    def test_long_documents_do_not_crowd_out_the_rest(self, make, index):
        passages = [make.passage("long", "cells", i) for i in range(60)] + [
            make.passage(f"d{i}", "stone") for i in range(20)
        ]
        make.publish(index, passages, [make.unit(1)] * 60 + [make.unit(1, 1)] * 20)
        retriever = Retriever(index, Fixed(), RetrievalConfig.model_validate({"leg_depth": 10}))
        assert len(retriever.retrieve("cells", 15)) == 15
        assert [len(run) for run in retriever.legs("cells", 15).values()] == [1, 15]

    def test_identifiers_in_a_query_match_their_parts(self, make, index):
        make.publish(
            index, [make.passage("a", "read the file"), make.passage("b", "stone")], [make.unit(0, 1), make.unit(0, 1)]
        )
        retriever = Retriever(index, Fixed(), RetrievalConfig.model_validate({}))
        assert [scored.doc_id for scored in retriever.legs("readFile", 5)[SPARSE]] == ["a"]

    def test_a_script_without_spaces_is_searched_by_neighbouring_characters(self, make, index):
        texts = {"a": "向量检索是一种搜索方法", "b": "今天的天气很好", "c": "ラーメンを食べる"}
        passages = [make.passage(doc_id, text) for doc_id, text in texts.items()]
        make.publish(index, passages, [make.unit(0, 1)] * 3)
        retriever = Retriever(index, Fixed(), RetrievalConfig.model_validate({}))
        for query, doc_id in (("怎么用向量检索", "a"), ("天气", "b"), ("ラーメン", "c")):
            assert [scored.doc_id for scored in retriever.legs(query, 5)[SPARSE]] == [doc_id]

    @pytest.mark.parametrize("published", [False, True])
    def test_an_empty_index_has_no_candidates(self, make, index, published):
        if published:
            make.publish(index, [])
        found = Retriever(index, Fixed(), RetrievalConfig.model_validate({})).search("cells", 5)
        assert found.candidates == []
        assert found.leg_runs == {SPARSE: [], DENSE: []}
