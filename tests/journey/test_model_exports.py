"""An exported model with a cross-encoder of either kind: other libraries load it, and score as it does in service."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
from safetensors.numpy import load_file, save_file
from sentence_transformers.cross_encoder import CrossEncoder

import learnable
import tiny
from tribrid import Reranker
from tribrid.answers.models import ModelExport
from tribrid.app import Tribrid
from tribrid.app.parts import quiet
from tribrid.encoders.cross_encoder import load_cross_encoder
from tribrid.loop import mine, train
from tribrid.loop.params import MineParams
from tribrid.workspace.corpus import open_corpus

pytestmark = pytest.mark.timeout(240)
TRAINING = {
    "folds": 2,
    "epochs": 1,
    "cross_encoder_depth": 10,
    "passage_tokens": 64,
    "query_tokens": 16,
    "keep_cross_encoder": True,
}
PAIRS = [("Note 3", "read and write a file"), ("", "sort a list"), ("Note 1", "open the night proxy")]


@pytest.fixture(scope="module")
def tribrid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tribrid]:
    """A mined corpus; trainings run in this process."""
    with Tribrid(tmp_path_factory.mktemp("data")) as opened:
        opened.patch_settings({"training": TRAINING, "mining": {"negatives_per_pair": 10}})
        opened.create_corpus("c")
        opened.corpus("c").documents.add(learnable.documents())
        opened.corpus("c").judgments.put(learnable.queries("train", 16, seed=2))
        mine.mine(open_corpus(opened.folder, "c"), MineParams.model_validate({"sources": ["judgments"]}), quiet)
        yield opened


def exported(tribrid: Tribrid, run_id: str, folder: Path, **training: Any) -> ModelExport:
    model = train.train(open_corpus(tribrid.folder, "c"), run_id, training, quiet, lambda: False)
    return tribrid.models.export(model.model_id, folder)


def served(folder: Path) -> list[float]:
    """The scores of the very artifact that would serve."""
    cross_encoder = load_cross_encoder(folder / "tribrid" / "cross_encoder", 2000)
    return [float(score) for score in cross_encoder.score("open a file", PAIRS)]


def predicted(folder: Path, **how: Any) -> list[float]:
    """The same by sentence-transformers."""
    texts = [("open a file", f"{title}\n{text}" if title else text) for title, text in PAIRS]
    model = CrossEncoder(str(folder), device="cpu", local_files_only=True, **how)
    return [float(score) for score in model.predict(texts, show_progress_bar=False)]


def test_one_made_of_a_sentence_encoder(tribrid: Tribrid, tmp_path: Path) -> None:
    done = exported(tribrid, "joint", tmp_path / "out")
    assert "trust_remote_code" in done.loads_in["sentence_transformers"]
    for name in ("lower.onnx", "joint.onnx", "blend.onnx"):
        assert onnxruntime.InferenceSession(tmp_path / "out" / name, providers=["CPUExecutionProvider"]).get_inputs()
    assert predicted(tmp_path / "out", trust_remote_code=True) == pytest.approx(served(tmp_path / "out"), abs=1e-5)
    assert "trust_remote_code=True" in (tmp_path / "out" / "README.md").read_text("utf-8")


def test_an_export_ranks_by_itself_as_it_does_in_its_corpus(tribrid: Tribrid, tmp_path: Path) -> None:
    done = exported(tribrid, "alone", tmp_path / "out", cross_encoder=False)
    query, documents = learnable.queries("e", 1, 9)[0].text, learnable.documents()[:12]
    alone = Reranker.load(tmp_path / "out").rank(query, documents)
    given = [{"id": document.doc_id, "title": document.title, "text": document.text} for document in documents]
    there = tribrid.rerank(query, given, model=done.model_id).results
    assert {row.doc_id for row in alone} == {row.doc_id for row in there}
    assert [row.doc_id for row in alone][:3] == [row.doc_id for row in there][:3]


def test_one_of_the_hub_s_kind(tribrid: Tribrid, tmp_path: Path) -> None:
    base = tiny.build_cross_encoder(tmp_path / "base", (document.text for document in learnable.documents()))
    weights = load_file(base / "model.safetensors")
    # As it is initialised it says nearly the same of everything, which is nothing to start from.
    loud = {name: array * (50 if name == "classifier.weight" else 1) for name, array in weights.items()}
    save_file(loud, base / "model.safetensors", metadata={"format": "pt"})
    done = exported(tribrid, "hub", tmp_path / "out", base_model=str(base))
    assert done.loads_in["sentence_transformers"] == "CrossEncoder(folder)"
    assert onnxruntime.InferenceSession(
        tmp_path / "out" / "model.onnx", providers=["CPUExecutionProvider"]
    ).get_inputs()
    assert predicted(tmp_path / "out") == pytest.approx(served(tmp_path / "out"), abs=1e-5)
    assert "library_name: sentence-transformers" in (tmp_path / "out" / "README.md").read_text("utf-8")
