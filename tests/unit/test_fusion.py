"""Fusion: hand-computed lists, and laws that hold for any lists."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribrid.config.sections import RetrievalConfig
from tribrid.retrieval.fusion import (
    Hit,
    as_it_is,
    best_first,
    collapse,
    documents,
    fuse,
    over_maximum,
    reciprocal_rank,
    weighted,
)
from tribrid.types import DENSE, SPARSE, LegScore, ScoredDoc, rank_order

A0, A1, B0, C0 = ("a", 0), ("a", 1), ("b", 0), ("c", 0)
WEIGHTED = RetrievalConfig.model_validate({"fusion": "weighted", "dense_weight": 0.75})
RRF = RetrievalConfig.model_validate({"fusion": "rrf", "rrf_k": 60})

keys = st.tuples(st.sampled_from("abcdef"), st.integers(0, 3))
leg = st.dictionaries(keys, st.floats(0, 30).map(lambda x: round(x, 3))).map(
    lambda scores: best_first(Hit(key, score) for key, score in scores.items())
)
legs = st.fixed_dictionaries({SPARSE: leg, DENSE: leg})


def hits(**scores):
    return best_first(Hit((name[0], int(name[1:])), score) for name, score in scores.items())


class TestNormalisation:
    def test_over_maximum_puts_the_best_at_one(self):
        assert over_maximum({A0: 8.0, B0: 2.0}) == {A0: 1.0, B0: 0.25}

    @pytest.mark.parametrize("scores", [{}, {A0: 0.0}, {A0: 0.0, B0: -1.0}])
    def test_over_maximum_without_a_score_above_zero(self, scores):
        assert over_maximum(scores) == dict.fromkeys(scores, 0.0)

    def test_as_it_is(self):
        assert as_it_is({A0: -0.2}) == {A0: -0.2}


class TestWeighted:
    def test_by_hand(self):
        fused = weighted({SPARSE: hits(a0=8, b0=4), DENSE: hits(a0=0.2, b0=0.9)}, {}, {SPARSE: 0.25, DENSE: 0.75})
        assert [hit.key for hit in fused] == [B0, A0]
        assert [hit.score for hit in fused] == pytest.approx([0.25 * 0.5 + 0.75 * 0.9, 0.25 * 1 + 0.75 * 0.2])

    def test_a_passage_of_the_sparse_leg_alone_gets_its_exact_cosine(self):
        fused = fuse({SPARSE: hits(a0=8), DENSE: hits(b0=0.9)}, {A0: 0.8, B0: 0.9}, WEIGHTED)
        assert {hit.key: hit.score for hit in fused} == pytest.approx({A0: 0.25 + 0.75 * 0.8, B0: 0.75 * 0.9})

    def test_cosines_of_passages_that_no_leg_returned_add_nothing(self):
        assert fuse({SPARSE: hits(a0=8), DENSE: []}, {A0: 0.5, C0: 0.9}, WEIGHTED) == [Hit(A0, 0.25 + 0.75 * 0.5)]

    @pytest.mark.parametrize("weight", [0.0, 1.0])
    def test_the_weight_at_its_ends_is_one_leg(self, weight):
        both = {SPARSE: hits(a0=8, b0=4), DENSE: hits(a0=0.2, b0=0.9)}
        fused = fuse(both, {}, RetrievalConfig.model_validate({"dense_weight": weight}))
        assert [hit.key for hit in fused] == [hit.key for hit in best_first(both[DENSE if weight else SPARSE])]

    @given(legs, st.floats(0.1, 100))
    def test_the_unit_of_bm25_does_not_matter(self, both, factor):
        scaled = {**both, SPARSE: [Hit(hit.key, hit.score * factor) for hit in both[SPARSE]]}
        once = {hit.key: hit.score for hit in fuse(both, {}, WEIGHTED)}
        again = {hit.key: hit.score for hit in fuse(scaled, {}, WEIGHTED)}
        assert again == pytest.approx(once)


class TestReciprocalRank:
    def test_by_hand(self):
        fused = reciprocal_rank({SPARSE: hits(a0=8, b0=4), DENSE: hits(b0=0.9)}, 60)
        assert fused == [Hit(B0, 1 / 62 + 1 / 61), Hit(A0, 1 / 61)]

    @given(legs)
    def test_only_the_order_of_scores_counts(self, both):
        squashed = {name: [Hit(hit.key, hit.score / 1000) for hit in found] for name, found in both.items()}
        assert fuse(both, {}, RRF) == fuse(squashed, {}, RRF)


class TestOrder:
    def test_ties_go_to_the_higher_doc_id_and_the_earlier_passage(self):
        tied = hits(a1=1, c0=1, a0=1, b0=2)
        assert [hit.key for hit in best_first(tied)] == [B0, C0, A0, A1]

    @given(leg, st.randoms(use_true_random=False))
    def test_the_order_does_not_hang_on_the_input_order(self, found, random):
        shuffled = list(found)
        random.shuffle(shuffled)
        assert best_first(shuffled) == best_first(found)

    @given(leg)
    def test_documents_stand_as_trec_eval_would_rank_them(self, found):
        ranked = [ScoredDoc(hit.key[0], hit.score) for hit in documents(found)]
        assert ranked == rank_order(ranked)

    @pytest.mark.parametrize("config", [WEIGHTED, RRF], ids=["weighted", "rrf"])
    def test_nothing_found_is_nothing_fused(self, config):
        assert fuse({SPARSE: [], DENSE: []}, {}, config) == []
        assert fuse({SPARSE: [], DENSE: hits(a0=0.5)}, {}, config)[0].key == A0


class TestCollapse:
    def test_a_document_stands_by_its_best_passage(self):
        both = {SPARSE: hits(a0=8, a1=2, b0=4), DENSE: hits(a1=0.9, b0=0.5)}
        fused = collapse(fuse(both, {A0: 0.1, A1: 0.9, B0: 0.5}, WEIGHTED), both, 10)
        assert [document.key for document in fused] == [A1, B0]
        assert fused[0].legs == {SPARSE: LegScore(1, 8.0), DENSE: LegScore(1, 0.9)}
        assert fused[1].legs == {SPARSE: LegScore(2, 4.0), DENSE: LegScore(2, 0.5)}

    def test_the_depth_counts_documents(self):
        both = {SPARSE: hits(a0=9, a1=8, b0=7, c0=6), DENSE: []}
        assert [document.key for document in collapse(fuse(both, {}, WEIGHTED), both, 2)] == [A0, B0]

    def test_leg_ranks_count_documents_not_passages(self):
        both = {SPARSE: hits(a0=9, a1=8, b0=7), DENSE: []}
        fused = {document.key: document for document in collapse(fuse(both, {}, WEIGHTED), both, 10)}
        assert fused[B0].legs[SPARSE].rank == 2

    def test_a_leg_that_missed_the_document_is_missing(self):
        both = {SPARSE: hits(a0=9), DENSE: hits(b0=0.3)}
        fused = {document.key: document.legs for document in collapse(fuse(both, {A0: 0.2}, WEIGHTED), both, 10)}
        assert set(fused[A0]) == {SPARSE}
        assert set(fused[B0]) == {DENSE}

    @given(legs, st.sampled_from([WEIGHTED, RRF]))
    def test_every_document_once_and_ranks_without_gaps(self, both, config):
        fused = collapse(fuse(both, {}, config), both, 10)
        found = {hit.key[0] for leg_hits in both.values() for hit in leg_hits}
        assert sorted(document.key[0] for document in fused) == sorted(found)
        for name, leg_hits in both.items():
            ranks = sorted(document.legs[name].rank for document in fused if name in document.legs)
            assert ranks == list(range(1, len({hit.key[0] for hit in leg_hits}) + 1))
