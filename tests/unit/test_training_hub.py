"""A Hugging Face cross-encoder as base model: trained by the same loop, and still what it was to everybody else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from sentence_transformers import CrossEncoder
from transformers import ModernBertConfig, ModernBertForSequenceClassification

import tiny
from synthetic import STATISTICS, reading_of, training_list
from tribrid.config import Config
from tribrid.encoders.cross_encoder import load_cross_encoder
from tribrid.encoders.models import trainable_as
from tribrid.encoders.tokens import passage_text
from tribrid.encoders.variants import FP32
from tribrid.errors import ModelUnavailable
from tribrid.scoring.learned import CROSS_ENCODER, LearnedReranker
from tribrid.training.train import Trained, TrainingInputs, train

pytestmark = pytest.mark.slow  # it builds and exports models of several architectures

SNIPPET_CHARS = 400
LONG = "renew the certificate of the proxy by night " * 9
PASSAGES = [("", "soup and pasta"), ("The kitchen", "how to sort a list"), ("Backup", LONG), ("", "x")]


def bert(folder: Path) -> Path:
    """The tiny cross-encoder with an opinion: as it is initialised, it says nearly the same of everything."""
    tiny.build_cross_encoder(folder)
    weights = load_file(folder / "model.safetensors")
    loud = {name: array * (50 if name == "classifier.weight" else 1) for name, array in weights.items()}
    save_file(loud, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def modern_bert(folder: Path) -> Path:
    """A cross-encoder of another build, with the tokenizer of the tiny one."""
    tiny.build_cross_encoder(folder)
    vocabulary = json.loads((folder / "config.json").read_text())["vocab_size"]
    config = ModernBertConfig(
        vocab_size=vocabulary,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=2,
        max_position_embeddings=256,
        num_labels=1,  # type: ignore[call-arg]
        pad_token_id=0,
        bos_token_id=2,
        eos_token_id=3,
        cls_token_id=2,
        sep_token_id=3,
        initializer_range=0.2,
    )
    ModernBertForSequenceClassification(config).save_pretrained(folder)
    special = {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "unk_token": "[UNK]"}
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "TokenizersBackend", **special}))
    return folder


BUILDERS = {"bert": bert, "modernbert": modern_bert}


@pytest.fixture(scope="module", params=list(BUILDERS))
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Trained]:
    folder = tmp_path_factory.mktemp(request.param)
    base = BUILDERS[request.param](folder / "base")
    config = Config().training.model_copy(
        update={
            "folds": 2,
            "epochs": 2,
            "batch_size": 4,
            "learning_rate": 1e-3,
            "keep_cross_encoder": True,
            "query_tokens": 16,
            "passage_tokens": 32,
        }
    )
    lists = [training_list(seed, learnable=True) for seed in range(16)]
    inputs = TrainingInputs(lists, STATISTICS, base, SNIPPET_CHARS, {})
    return base, train(inputs, config, folder / "run", lambda *_: None, lambda: False)


@pytest.mark.parametrize("query", ["how do I renew the certificate", "?", "sort a list " * 30])
def test_sentence_transformers_loads_it_unchanged_and_says_what_is_served(
    made: tuple[Path, Trained], query: str
) -> None:
    folder = made[1].folder / CROSS_ENCODER
    cross_encoder = load_cross_encoder(folder, SNIPPET_CHARS, variant=FP32)  # whichever serves on this machine
    assert cross_encoder.shipped is not None
    served = cross_encoder.score(query, PASSAGES)
    theirs = CrossEncoder(str(folder), device="cpu", local_files_only=True)
    texts = [passage_text(title, text[:SNIPPET_CHARS]) for title, text in PASSAGES]
    np.testing.assert_allclose(served, theirs.predict([(query, text) for text in texts]), atol=1e-4)
    assert len(set(served.tolist())) > 1


def test_only_the_upper_layers_learned(made: tuple[Path, Trained]) -> None:
    base, trained = made
    before = load_file(base / "model.safetensors")
    after = load_file(trained.folder / CROSS_ENCODER / "model.safetensors")
    assert before.keys() == after.keys()
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    steps = trained.manifest["metrics"]["cross_encoder"]["best_step"]
    assert (steps > 0) == bool(changed)
    assert not [name for name in changed if "embeddings" in name or ".0." in name]


def test_the_artifact_serves_and_says_what_it_is(made: tuple[Path, Trained]) -> None:
    reranker = LearnedReranker(made[1].folder)
    assert "cross_encoder" in reranker.parts
    assert np.isfinite(reranker.score(reading_of(1), "cross_encoder")).all()
    measured = made[1].manifest["metrics"]["cross_encoder"]
    assert measured["kind"] == "cross-encoder"
    assert measured["export_difference"] < 1e-4
    names = {path.name for path in (made[1].folder / CROSS_ENCODER).iterdir()}
    assert names >= {"model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json", "model.onnx"}


def changed(folder: Path, **facts: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | facts))


def test_it_knows_a_cross_encoder_from_an_encoder(tmp_path: Path) -> None:
    assert trainable_as(tiny.build_cross_encoder(tmp_path / "a")) == "cross-encoder"
    assert trainable_as(tiny.build_encoder(tmp_path / "b")) == "encoder"


@pytest.mark.parametrize(
    ("facts", "lost", "said"),
    [
        ({"id2label": {"0": "no", "1": "yes"}}, None, "2 labels"),
        ({"id2label": None}, None, "2 labels"),
        ({"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2"}, None, "gpt2"),
        ({}, "tokenizer.json", "no tokenizer.json"),
        ({}, "model.safetensors", "save_pretrained"),
        ({}, "config.json", "cannot be read"),
    ],
)
def test_the_wrong_kind_of_model_is_refused_with_what_to_do(
    tmp_path: Path, facts: dict[str, Any], lost: str | None, said: str
) -> None:
    base = shutil.copytree(tiny.build_cross_encoder(tmp_path / "made"), tmp_path / "base")
    changed(base, **facts)
    if lost:
        (base / lost).unlink()
    inputs = TrainingInputs([training_list(0, learnable=True)], STATISTICS, base, 40, {})
    with pytest.raises(ModelUnavailable, match=said):
        train(inputs, Config().training, tmp_path / "run", lambda *_: None, lambda: False)
