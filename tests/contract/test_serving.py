"""A real cross-encoder as it serves: in either form, within a budget, and what is served when it cannot."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import tiny
from tribrid import pipeline
from tribrid.app import Tribrid
from tribrid.errors import Cancelled, ModelUnavailable
from tribrid.scoring.budget import Budget
from tribrid.scoring.cross_encoder import MODEL_INT8, HubCrossEncoder
from tribrid.scoring.models import ensure_export
from tribrid.scoring.scorer import LocalScorer
from tribrid.scoring.variants import FP32, INT8, describe, machine
from tribrid.serving import served, settle_forms
from tribrid.types import Document, EvalDataset, JudgedQuery, ScoredDoc

pytestmark = pytest.mark.slow  # it exports models and starts processes
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
    tribrid.index("c", [Document(f"d{i}", text, "") for i, text in enumerate(TEXTS)])
    local = {"reranker_mode": "local", "reranker_local_model": str(reranker)}
    tribrid.patch_config({"reranking": local}, "c")
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
    scorer = HubCrossEncoder(export, SNIPPET_CHARS)
    scorer.use(variant)
    together = scorer.score(QUERY, PASSAGES)
    alone = np.concatenate([scorer.score(QUERY, [passage]) for passage in PASSAGES])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_the_forms_agree(export: Path) -> None:
    scorer = HubCrossEncoder(export, SNIPPET_CHARS)
    scores = {}
    for variant in (FP32, INT8):
        scorer.use(variant)
        scores[variant] = scorer.score(QUERY, PASSAGES)
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
    scorer = HubCrossEncoder(folder, SNIPPET_CHARS)
    scorer.use(FP32)
    with pytest.raises(ModelUnavailable, match=MODEL_INT8):
        scorer.use(INT8)
    assert scorer.variant == FP32
    assert np.isfinite(scorer.score(QUERY, PASSAGES)).all()


def test_a_search_says_how_far_it_was_reranked(tribrid: Tribrid) -> None:
    found = tribrid.search("c", QUERY)
    assert (found["reranked"], found["reranked_candidates"], found["note"]) == (True, len(TEXTS), None)
    assert tribrid.search("c", QUERY)["results"] == found["results"]
    runtime = tribrid.info()["runtime"]
    assert runtime["cache"]["hits"] == len(TEXTS)
    assert runtime["engine"]["pairs"] == len(TEXTS)
    form = runtime["cross_encoders"][0]
    assert form["serves"] == form["decision"]["served"] == tribrid.status("c")["form"]["serves"]


def test_a_time_budget_shortens_the_list_and_loses_nothing(tribrid: Tribrid) -> None:
    ws, config = tribrid.workspace, tribrid.workspace.config("c")
    scorer = ws.scorer("c", config)
    assert isinstance(scorer, LocalScorer)
    retrieved = ws.retriever("c", config).retrieve(QUERY, 10)
    whole = ws.read("c", QUERY, retrieved, config)
    known = scorer.score(replace(whole, candidates=retrieved[:2], passages=whole.passages[:2], budget=Budget()))
    # Two are known from before; for the rest there is no time at all.
    budget = Budget(timeout_ms=0)
    scores = scorer.score(replace(whole, budget=budget))
    np.testing.assert_array_equal(scores[:2], known)
    assert np.isnan(scores[2:]).all()
    assert budget.read == (2, len(TEXTS))

    tribrid.patch_config({"reranking": {"reranker_timeout_ms": 10}}, "c")
    for query in (QUERY, *(f"{QUERY} {i} " + "certificate " * 60 for i in range(5))):
        found = tribrid.search("c", query)
        assert sorted(row["doc_id"] for row in found["results"]) == [f"d{i}" for i in range(len(TEXTS))]
        ranks = [row["score"] for row in found["results"]]
        assert ranks == sorted(ranks, reverse=True)
        read = found["reranked_candidates"]
        assert (found["fallback_code"] == "out_of_time") == (read == 0)
        assert (found["note"] is not None) == (0 < read < len(TEXTS))


def test_a_search_that_nobody_waits_for_is_not_logged(tribrid: Tribrid) -> None:
    gone = Budget()
    gone.leave()
    with pytest.raises(Cancelled):
        tribrid.search("c", QUERY, budget=gone)
    assert tribrid.log_stats("c")["impressions"] == 0


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

    before, logged = tribrid.status("c")["fallbacks"]["total"], tribrid.log_stats("c")["impressions"]
    tribrid.patch_config({"reranking": {"reranker_local_model": "nobody/has-this"}}, "c")
    assert tribrid.rerank(QUERY, documents, corpus_id="c")["fallback_reason"]
    assert tribrid.status("c")["fallbacks"]["total"] == before + 1
    gone = Budget()
    gone.leave()
    with pytest.raises(Cancelled):
        tribrid.rerank(QUERY, documents, corpus_id="c", budget=gone)
    assert tribrid.log_stats("c")["impressions"] == logged + 1


def local_model(tribrid: Tribrid) -> str:
    """The corpus's cross-encoder as a model without a corpus."""
    name = tribrid.workspace.config("c").reranking.reranker_local_model
    assert name is not None
    tribrid.patch_config({"reranking": {"reranker_local_model": name}})
    return Path(name).name


def test_a_reranker_that_fails_is_counted_shown_and_not_learned_from(tribrid: Tribrid) -> None:
    reranked = tribrid.search("c", QUERY)
    tribrid.patch_config({"reranking": {"reranker_local_model": "nobody/has-this"}}, "c")
    found = tribrid.search("c", "proxy")
    assert (found["reranked"], found["reranked_candidates"], found["fallback_code"]) == (False, 0, "model_unavailable")
    assert "nobody/has-this" in found["fallback_reason"]
    assert len(found["results"]) == len(TEXTS)
    for answer in (found, reranked):
        tribrid.feedback(answer["query_id"], "click", answer["results"][-1]["doc_id"])
    fallbacks = tribrid.status("c")["fallbacks"]
    assert (fallbacks["total"], fallbacks["by_code"]) == (1, {"model_unavailable": 1})
    assert fallbacks["last"]["reason"] == found["fallback_reason"]
    assert tribrid.status()["fallbacks"]["total"] == 1
    _, mined = pipeline.mine(tribrid.workspace, "c", {"sources": ["logs"]}, nothing)
    assert mined.counts["rejected"]["served_by_fallback"] == 1
    assert mined.counts["impressions"] == 1


def test_int8_that_ranks_worse_on_the_eval_dataset_is_not_served(
    export: Path, reranker: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = shutil.copytree(export.parent, tmp_path / "models") / export.name
    monkeypatch.setenv("TRIBRID_MODELS_DIR", str(copied.parent))
    with opened(tmp_path / "data", reranker) as tribrid:
        ws, config = tribrid.workspace, tribrid.workspace.config("c")
        scorer = ws.scorer("c", config)
        assert isinstance(scorer, LocalScorer)
        name = scorer.cross_encoder.export
        reading = ws.read("c", QUERY, ws.retriever("c", config).retrieve(QUERY, 10), config)
        scorer.cross_encoder.use(FP32)
        best = reading.candidates[int(np.argmax(scorer.score(reading)))].doc_id
        dataset = EvalDataset("sha", 1, "c", (JudgedQuery("q", QUERY, {best: 1}),), "nDCG@10", 0)

        def settled() -> dict[str, Any]:
            ws.decisions.put(name, {"served": INT8})
            settle_forms(ws, config, dataset, {"q": reading}, [ws.scorer("c", config)], nothing)
            found = ws.decisions.find(name)
            assert found is not None
            return found

        def ends(_kind: Any, _data: Any) -> None:
            raise Cancelled("Ended on request.")

        ws.decisions.put(name, {"served": INT8})
        with pytest.raises(Cancelled):
            settle_forms(ws, config, dataset, {"q": reading}, [ws.scorer("c", config)], ends)
        assert ws.decisions.find(name) == {"served": INT8}, "an interruption says nothing of the form"

        first = settled()
        assert first["eval_datasets"][0]["accepted"] is (first["served"] == INT8)
        assert first["eval_datasets"][0]["ndcg@10 fp32"] == 1

        turn_around(copied / MODEL_INT8)
        scorer.cross_encoder.use(INT8)
        second = settled()
        assert (second["served"], second["eval_datasets"][0]["accepted"]) == (FP32, False)
        assert scorer.cross_encoder.variant == FP32
        with Tribrid(ws.data_dir) as server:  # another process learns of it from the data folder
            assert server.status("c")["form"]["serves"] == FP32


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
    tribrid.patch_config({"reranking": {"reranker_local_model": "no such/mo del"}}, "c")
    found = tribrid.search("c", QUERY)
    assert (found["reranked"], len(found["results"])) == (False, len(TEXTS))
    assert found["fallback_code"] == "invalid_input"

    def broken() -> None:
        raise OSError(28, "No space left on device")

    fused = [ScoredDoc("d0", 1.0)]
    ranking = served(tribrid.workspace, "c", fused, broken, lambda _: pytest.fail("nobody was chosen"))
    assert ranking.order == fused
    assert ranking.fallback is not None
    assert ranking.fallback.code == "model_unavailable"
    assert tribrid.status("c")["fallbacks"]["total"] == 2


def test_a_server_is_warm_for_reranks_without_a_corpus_too(export: Path, reranker: Path, tmp_path: Path) -> None:
    with Tribrid(tmp_path / "data") as tribrid:
        tribrid.patch_config({"reranking": {"reranker_local_model": str(reranker)}})
        tribrid.warm()
        (loaded,) = tribrid.workspace.loaded_scorers()
        assert loaded.model_id == reranker.name, "without the machine's folders"
        found = tribrid.rerank(QUERY, TEXTS)
        assert found["model_id"] == found["model"] == reranker.name
        # A model that is not there keeps nobody from searching.
        tribrid.patch_config({"reranking": {"reranker_local_model": "nobody/has-this"}})
        tribrid.warm()
