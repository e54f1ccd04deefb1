"""One training from lists to artifact, on the tiny encoder: what is written, and what torch and onnxruntime say."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from synthetic import STATISTICS, passage_tokens, training_list
from tribrid.config import Config
from tribrid.config.sections import TrainingConfig
from tribrid.encoders.cross_encoder import JointCrossEncoder
from tribrid.encoders.pairs import PairLimits
from tribrid.encoders.variants import FP32
from tribrid.errors import Cancelled, NoTriplets, TrainingFailed
from tribrid.scoring.learned import CROSS_ENCODER, LearnedReranker, Reading
from tribrid.training.lessons import Lesson
from tribrid.training.lists import PastQuery, TrainingList
from tribrid.training.resources import Pace, Run
from tribrid.training.torch_joint import FUSED_SCALE, JointModel
from tribrid.training.torch_loop import CHECKPOINT, NO_GAIN, OUT_OF_TIME, Loop
from tribrid.training.train import TrainingInputs, train
from tribrid.types import EventType

pytestmark = pytest.mark.slow  # it trains

CONFIG: TrainingConfig = Config().training.model_copy(
    update={
        "folds": 2,
        "epochs": 1,
        "batch_size": 4,
        "cross_encoder_depth": 6,
        "checkpoint_every_steps": 1,
        "patience": 0,
        "keep_cross_encoder": True,
    }
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


def lessons_of(lists: Sequence[TrainingList], depth: int = 6) -> list[Lesson]:
    """With the first stage's order in the blend's place."""
    return [Lesson.of(item, np.zeros(0), depth) for item in lists]


LEARN, DEV = lessons_of(LISTS[:12]), lessons_of(LISTS[12:])


class Clock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def loop_in(folder: Path, told: Told, config: TrainingConfig = CONFIG, memory_mib: int = 64) -> Loop:
    torch.manual_seed(0)
    model = JointModel(base(), LIMITS, folder, 10**8)
    return Loop(model, config, Run(folder, told, never, Pace(config.time_budget_s)), memory_mib)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Mapping[str, Any]]:
    result = train(inputs_of(LISTS), CONFIG, tmp_path_factory.mktemp("run"), Told(), never)
    return result.folder, result.manifest


def reading_of(item: TrainingList) -> Reading:
    rng = np.random.default_rng(0)
    return Reading(item.labels.query, item.tokens, item.candidates, [passage_tokens(rng, 8) for _ in item.candidates])


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
    blend = done.manifest["metrics"]["blend"]
    assert blend["form"] == blend["start"] == "untrained"
    reranker, reading = LearnedReranker(done.folder), reading_of(LISTS[0])
    assert np.argsort(-reranker.score(reading)).tolist() == np.argsort(-reranker.score(reading, "untrained")).tolist()


def test_a_sentence_encoder_is_not_tried_with_few_queries(tmp_path: Path) -> None:
    told = Told()
    done = train(inputs_of(LISTS), CONFIG.model_copy(update={"keep_cross_encoder": False}), tmp_path, told, never)
    measured = done.manifest["metrics"]["cross_encoder"]
    assert measured["trained"] is False
    assert "none was ever served beside the blend" in measured["reason"]
    assert "cross_encoder" not in LearnedReranker(done.folder).parts


def test_nothing_to_learn_is_said(tmp_path: Path) -> None:
    mute = [replace(item, labels=replace(item.labels, grades={})) for item in LISTS[:3]]
    with pytest.raises(NoTriplets, match="topn"):
        train(inputs_of(mute), CONFIG, tmp_path, Told(), never)


def test_a_cancelled_training_stops(tmp_path: Path) -> None:
    with pytest.raises(Cancelled):
        train(inputs_of(LISTS), CONFIG, tmp_path, Told(), lambda: True)


def test_untrained_it_ranks_as_the_first_stage(tmp_path: Path) -> None:
    """The head adds nothing, and the first stage's score outweighs what the base model thinks of a pair."""
    (scores,) = loop_in(tmp_path, Told()).read(LEARN[:1])
    fused = np.array([c.score for c in LISTS[0].candidates[:6]])
    assert np.abs(scores - FUSED_SCALE * fused).max() <= 2 + 1e-4  # cosine and MaxSim are at most 1 each


def test_interrupted_it_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"epochs": 3, "learning_rate": 1e-3, "distillation": 0.5})
    whole, first, second = Told(), Told(), Told()
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    expected = loop_in(tmp_path / "whole", whole, config).run(LEARN, DEV)
    interrupted = loop_in(tmp_path / "parts", first, config)
    interrupted._cancelled = lambda: len(first.losses()) >= 4
    with pytest.raises(Cancelled):
        interrupted.run(LEARN, DEV)
    got = loop_in(tmp_path / "parts", second, config).run(LEARN, DEV)
    assert "resumed from a checkpoint" in second.messages()
    assert first.losses() | second.losses() == whole.losses()
    assert set(second.losses()) == set(range(5, expected.step + 1))
    assert vars(got) == vars(expected)


def test_without_memory_it_learns_the_same_in_smaller_pieces(tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"learning_rate": 1e-3})
    for name in ("roomy", "tight"):
        (tmp_path / name).mkdir()
    roomy, tight = Told(), Told()
    loop_in(tmp_path / "roomy", roomy, config).run(LEARN, DEV)
    # Nothing fits: each list stands alone, and even its passes are made in parts.
    loop_in(tmp_path / "tight", tight, config, memory_mib=0).run(LEARN, DEV)
    tokens = [[data["micro_tokens"] for _, data in told.events if "micro_tokens" in data] for told in (roomy, tight)]
    assert tokens[1] == [1]
    assert tokens[0][0] > 100
    # Dropout falls on other pieces; before the first step there is no other difference.
    assert set(tight.losses()) == set(roomy.losses())
    assert tight.losses()[1] == pytest.approx(roomy.losses()[1], rel=0.05)


def test_time_left_is_told_before_the_first_step(tmp_path: Path) -> None:
    told, seconds = Told(), itertools.count()
    loop = loop_in(tmp_path, told)
    loop._pace = Pace(None, lambda: float(next(seconds)))
    loop.run(LEARN, DEV)
    first_step = next(at for at, (_, data) in enumerate(told.events) if "loss" in data)
    before = [data for kind, data in told.events[:first_step] if kind == "progress"]
    assert before[-1]["done"] == 0
    assert before[-1]["total"] == 3
    assert before[-1]["eta_s"] > 0
    assert [data["done"] for kind, data in told.events if kind == "progress"][-1] == 3


def test_it_stops_when_dev_gains_nothing(tmp_path: Path) -> None:
    told = Told()
    config = CONFIG.model_copy(update={"epochs": 20, "patience": 2, "learning_rate": 1e-6})
    progress = loop_in(tmp_path, told, config).run(LEARN, DEV)
    served = [data["dev_served_ndcg@10"] for _, data in told.events if "dev_served_ndcg@10" in data]
    assert progress.ended == NO_GAIN
    assert served[-3] >= max(served[-2:])
    assert progress.step == 3 * (len(served) - 1) < 60


def test_the_time_budget_is_kept_and_the_best_so_far_is_taken(tmp_path: Path) -> None:
    clock, told = Clock(), Told()
    config = CONFIG.model_copy(update={"epochs": 10})
    loop = loop_in(tmp_path, told, config)
    loop._pace = Pace(10.0, clock)

    def pass_time() -> bool:
        clock.now = 2.0 * len(told.losses())
        return False

    loop._cancelled = pass_time
    progress = loop.run(LEARN, DEV)
    assert progress.ended == OUT_OF_TIME
    assert 0 < progress.step <= 6
    assert progress.best_step >= 0


def test_a_training_that_is_late_already_makes_the_best_of_it(tmp_path: Path) -> None:
    clock, told = Clock(), Told()
    pace = Pace(10.0, clock)
    clock.now = 10.1  # reading took that long
    done = train(replace(inputs_of(LISTS), pace=pace), CONFIG, tmp_path, told, never)
    assert "the time budget was spent" in done.manifest["metrics"]["cross_encoder"]["reason"]
    assert LearnedReranker(done.folder).score(reading_of(LISTS[0])).shape == (len(LISTS[0].candidates),)


def test_past_queries_are_in_the_memory_and_not_among_the_lists(tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"cross_encoder": False})
    past = [PastQuery(f"past {n}", LISTS[n].tokens, [f"only-past-{n}"]) for n in range(3)]
    done = train(replace(inputs_of(LISTS), past=past), config, tmp_path, Told(), never)
    metrics = done.manifest["metrics"]
    assert (metrics["queries"], metrics["remembered_queries"]) == (len(LISTS), len(LISTS) + 3)
    served = json.loads((done.folder / "manifest.json").read_text())["served"]["memory"]
    assert served["good"]["only-past-2"] == [len(LISTS) + 2]
    assert served["clusters"][-1] == "past 2"


def test_no_time_at_all_is_no_model(tmp_path: Path) -> None:
    loop = loop_in(tmp_path, Told())
    clock = Clock()
    loop._pace = Pace(1.0, clock)
    clock.now = 2.0
    progress = loop.run(LEARN, DEV)
    assert (progress.ended, progress.best_step) == (OUT_OF_TIME, -1)


@pytest.mark.parametrize("content", [b"", b"torn" * 100])
def test_a_torn_checkpoint_is_not_used(tmp_path: Path, content: bytes) -> None:
    (tmp_path / CHECKPOINT).write_bytes(content)
    told = Told()
    loop_in(tmp_path, told).run(LEARN[:4], DEV)
    assert any("not used" in message for message in told.messages())
    assert set(told.losses()) == {1}


def test_a_checkpoint_of_other_settings_is_not_used(tmp_path: Path) -> None:
    loop_in(tmp_path, Told()).run(LEARN[:4], DEV)
    told = Told()
    loop_in(tmp_path, told, CONFIG.model_copy(update={"seed": 77})).run(LEARN[:4], DEV)
    assert set(told.losses()) == {1}


def test_the_best_weights_are_kept_not_the_last(tmp_path: Path) -> None:
    wild = CONFIG.model_copy(update={"learning_rate": 1e-2, "epochs": 4})
    told = Told()
    loop = loop_in(tmp_path, told, wild)
    progress = loop.run(LEARN, DEV)
    dev = {
        data["step"]: (data["dev_served_ndcg@10"], data["dev_ndcg@10"])
        for _, data in told.events
        if "dev_ndcg@10" in data
    }
    assert (progress.best_served, progress.best_ndcg) == max(dev.values()) == dev[progress.best_step]
    for kept, again in zip(loop.best_read(DEV), loop.read(DEV), strict=True):
        np.testing.assert_array_equal(kept, again)


def test_a_model_that_says_the_same_of_everything_is_diagnosed(tmp_path: Path) -> None:
    loop = loop_in(tmp_path, Told())
    with torch.no_grad():
        for parameter in loop.module.parameters():
            parameter.zero_()
    with pytest.raises(TrainingFailed, match="same score"):
        loop.run(LEARN[:4], DEV)


def test_a_collapse_is_diagnosed(tmp_path: Path) -> None:
    told = Told()
    loop = loop_in(tmp_path, told, CONFIG.model_copy(update={"epochs": 9}))

    def forget() -> bool:
        if told.losses():
            with torch.no_grad():
                for parameter in loop.module.parameters():
                    parameter.zero_()
        return False

    loop._cancelled = forget
    with pytest.raises(TrainingFailed, match=r"collapsed by step 3.*training.learning_rate") as caught:
        loop.run(LEARN, DEV)
    assert caught.value.facts["spread"] < 1e-4


def test_a_divergence_is_diagnosed(tmp_path: Path) -> None:
    loop = loop_in(tmp_path, Told())
    loop._rates = [1e30 for _ in loop._rates]
    with pytest.raises(TrainingFailed, match=r"diverged at step \d.*training.learning_rate"):
        loop.run(LEARN, DEV)


def test_a_sick_cross_encoder_does_not_waste_the_blend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trees learn the order of these lists; a cross-encoder at this rate only breaks."""
    told = Told()
    lists = [training_list(seed, learnable=True) for seed in range(60)]
    config = CONFIG.model_copy(update={"learning_rate": 1e25})
    done = train(inputs_of(lists), config, tmp_path, told, never)
    measured = done.manifest["metrics"]["cross_encoder"]
    assert measured["trained"] is False
    assert "diverged" in measured["reason"]
    assert [data["level"] for kind, data in told.events if kind == "log" and "diverged" in data["message"]] == ["error"]
    assert LearnedReranker(done.folder).parts == ["served"] or "cross_encoder" not in LearnedReranker(done.folder).parts


def test_what_does_not_help_is_not_carried_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tribrid.training.train.HOPEFUL_QUERIES", 1)
    config = CONFIG.model_copy(update={"keep_cross_encoder": False, "learning_rate": 1e-6})
    done = train(inputs_of(LISTS), config, tmp_path, Told(), never)
    measured = done.manifest["metrics"]["cross_encoder"]
    assert (measured["trained"], measured["weight"]) == (True, 0)
    assert "no gain beyond chance" in measured["left_out"]
    assert "cross_encoder" not in LearnedReranker(done.folder).parts
    assert not (done.folder / CROSS_ENCODER).exists()


def test_served_by_onnxruntime_it_says_what_torch_says(tmp_path: Path) -> None:
    dev = lessons_of(LISTS[12:], 12)
    loop = loop_in(tmp_path, Told(), CONFIG.model_copy(update={"learning_rate": 1e-3}))
    loop.run(LEARN, dev)
    folder = tmp_path / CROSS_ENCODER
    folder.mkdir()
    assert loop._model.export(folder) < 1e-3
    served = JointCrossEncoder(folder, variant=FP32)  # whichever serves on this machine
    for lesson, expected in zip(dev, loop.read(dev), strict=True):
        item = lesson.item
        texts = [(c.passage.title, c.passage.text) for c in item.candidates]
        fused = np.array([c.score for c in item.candidates], np.float32)
        got = served.score(item.labels.query, texts, fused)
        # The loop keeps the lower states in float16.
        np.testing.assert_allclose(got[lesson.head], expected, atol=0.02)
        alone = [served.score(item.labels.query, [text], fused[i : i + 1])[0] for i, text in enumerate(texts)]
        np.testing.assert_allclose(got, alone, atol=1e-4)
    assert served.score("q", [], np.zeros(0, np.float32)).shape == (0,)
