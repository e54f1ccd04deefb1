"""A model's order taught to a plain cross-encoder: it ranks as its teacher does, and needs nothing of Tribrid."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import learnable
import tiny
from synthetic import query_tokens
from tribrid.app import Tribrid
from tribrid.app.parts import quiet
from tribrid.encoders.pairs import PairLimits
from tribrid.errors import InvalidInput, NoEvalDataset, NotProven
from tribrid.loop import mine, train
from tribrid.loop.params import MineParams
from tribrid.scoring.learned import Reading
from tribrid.training.torch_student import lesson_of, read_student
from tribrid.types import Candidate, Document, JudgedQuery, Passage
from tribrid.workspace.corpus import open_corpus

pytestmark = pytest.mark.timeout(240)
TRAINING = {
    "cross_encoder": False,
    "folds": 2,
    "learning_rate": 2e-3,
    "batch_size": 4,
    "query_tokens": 16,
    "passage_tokens": 32,
    "precision": "float32",
}
DOCUMENTS, GUIDES = 60, 12
PAIRS = [("guide bade", f"{title}\n{text}") for title in ("guide", "memo") for text in ("bade fi guide", "go ku " * 40)]
ALONE = """
import json, sys
sys.modules["tribrid"] = None
import torch
from sentence_transformers import CrossEncoder
from transformers import AutoModelForSequenceClassification, AutoTokenizer

folder, pairs = sys.argv[1], json.loads(sys.argv[2])
theirs = CrossEncoder(folder, device="cpu", local_files_only=True).predict([tuple(pair) for pair in pairs])
model = AutoModelForSequenceClassification.from_pretrained(folder, local_files_only=True).eval()
tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
read = tokenizer([a for a, _ in pairs], [b for _, b in pairs], padding=True, truncation=True, return_tensors="pt")
with torch.inference_mode():
    plain = model(**read).logits[:, 0]
print(json.dumps([theirs.tolist(), plain.tolist()]))
"""


def documents() -> list[Document]:
    """All speak of guides as often, and only some are called so: the first stage sees no difference."""
    rng, found = random.Random(3), []
    for number in range(DOCUMENTS):
        words = rng.sample(learnable.WORDS[:40], 12)
        guide = number % (DOCUMENTS // GUIDES) == 0
        text = " ".join([*words[:6], *([] if guide else ["guide"]), *words[6:]])
        found.append(Document(f"d{number:02}", text, "guide" if guide else "memo"))
    return found


def queries(prefix: str, count: int, seed: int) -> list[JudgedQuery]:
    rng = random.Random(seed)
    good = {document.doc_id: 1 for document in documents() if document.title == "guide"}
    words = (rng.sample(learnable.WORDS[:40], 2) for _ in range(count))
    return [JudgedQuery(f"{prefix}{i}", f"guide {' '.join(two)}", good) for i, two in enumerate(words)]


def hard_queries() -> list[JudgedQuery]:
    """Each quotes one memo, which the first stage finds at once."""
    quoted = [document for document in documents() if document.title == "memo"][:20]
    return [JudgedQuery(f"hard{i}", " ".join(d.text.split()[:5]), {d.doc_id: 1}) for i, d in enumerate(quoted)]


@pytest.fixture(scope="module")
def tribrid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tribrid]:
    """A corpus whose model learned to look at titles; trained in this process."""
    with Tribrid(tmp_path_factory.mktemp("data")) as opened:
        opened.patch_settings({"training": TRAINING, "evaluation": {"resamples": 500}})
        corpus = opened.create_corpus("c")
        corpus.documents.add(documents())
        corpus.judgments.put(queries("train", 80, 2))
        mine.mine(open_corpus(opened.folder, "c"), MineParams.model_validate({"sources": ["judgments"]}), quiet)
        train.train(open_corpus(opened.folder, "c"), "first", {}, quiet, lambda: False)
        yield opened


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    """As it is initialised it says nearly the same of everything, which no encoder does that was trained."""
    folder = tiny.build_encoder(tmp_path_factory.mktemp("base") / "tiny", [d.text + " guide memo" for d in documents()])
    weights = load_file(folder / "model.safetensors")
    loud = {name: array * (8 if array.ndim == 2 else 1) for name, array in weights.items()}
    save_file(loud, folder / "model.safetensors", metadata={"format": "pt"})
    return str(folder)


def scores_alone(folder: Path, pairs: list[tuple[str, str]]) -> list[float]:
    """By sentence-transformers, which says the same as transformers alone, where nobody can import tribrid."""
    command = [sys.executable, "-c", ALONE, str(folder), json.dumps(pairs)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    theirs, plain = json.loads(done.stdout.splitlines()[-1])
    assert theirs == pytest.approx(plain, abs=1e-4)
    return [float(score) for score in theirs]


def scores_here(folder: Path) -> list[float]:
    """By what measured it."""
    passages = [tuple(text.split("\n", 1)) for _, text in PAIRS]
    named = [Passage(f"p{at}", 0, 0, len(text), title, text) for at, (title, text) in enumerate(passages)]
    found = [Candidate(passage, rank, 0.0, {}) for rank, passage in enumerate(named, 1)]
    reading = Reading(PAIRS[0][0], query_tokens(np.random.default_rng(0), 3), found, [])
    lesson = lesson_of("q", "q", reading, np.zeros(len(found)))
    work = folder.with_name("work")
    work.mkdir()
    (scores,) = read_student(folder, PairLimits(16, 32, 2000), work, [lesson], lambda *_: None)
    return [float(score) for score in scores]


def model_of(tribrid: Tribrid) -> str:
    return str(tribrid.corpus("c").models().challenger)


def test_it_is_not_made_where_it_cannot_be_measured(tribrid: Tribrid, base: str, tmp_path: Path) -> None:
    with pytest.raises(NoEvalDataset):
        tribrid.models.export(model_of(tribrid), tmp_path / "out", as_="cross-encoder", base_model=base)
    with pytest.raises(InvalidInput, match="minutes"):
        tribrid.models.export(model_of(tribrid), tmp_path / "out", as_="cross-encoder", minutes=0)
    assert not list(tmp_path.iterdir())


def test_it_learns_its_teacher_s_order_and_needs_no_tribrid(tribrid: Tribrid, base: str, tmp_path: Path) -> None:
    tribrid.corpus("c").eval_dataset.put(queries("eval", 20, 3))
    done = tribrid.models.export(model_of(tribrid), tmp_path / "out", as_="cross-encoder", base_model=base)
    student = done.student
    assert student is not None
    assert set(done.files) == {
        "README.md",
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    worth = student.measured.ndcg_at_10
    assert worth["student"] > worth["first_stage"]
    assert student.measured.over_first_stage.mean == pytest.approx(worth["student"] - worth["first_stage"])
    assert student.agrees.kendall_tau > student.first_stage_agrees.kendall_tau
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["architectures"] == ["BertForSequenceClassification"]
    assert len(config["id2label"]) == 1
    assert scores_alone(tmp_path / "out", PAIRS) == pytest.approx(scores_here(tmp_path / "out"), abs=1e-4)
    card = (tmp_path / "out" / "README.md").read_text("utf-8")
    for told in (f"{worth['student']:.4f}", f"{student.agrees.kendall_tau:.3f}", "CrossEncoder(", "judgments: "):
        assert told in card


def test_one_that_ranks_worse_than_no_reranker_is_not_written(tribrid: Tribrid, base: str, tmp_path: Path) -> None:
    """It has learned to look at titles, and is asked for words."""
    tribrid.corpus("c").eval_dataset.put(hard_queries())
    with pytest.raises(NotProven, match="worse than the first stage") as refused:
        tribrid.models.export(model_of(tribrid), tmp_path / "out", as_="cross-encoder", base_model=base)
    worth = refused.value.facts["ndcg_at_10"]
    assert worth["student"] < worth["first_stage"]
    assert f"{worth['student']:.4f} against {worth['first_stage']:.4f}" in refused.value.detail
    assert not list(tmp_path.iterdir())
    assert not list(tribrid.environment.data_dir.glob("student-*"))
