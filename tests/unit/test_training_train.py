"""One training from lists to artifact, on the tiny encoder: what is written, and what torch and onnxruntime say."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from synthetic import training_list
from tribrid.config import Config, TrainingConfig
from tribrid.errors import Cancelled, NoTriplets, TrainingFailed
from tribrid.scoring.cross_encoder import JointCrossEncoder
from tribrid.scoring.features import CorpusStatistics
from tribrid.scoring.learned import CROSS_ENCODER, LearnedReranker, Reading
from tribrid.scoring.pairs import PairEncoder, PairLimits
from tribrid.training.lists import TrainingList
from tribrid.training.torch_joint import FUSED_SCALE, build, export, save_weights
from tribrid.training.torch_loop import CHECKPOINT, Loop
from tribrid.training.train import TrainingInputs, choose_weight, train
from tribrid.types import EventType

STATISTICS = CorpusStatistics(np.ones(50, np.float32), 10.0)
CONFIG: TrainingConfig = Config().training.model_copy(
    update={"folds": 2, "epochs": 1, "batch_size": 4, "cross_encoder_depth": 6, "checkpoint_every_steps": 1}
)
LISTS = [training_list(seed, learnable=True) for seed in range(16)]
LIMITS = PairLimits(query_tokens=16, passage_tokens=32, snippet_chars=40)


def base() -> Path:
    return Path(os.environ["TRIBRID_TRAINING__BASE_MODEL"])


def never() -> bool:
    return False


class Told:
    """An emit that keeps what it is given."""

    def __init__(self) -> None:
        self.events: list[tuple[EventType, Mapping[str, Any]]] = []

    def __call__(self, type_: EventType, data: Mapping[str, Any]) -> None:
        self.events.append((type_, data))

    def messages(self) -> list[str]:
        return [str(data.get("message", "")) for _, data in self.events]

    def losses(self) -> dict[int, float]:
        return {data["step"]: data["loss"] for _, data in self.events if "loss" in data}


def inputs_of(lists: Sequence[TrainingList]) -> TrainingInputs:
    return TrainingInputs(lists, STATISTICS, base(), 40, {"corpus_id": "c", "run_id": "r"})


def loop_in(folder: Path, told: Told, config: TrainingConfig = CONFIG) -> Loop:
    torch.manual_seed(0)
    return Loop(build(base()), PairEncoder(base(), LIMITS), config, folder, told, never)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Mapping[str, Any]]:
    result = train(inputs_of(LISTS), CONFIG, tmp_path_factory.mktemp("run"), Told(), never)
    return result.folder, result.manifest


def reading_of(item: TrainingList) -> Reading:
    return Reading(item.labels.query, item.tokens, item.candidates, item.passages)


def test_the_artifact_says_where_it_came_from_and_serves(trained: tuple[Path, Mapping[str, Any]]) -> None:
    folder, manifest = trained
    reranker = LearnedReranker(folder)
    assert reranker.manifest["corpus_id"] == "c"
    assert reranker.manifest["config"] == CONFIG.model_dump(mode="json")
    assert set(reranker.manifest["versions"]) >= {"tribrid", "torch", "lightgbm", "numpy"}
    assert manifest["metrics"]["cross_encoder"]["trained"]
    assert manifest["metrics"]["pairs"] == 16 * 12
    for part in reranker.parts:
        scores = reranker.score(reading_of(LISTS[0]), part)
        assert scores.shape == (12,)
        assert np.isfinite(scores).all()
    assert "cross_encoder" in reranker.parts
    json.dumps(manifest, allow_nan=False)


def test_the_cross_encoder_is_not_pickled(trained: tuple[Path, Mapping[str, Any]]) -> None:
    names = {path.name for path in trained[0].rglob("*") if path.is_file()}
    assert not [name for name in names if name.endswith((".pt", ".bin", ".pkl"))]


def test_too_few_clusters_still_train_a_blend(tmp_path: Path) -> None:
    one_cluster = [replace(item, cluster="same") for item in LISTS[:4]]
    done = train(inputs_of(one_cluster), CONFIG, tmp_path, Told(), never)
    assert done.manifest["metrics"]["cross_encoder"]["trained"] is False
    assert done.manifest["metrics"]["blend"]["form"] == "retrieval"
    reranker = LearnedReranker(done.folder)
    scores = reranker.score(reading_of(LISTS[0]))
    assert np.argsort(-scores, kind="stable").tolist() == list(range(12))


def test_nothing_to_learn_is_said(tmp_path: Path) -> None:
    mute = [replace(item, labels=replace(item.labels, grades={})) for item in LISTS[:3]]
    with pytest.raises(NoTriplets, match="topn"):
        train(inputs_of(mute), CONFIG, tmp_path, Told(), never)


def test_a_cancelled_training_stops(tmp_path: Path) -> None:
    with pytest.raises(Cancelled):
        train(inputs_of(LISTS), CONFIG, tmp_path, Told(), lambda: True)


def test_untrained_it_ranks_as_the_first_stage(tmp_path: Path) -> None:
    """The head adds nothing, and the first stage's score outweighs what the base model thinks of a pair."""
    loop = loop_in(tmp_path, Told())
    loop._precompute(LISTS[:2])
    scores = loop.scores(LISTS[0], 6)
    fused = np.array([c.score for c in LISTS[0].candidates[:6]])
    assert np.abs(scores - FUSED_SCALE * fused).max() <= 2 + 1e-4  # cosine and MaxSim are at most 1 each


def test_interrupted_it_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"epochs": 3, "learning_rate": 1e-3})
    whole, first, second = Told(), Told(), Told()
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    learn, dev = LISTS[:12], LISTS[12:]
    expected = loop_in(tmp_path / "whole", whole, config).run(learn, dev)
    interrupted = loop_in(tmp_path / "parts", first, config)
    interrupted._cancelled = lambda: len(first.losses()) >= 4
    with pytest.raises(Cancelled):
        interrupted.run(learn, dev)
    got = loop_in(tmp_path / "parts", second, config).run(learn, dev)
    assert "resumed from a checkpoint" in second.messages()
    assert first.losses() | second.losses() == whole.losses()
    assert set(second.losses()) == set(range(5, expected.step + 1))
    assert vars(got) == vars(expected)


@pytest.mark.parametrize("content", [b"", b"torn" * 100])
def test_a_torn_checkpoint_is_not_used(tmp_path: Path, content: bytes) -> None:
    (tmp_path / CHECKPOINT).write_bytes(content)
    told = Told()
    loop_in(tmp_path, told).run(LISTS[:4], LISTS[12:])
    assert any("not used" in message for message in told.messages())
    assert set(told.losses()) == {1}


def test_a_checkpoint_of_other_settings_is_not_used(tmp_path: Path) -> None:
    loop_in(tmp_path, Told()).run(LISTS[:4], LISTS[12:])
    told = Told()
    loop_in(tmp_path, told, CONFIG.model_copy(update={"seed": 77})).run(LISTS[:4], LISTS[12:])
    assert set(told.losses()) == {1}


def test_the_best_weights_are_kept_not_the_last(tmp_path: Path) -> None:
    wild = CONFIG.model_copy(update={"learning_rate": 1e-2, "epochs": 4})
    told = Told()
    loop = loop_in(tmp_path, told, wild)
    progress = loop.run(LISTS[:12], LISTS[12:])
    dev = {data["step"]: data["dev_ndcg@10"] for _, data in told.events if "dev_ndcg@10" in data}
    assert progress.best_ndcg == max(dev.values())
    assert dev[progress.best_step] == progress.best_ndcg


def test_a_collapsed_model_is_an_error(tmp_path: Path) -> None:
    loop = loop_in(tmp_path, Told())
    with torch.no_grad():
        for parameter in loop.joint.parameters():
            parameter.zero_()
    with pytest.raises(TrainingFailed, match="learning_rate"):
        loop.run(LISTS[:4], LISTS[12:])


def test_served_by_onnxruntime_it_says_what_torch_says(tmp_path: Path) -> None:
    loop = loop_in(tmp_path, Told(), CONFIG.model_copy(update={"learning_rate": 1e-3, "cross_encoder_depth": 12}))
    loop.run(LISTS[:12], LISTS[12:])
    folder = tmp_path / CROSS_ENCODER
    folder.mkdir()
    assert export(loop._lower, loop.joint, folder, 32) < 1e-3
    save_weights(loop.joint, folder / "model.safetensors")
    (folder / "tokenizer.json").write_bytes((base() / "tokenizer.json").read_bytes())
    (folder / "config.json").write_text(json.dumps({"limits": asdict(LIMITS)}))
    served = JointCrossEncoder(folder)
    for item in LISTS[12:]:
        texts = [(c.passage.title, c.passage.text) for c in item.candidates]
        fused = np.array([c.score for c in item.candidates], np.float32)
        got = served.score(item.labels.query, texts, fused)
        # The loop keeps the lower states in float16.
        np.testing.assert_allclose(got, loop.scores(item, 12), atol=0.02)
        alone = [served.score(item.labels.query, [text], fused[i : i + 1])[0] for i, text in enumerate(texts)]
        np.testing.assert_allclose(got, alone, atol=1e-4)
    assert served.score("q", [], np.zeros(0, np.float32)).shape == (0,)


def test_a_cross_encoder_that_helps_by_chance_gets_no_weight() -> None:
    rng = np.random.default_rng(0)
    dev = [training_list(seed, learnable=False) for seed in range(40)]
    blend = [rng.normal(size=12) for _ in dev]
    noise = [rng.normal(size=6) * 0.01 for _ in dev]
    weight, table = choose_weight(dev, blend, noise)
    assert set(table) == {"0", "0.1", "0.2", "0.35", "0.5", "0.75", "1.0"}
    assert weight == 0 or table[str(weight)] > table["0"]


def test_a_cross_encoder_that_knows_gets_a_weight() -> None:
    rng = np.random.default_rng(0)
    dev = [training_list(seed, learnable=False) for seed in range(40)]
    blend = [rng.normal(size=12) for _ in dev]
    knows = [item.grades.astype(float) for item in dev]
    weight, table = choose_weight(dev, blend, knows)
    assert weight > 0
    assert table[str(weight)] > table["0"]


def test_one_dev_query_proves_nothing() -> None:
    item = training_list(0, learnable=False)
    assert choose_weight([item], [np.zeros(12)], [item.grades.astype(float)])[0] == 0
