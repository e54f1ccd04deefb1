"""The graph leg: what lies beside the first ones found takes the place of the last candidates."""

from __future__ import annotations

import numpy as np
import pytest

from tribrid.config.sections import RetrievalConfig
from tribrid.retrieval.graph import Graph, Node
from tribrid.retrieval.metadata import Described, Metadata
from tribrid.retrieval.search import Retriever
from tribrid.retrieval.selection import Selection
from tribrid.retrieval.walk import GraphLeg
from tribrid.types import DENSE, GRAPH, SPARSE
from tribrid.types.edges import Mention
from tribrid.types.filters import Filter

COUNT, CANDIDATES, MOST = 40, 10, 3
QUERY = "first axis"


class Fixed:
    """An encoder to which all queries are the first axis."""

    def embed_query(self, _text):
        return np.eye(8, dtype=np.float32)[0]


def retriever(index, links, fusion="weighted"):
    """d0 is nearest, d39 farthest; each leg returns 20; d0 links to what is given."""
    nodes = [Node(f"d{n}", "", None, [Mention("link", to) for to in links.get(f"d{n}", ())]) for n in range(COUNT)]
    leg = GraphLeg(Graph(nodes), CANDIDATES, MOST)
    return Retriever(index, Fixed(), RetrievalConfig.model_validate({"leg_depth": 20, "fusion": fusion}), leg)


@pytest.fixture
def filled(make, index):
    passages = [make.passage(f"d{n}", f"text {n}", ordinal) for n in range(COUNT) for ordinal in (0, 1)]
    vectors = [make.unit(1, (p.ordinal + 2 * int(p.doc_id[1:])) / 10) for p in passages]
    make.publish(index, passages, vectors)
    return index


@pytest.mark.parametrize("fusion", ["weighted", "rrf"])
def test_it_proposes_what_no_other_leg_found(filled, fusion):
    found = retriever(filled, {"d0": ["d30", "d31"], "d1": ["d2"]}, fusion).search(QUERY, CANDIDATES)
    assert [c.doc_id for c in found.candidates][:8] == [f"d{n}" for n in range(8)]
    assert {c.doc_id for c in found.candidates[8:]} == {"d30", "d31"}
    assert [c.rank for c in found.candidates] == list(range(1, CANDIDATES + 1))
    scores = [c.score for c in found.candidates]
    assert scores == sorted(scores, reverse=True)
    by_id = {c.doc_id: c for c in found.candidates}
    assert by_id["d30"].passage.ordinal == 0
    assert set(by_id["d30"].legs) == {GRAPH}
    assert by_id["d2"].legs[GRAPH].rank == 1  # all of what d1 gives; d0 shares out what it gives
    assert {by_id["d30"].legs[GRAPH].rank, by_id["d31"].legs[GRAPH].rank} == {3, 4}
    assert GRAPH not in by_id["d3"].legs
    assert {scored.doc_id for scored in found.leg_runs[GRAPH]} == {"d1", "d2", "d30", "d31"}


def test_the_first_ones_stay_and_the_last_give_way(filled):
    links = {"d0": [f"d{n}" for n in range(30, 40)]}
    found = [c.doc_id for c in retriever(filled, links).search(QUERY, COUNT).candidates]
    assert found[:7] == [f"d{n}" for n in range(7)]
    assert len(set(found[7:10]) & set(links["d0"])) == MOST
    assert found[10:13] == ["d7", "d8", "d9"]
    assert found == list(dict.fromkeys(found))


def test_what_it_names_among_the_last_found_moves_up(filled):
    found = [c.doc_id for c in retriever(filled, {"d0": ["d15"]}).search(QUERY, CANDIDATES).candidates]
    assert found == [*(f"d{n}" for n in range(9)), "d15"]


def test_nothing_comes_past_a_filter(filled):
    described = [Described(f"d{n}", f"sha of text {n}", {"even": n % 2 == 0}) for n in range(COUNT)]
    selection = Selection(Metadata(described), Filter.read({"even": True}).meaning)
    found = retriever(filled, {"d0": ["d30", "d31", "d33"]}).search(QUERY, CANDIDATES, selection)
    assert {int(c.doc_id[1:]) % 2 for c in found.candidates} == {0}
    assert [c.doc_id for c in found.candidates][-1] == "d30"
    assert {scored.doc_id for scored in found.leg_runs[GRAPH]} == {"d30"}


def test_a_document_that_is_gone_from_the_index_is_not_proposed(make, filled):
    make.publish(filled, [], delete=["d30"])
    found = [c.doc_id for c in retriever(filled, {"d0": ["d30", "d31"]}).search(QUERY, CANDIDATES).candidates]
    assert "d30" not in found
    assert "d31" in found


def test_passages_are_proposed_too(filled):
    found = retriever(filled, {"d0": ["d30"]}).search(QUERY, CANDIDATES, per_passage=True).candidates
    keys = [c.passage.key for c in found]
    assert keys == [*[(f"d{n}", ordinal) for n in range(5) for ordinal in (0, 1)][:9], ("d30", 0)]


def test_a_proposed_passage_takes_no_other_of_its_document_away(filled):
    without = Retriever(filled, Fixed(), RetrievalConfig.model_validate({})).search(QUERY, 2 * COUNT, per_passage=True)
    found = retriever(filled, {"d0": ["d30"]}).search(QUERY, 2 * COUNT, per_passage=True)
    assert len({c.passage.key for c in found.candidates}) == len(found.candidates)
    assert {c.passage.key for c in found.candidates} >= {c.passage.key for c in without.candidates}


def test_without_the_leg_there_is_no_run_of_it(filled):
    found = Retriever(filled, Fixed(), RetrievalConfig.model_validate({})).search(QUERY, 5)
    assert set(found.leg_runs) == {SPARSE, DENSE}
