"""What the index finds, for any text and any id."""

from __future__ import annotations

import csv
import json

import ir_measures
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribrid.errors import StaleIndex
from tribrid.retrieval.index import Index
from tribrid.retrieval.lance import Tables
from tribrid.types import DENSE, SPARSE

NASTY_IDS = [
    "O'Reilly",
    'a"b',
    "back\\slash",
    "100%",
    "_",
    "ünï",
    "日本",
    "x;--",
    "a\nb",
    "' OR 1=1 --",
    "😀",
    "$1",
    "a" * 512,
]
NASTY_QUERIES = [
    "",
    " ",
    "the and of",
    '"',
    '"open',
    "+",
    "-",
    "+a -b",
    "a AND (",
    ")",
    "*",
    "\x00",
    "cell\x00growth",
    "😀",
]
NASTY_QUERIES += [
    "\\",
    "cell~2",
    "lexical:cell",
    "日本",
    "\u202e",
    "é",
    "\ud800 cell",
    "cell^5",
    "a" * 100_000,
    "cell " * 20_000,
]


class TestReading:
    def test_before_anything_is_published_nothing_is_found(self, make, index):
        assert (index.fingerprint, index.count(), index.doc_hashes()) == (None, 0, {})
        assert index.bm25("cell", 5) == index.nearest(make.unit(1), 5) == []
        assert index.passages([("a", 0)]) == index.packed([("a", 0)]) == {}
        assert index.passages_of(["a"]) == {}

    def test_an_empty_index_can_be_published(self, make, index):
        make.publish(index, [])
        assert index.fingerprint == "f"
        assert index.bm25("cell", 5) == index.nearest(make.unit(1), 5) == []

    def test_what_is_added_comes_back_as_it_was(self, make, index):
        passages = [make.passage("a", "cells grow"), make.passage("a", "cells divide", 1), make.passage("b", "")]
        vectors = [make.unit(1), make.unit(0, 1), make.unit(0, 0, 1)]
        make.publish(index, passages, vectors)
        keys = [found.key for found in passages]
        assert index.count() == 3
        assert index.passages([*keys, ("a", 7), ("zz", 0)]) == dict(zip(keys, passages, strict=True))
        assert index.passages_of(["a", "zz"]) == {"a": passages[:2]}
        packed = index.packed([*keys, ("a", 7)])
        assert set(packed) == set(keys)
        assert [packed[key][0] for key in keys[:2]] == [b"cells grow\0\xff", b"cells divide\0\xff"]
        assert all(np.array_equal(packed[key][1], vector) for key, vector in zip(keys, vectors, strict=True))
        assert index.doc_hashes()["b"] == "sha of "

    def test_the_legs_rank_by_bm25_and_by_cosine(self, make, index):
        passages = [
            make.passage("a", "cells grow in water"),
            make.passage("b", "stars grow"),
            make.passage("c", "sand and stone"),
        ]
        make.publish(index, passages, [make.unit(1, 1), make.unit(1), make.unit(-1)])
        assert [hit.key[0] for hit in index.bm25("growing", 5)] == ["b", "a"], "stemmed; the shorter text first"
        nearest = index.nearest(make.unit(1), 2)
        assert [hit.key[0] for hit in nearest] == ["b", "a"]
        assert [hit.score for hit in nearest] == pytest.approx([1, 0.5**0.5])

    def test_both_legs_of_one_snapshot_with_exact_cosines(self, make, index):
        passages = [make.passage("a", "cells grow"), make.passage("b", "stars"), make.passage("c", "sand")]
        make.publish(index, passages, [make.unit(-1, 1), make.unit(1), make.unit(1, 1)])
        snapshot = index.snapshot()
        assert snapshot is not None
        legs = snapshot.legs("cells", make.unit(1), 2)
        assert [hit.key for hit in legs.hits[SPARSE]] == [("a", 0)]
        assert [hit.key for hit in legs.hits[DENSE]] == [("b", 0), ("c", 0)]
        assert legs.cosines == pytest.approx({("a", 0): -(0.5**0.5), ("b", 0): 1, ("c", 0): 0.5**0.5})
        assert snapshot.found(legs, [("c", 0), ("a", 0)]) == {("a", 0): passages[0], ("c", 0): passages[2]}

    def test_in_memory_and_on_disk_agree(self, make, tmp_path):
        passages = make.prose(1, 300)
        vectors = np.random.default_rng(2).standard_normal((300, make.dim)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        memory = Index.open(tmp_path)
        make.publish(memory, passages, vectors)
        disk = Index.open(tmp_path, vectors_in_memory_bytes=0)
        for query in vectors[:20]:
            ours, theirs = (
                found.read(lambda snapshot: snapshot.legs("word3 word5", query, 20), None)  # noqa: B023 - called at once
                for found in (memory, disk)
            )
            assert ours is not None
            assert theirs is not None
            assert [hit.key for hit in ours.hits[DENSE]] == [hit.key for hit in theirs.hits[DENSE]]
            assert ours.cosines == pytest.approx(theirs.cosines, abs=1e-6)
            assert ours.row_ids == theirs.row_ids

    def test_another_encoders_vectors_are_refused(self, make, index):
        make.publish(index, [make.passage("a", "cells")])
        with pytest.raises(StaleIndex, match="Index again"):
            index.nearest(np.ones(make.dim + 1, np.float32), 5)

    def test_a_missing_table_is_said_not_hidden(self, make, index, tmp_path):
        make.publish(index, [make.passage("a", "cells")])
        fresh = Index.open(tmp_path / "index")
        Tables(tmp_path / "index").drop(make.table_name(tmp_path / "index"))
        with pytest.raises(StaleIndex, match="--rebuild"):
            fresh.bm25("cells", 5)

    def test_a_damaged_publication_is_said_not_hidden(self, make, index, tmp_path):
        make.publish(index, [make.passage("a", "cells")])
        (tmp_path / "index" / "published.json").write_text('{"table"')
        with pytest.raises(StaleIndex, match="--rebuild"):
            index.count()


@pytest.fixture(scope="module")
def cells(make, tmp_path_factory):
    index = Index.open(tmp_path_factory.mktemp("cells"))
    make.publish(
        index, [make.passage("a", "cell growth"), make.passage("b", "日本 é"), make.passage("c", "plain stone")]
    )
    return index


class TestAnyText:
    @pytest.mark.parametrize("query", NASTY_QUERIES, ids=range(len(NASTY_QUERIES)))
    def test_a_nasty_query_is_a_query(self, cells, query):
        assert {hit.key[0] for hit in cells.bm25(query, 10)} <= ({"a"} if "cell" in query else {"b"})

    @given(st.text())
    def test_no_text_breaks_the_search(self, cells, query):
        cells.bm25(query, 10)

    @pytest.mark.parametrize("doc_id", NASTY_IDS)
    def test_a_nasty_id_means_itself_alone(self, make, cells, tmp_path, doc_id):
        index = Index.open(tmp_path)
        make.publish(index, [make.passage(found, found) for found in NASTY_IDS])
        assert index.passages_of([doc_id]) == {doc_id: [make.passage(doc_id, doc_id)]}
        assert set(index.packed([(doc_id, 0)])) == {(doc_id, 0)}
        make.publish(index, [], delete=[doc_id])
        assert set(index.doc_hashes()) == set(NASTY_IDS) - {doc_id}

    def test_an_id_that_is_no_text_is_an_unknown_id(self, cells):
        assert cells.passages_of(["\ud800"]) == cells.passages([("\ud800", 0)]) == {}


def test_bm25_on_scifact_is_what_the_settings_promise(make, shared_data, tmp_path):
    folder = shared_data / "scifact"
    documents = [json.loads(line) for line in (folder / "corpus.jsonl").read_text().splitlines()]
    queries = {
        query["_id"]: query["text"] for query in map(json.loads, (folder / "queries.jsonl").read_text().splitlines())
    }
    qrels: dict[str, dict[str, int]] = {}
    for row in csv.DictReader((folder / "qrels.tsv").read_text().splitlines(), delimiter="\t"):
        qrels.setdefault(row["query-id"], {})[row["corpus-id"]] = int(row["score"])
    index = Index.open(tmp_path)
    make.publish(
        index, [make.passage(document["_id"], f"{document['title']}\n{document['text']}") for document in documents]
    )
    run = {query_id: {hit.key[0]: hit.score for hit in index.bm25(queries[query_id], 100)} for query_id in qrels}
    ndcg = ir_measures.nDCG @ 10
    assert ir_measures.calc_aggregate([ndcg], qrels, run)[ndcg] == pytest.approx(0.690, abs=0.002)
