"""A real cross-encoder as it serves: in either form, within a budget, and what is served when it cannot."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

import tiny
from tribrid.app import Tribrid
from tribrid.encoders.budget import Budget
from tribrid.encoders.cross_encoder import MODEL_INT8, HubCrossEncoder, settle_export
from tribrid.encoders.models import ensure_export
from tribrid.encoders.variants import FP32, INT8, describe, machine
from tribrid.errors import Cancelled, ModelUnavailable
from tribrid.loop import mine
from tribrid.loop.serving import served
from tribrid.scoring.scorer import LocalScorer
from tribrid.types import Document, ScoredDoc
from tribrid.workspace.corpus import open_corpus

SNIPPET_CHARS = 2000
QUERY = "how do I renew the certificate"
TEXTS = ["renew the certificate " * 9, "soup in the kitchen", "proxy", "how do I search", "backup by night " * 20, "a"]
PASSAGES = [("", text) for text in TEXTS]


def nothing(*_: object) -> None:
    pass


@pytest.fixture(scope="module")
def reranker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny cross-encoder, as a Hugging Face folder."""
    return tiny.build_cross_encoder(tmp_path_factory.mktemp("made") / "reranker")


@pytest.fixture(scope="module")
def export(reranker: Path) -> Path:
    return ensure_export(Path(os.environ["TRIBRID_MODELS_DIR"]), str(reranker), "cross-encoder")


def opened(data_dir: Path, reranker: Path) -> Tribrid:
    """A library whose corpus "c" is reranked by the tiny cross-encoder."""
    tribrid = Tribrid(data_dir)
    tribrid.create_corpus("c")
    tribrid.corpus("c").documents.add([Document(f"d{i}", text, "") for i, text in enumerate(TEXTS)])
    local = {"reranker_mode": "local", "reranker_local_model": str(reranker)}
    tribrid.corpus("c").patch_settings({"reranking": local})
    return tribrid


@pytest.fixture
def tribrid(export: Path, reranker: Path, tmp_path: Path) -> Iterator[Tribrid]:
    assert export.is_dir()
    with opened(tmp_path / "data", reranker) as made:
        yield made


def test_an_export_has_tried_both_forms_on_this_machine(export: Path) -> None:
    decision = describe(export)["variants"]
    assert decision["machine"] == machine()
    assert decision["served"] in (FP32, INT8)
    assert decision["measured"][FP32]["accepted"] is True
    assert {"rank_agreement", "score_difference", "pairs_per_s", "accepted"} <= decision["measured"][INT8].keys()
    assert HubCrossEncoder(export, SNIPPET_CHARS).variant == decision["served"]


@pytest.mark.parametrize("variant", [FP32, INT8])
def test_a_pair_has_one_score_in_any_company(export: Path, variant: str) -> None:
    scorer = HubCrossEncoder(export, SNIPPET_CHARS, variant=variant)
    together = scorer.score(QUERY, PASSAGES)
    alone = np.concatenate([scorer.score(QUERY, [passage]) for passage in PASSAGES])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_the_forms_agree(export: Path) -> None:
    scores = {
        variant: HubCrossEncoder(export, SNIPPET_CHARS, variant=variant).score(QUERY, PASSAGES)
        for variant in (FP32, INT8)
    }
    assert not np.array_equal(scores[FP32], scores[INT8])
    np.testing.assert_allclose(scores[FP32], scores[INT8], atol=3 * float(scores[FP32].std()))


def test_int8_keeps_early_feed_forward_blocks_exact(export: Path) -> None:
    """Of the tiny model's two, the first."""
    model = onnx.load(export / MODEL_INT8)
    shapes = {tensor.name: sorted(tensor.dims) for tensor in model.graph.initializer}
    layers = {
        op_type: {
            node.name.partition("layer.")[2][:1]
            for node in model.graph.node
            if node.op_type == op_type and any(shapes.get(name) == [32, 64] for name in node.input)
        }
        for op_type in ("MatMul", "MatMulInteger")
    }
    assert layers == {"MatMul": {"0"}, "MatMulInteger": {"1"}}


def test_a_form_that_is_not_there_is_not_served(export: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(export, tmp_path / "copy")
    (folder / MODEL_INT8).unlink()
    for variant, said in ((INT8, MODEL_INT8), ("int4", "no form 'int4'")):
        with pytest.raises(ModelUnavailable, match=said):
            HubCrossEncoder(folder, SNIPPET_CHARS, variant=variant)
    assert np.isfinite(HubCrossEncoder(folder, SNIPPET_CHARS, variant=FP32).score(QUERY, PASSAGES)).all()
    decision = settle_export(folder)
    assert (decision["served"], decision["measured"][INT8]["accepted"]) == (FP32, False)
    assert HubCrossEncoder(folder, SNIPPET_CHARS).variant == FP32


def test_a_search_says_how_far_it_was_reranked(tribrid: Tribrid) -> None:
    found = tribrid.corpus("c").search(QUERY)
    assert (found.reranked, found.reranked_candidates, found.note) == (True, len(TEXTS), None)
    assert tribrid.corpus("c").search(QUERY).results == found.results
    runtime = tribrid.info()["runtime"]
    assert runtime["cache"]["hits"] == len(TEXTS)
    assert runtime["engine"]["pairs"] == len(TEXTS)
    form = runtime["cross_encoders"][0]
    assert form["serves"] == form["decision"]["served"] == tribrid.corpus("c").status()["form"]["serves"]


def test_a_time_budget_shortens_the_list_and_loses_nothing(tribrid: Tribrid) -> None:
    corpus = open_corpus(tribrid.folder, "c")
    scorer = corpus.scorer
    assert isinstance(scorer, LocalScorer)
    retrieved = corpus.retriever.retrieve(QUERY, 10)
    whole = corpus.read(QUERY, retrieved)
    known = scorer.score(replace(whole, candidates=retrieved[:2], passages=whole.passages[:2], budget=Budget()))
    # Two are known from before; for the rest there is no time at all.
    budget = Budget(timeout_ms=0)
    scores = scorer.score(replace(whole, budget=budget))
    np.testing.assert_array_equal(scores[:2], known)
    assert np.isnan(scores[2:]).all()
    assert budget.read == (2, len(TEXTS))

    tribrid.corpus("c").patch_settings({"reranking": {"reranker_timeout_ms": 10}})
    for query in (QUERY, *(f"{QUERY} {i} " + "certificate " * 60 for i in range(5))):
        found = tribrid.corpus("c").search(query)
        assert sorted(row.doc_id for row in found.results) == [f"d{i}" for i in range(len(TEXTS))]
        ranks = [row.score for row in found.results]
        assert ranks == sorted(ranks, reverse=True)
        read = found.reranked_candidates
        assert (found.fallback_code == "out_of_time") == (read == 0)
        assert (found.note is not None) == (0 < read < len(TEXTS))


def test_a_search_that_nobody_waits_for_is_not_logged(tribrid: Tribrid) -> None:
    gone = Budget()
    gone.leave()
    with pytest.raises(Cancelled):
        tribrid.corpus("c").search(QUERY, budget=gone)
    assert tribrid.corpus("c").logs.stats().impressions == 0


def test_a_rerank_is_held_to_the_same(tribrid: Tribrid) -> None:
    documents = [{"id": f"d{i}", "text": text} for i, text in enumerate(TEXTS)]
    first = tribrid.rerank(QUERY, documents[:2], corpus_id="c", budget=Budget())
    # Two scores are known from before; for the rest there is no time at all.
    short = tribrid.rerank(QUERY, documents, corpus_id="c", budget=Budget(timeout_ms=0))
    assert sorted(row["doc_id"] for row in short["results"]) == [f"d{i}" for i in range(len(TEXTS))]
    ranks = [row["raw_score"] for row in short["results"]]
    assert ranks == sorted(ranks, reverse=True)
    assert (short["note"] is None) == (short["fallback_reason"] is not None)
    assert short["note"] is None or short["note"] in short["warnings"]
    assert first["note"] is None
    apart = tribrid.rerank(QUERY, documents, model=local_model(tribrid), budget=Budget(timeout_ms=0))
    assert len(apart["results"]) == len(TEXTS)

    before, logged = tribrid.corpus("c").status()["fallbacks"]["total"], tribrid.corpus("c").logs.stats().impressions
    tribrid.corpus("c").patch_settings({"reranking": {"reranker_local_model": "nobody/has-this"}})
    assert tribrid.rerank(QUERY, documents, corpus_id="c")["fallback_reason"]
    assert tribrid.corpus("c").status()["fallbacks"]["total"] == before + 1
    gone = Budget()
    gone.leave()
    with pytest.raises(Cancelled):
        tribrid.rerank(QUERY, documents, corpus_id="c", budget=gone)
    assert tribrid.corpus("c").logs.stats().impressions == logged + 1


def local_model(tribrid: Tribrid) -> str:
    """The corpus's cross-encoder as a model without a corpus."""
    name = open_corpus(tribrid.folder, "c").config.reranking.reranker_local_model
    assert name is not None
    tribrid.patch_settings({"reranking": {"reranker_local_model": name}})
    return Path(name).name


def test_a_reranker_that_fails_is_counted_shown_and_not_learned_from(tribrid: Tribrid) -> None:
    reranked = tribrid.corpus("c").search(QUERY)
    tribrid.corpus("c").patch_settings({"reranking": {"reranker_local_model": "nobody/has-this"}})
    found = tribrid.corpus("c").search("proxy")
    assert (found.reranked, found.reranked_candidates, found.fallback_code) == (False, 0, "model_unavailable")
    assert "nobody/has-this" in str(found.fallback_reason)
    assert len(found.results) == len(TEXTS)
    for answer in (found, reranked):
        tribrid.feedback(answer.query_id, "click", answer.results[-1].doc_id)
    fallbacks = tribrid.corpus("c").status()["fallbacks"]
    assert (fallbacks["total"], fallbacks["by_code"]) == (1, {"model_unavailable": 1})
    assert fallbacks["last"]["reason"] == found.fallback_reason
    assert tribrid.status()["fallbacks"]["total"] == 1
    _, mined = mine.mine(open_corpus(tribrid.folder, "c"), {"sources": ["logs"]}, nothing)
    assert mined.counts["rejected"]["served_by_fallback"] == 1
    assert mined.counts["impressions"] == 1


def test_int8_that_orders_otherwise_is_not_served(export: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(export, tmp_path / "copy")
    turn_around(folder / MODEL_INT8)
    decision = settle_export(folder)
    assert decision["served"] == FP32
    assert "rank agreement -" in decision["measured"][INT8]["reason"]
    assert HubCrossEncoder(folder, SNIPPET_CHARS).variant == FP32


def turn_around(path: Path) -> None:
    """Have an int8 model rank what is best last, as one that overflows might."""
    import onnx

    model = onnx.load(path)
    scales = [part for part in model.graph.initializer if "classifier" in part.name and part.name.endswith("_scale")]
    assert scales
    for scale in scales:
        turned = onnx.numpy_helper.from_array(-onnx.numpy_helper.to_array(scale), scale.name)
        scale.CopyFrom(turned)
    onnx.save(model, path)


def test_whatever_keeps_a_reranker_from_loading_the_fused_order_is_served(tribrid: Tribrid) -> None:
    tribrid.corpus("c").patch_settings({"reranking": {"reranker_local_model": "no such/mo del"}})
    found = tribrid.corpus("c").search(QUERY)
    assert (found.reranked, len(found.results)) == (False, len(TEXTS))
    assert found.fallback_code == "invalid_input"

    def broken() -> None:
        raise OSError(28, "No space left on device")

    fused = [ScoredDoc("d0", 1.0)]
    ranking = served(open_corpus(tribrid.folder, "c"), fused, broken, lambda _: pytest.fail("nobody was chosen"))
    assert ranking.order == fused
    assert ranking.fallback is not None
    assert ranking.fallback.code == "model_unavailable"
    assert tribrid.corpus("c").status()["fallbacks"]["total"] == 2


def test_a_server_is_warm_for_reranks_without_a_corpus_too(export: Path, reranker: Path, tmp_path: Path) -> None:
    with Tribrid(tmp_path / "data") as tribrid:
        tribrid.patch_settings({"reranking": {"reranker_local_model": str(reranker)}})
        tribrid.warm()
        (loaded,) = tribrid.folder.loaded_scorers()
        assert loaded.model_id == reranker.name, "without the machine's folders"
        found = tribrid.rerank(QUERY, TEXTS)
        assert found["model_id"] == found["model"] == reranker.name
        # A model that is not there keeps nobody from searching.
        tribrid.patch_settings({"reranking": {"reranker_local_model": "nobody/has-this"}})
        tribrid.warm()
