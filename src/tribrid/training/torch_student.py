"""A plain Hugging Face cross-encoder that learns the order of another ranking, whose scores are its only labels.

The loop is that of every cross-encoder here. A step sees the teacher's best candidates of a query and some others, and
lowers the cross-entropy of the student's softmax over them to the teacher's.

References: Cao et al., Learning to rank: from pairwise approach to listwise approach, ICML 2007 (the loss, ListNet).
Hofstätter et al., Improving efficient neural ranking models with cross-architecture knowledge distillation, 2020.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from tribrid.config.sections import TrainingConfig
from tribrid.encoders.pairs import PairLimits
from tribrid.scoring.learned import Reading, Scores
from tribrid.training.lessons import Lesson, Pair
from tribrid.training.lists import BAD, BETWEEN, GOOD, Labels, TrainingList
from tribrid.training.memory import passes_mib, require_memory
from tribrid.training.resources import Run, free_mib
from tribrid.training.start import Base
from tribrid.training.torch_hub import HubModel
from tribrid.training.torch_loop import Loop
from tribrid.training.torch_pairs import score

EPOCHS = 4
"""Passes over the queries, if there is time: each draws other candidates."""
OTHERS = 8
"""Candidates a step sees beside a query's best: half of them the next best, half any."""
FIRST_PAGE = 10
DEV_DEPTH = 20
"""Of the teacher's best, those that the student orders where its weights are compared."""
TRIED_PAIRS = 16
OF_THE_TIME = 0.8
"""What steps may take of the time that is left; measuring on dev has the rest."""


@dataclass(frozen=True, slots=True)
class Taught:
    """How a training went: the lists that it took, after how many steps it was best, and what the student reads."""

    lists: int
    steps: int
    max_tokens: int


def lesson_of(query_id: str, cluster: str, reading: Reading, teacher: Scores) -> Lesson:
    """A query's candidates with the teacher's scores, by which the best is good, and the first page better than others.
    All of them are in its head.
    """
    order = np.argsort(-teacher, kind="stable")
    grades = {reading.candidates[at].doc_id: _grade(rank) for rank, at in enumerate(order.tolist())}
    labels = Labels(query_id, reading.query, grades, dict.fromkeys(grades, 1.0))
    item = TrainingList(labels, cluster, reading.candidates, reading.tokens, {})
    return Lesson(item, teacher, order)


def _grade(rank: int) -> int:
    return GOOD if rank == 0 else BETWEEN if rank < FIRST_PAGE else BAD


def student_config(config: TrainingConfig, base: Base) -> TrainingConfig:
    """The settings of `training` as a student is trained with them."""
    taught = {
        "distillation": 1.0,
        "patience": 0,
        "negatives_per_list": OTHERS,
        "evaluations_per_epoch": 2,
        # It is begun anew where it is interrupted, so nothing is written between measurements.
        "checkpoint_every_steps": 10_000,
        "base_model": base.model,
        # A head that is new has nothing to say before what is below it has learned, too.
        "trained_layers": "all" if base.role == "encoder" else config.trained_layers,
    }
    return config.model_copy(update=taught)


def train_student(
    base: Base, learn: Sequence[Lesson], dev: Sequence[Lesson], config: TrainingConfig, run: Run, target: Path
) -> Taught:
    """Train on `learn`, the most telling first, keep what ranks `dev` best, and write it to the empty folder `target`.

    Raises:
        ModelUnavailable: transformers cannot load the base.
        Unavailable: it takes more memory than is free.
        TrainingFailed: it diverged or collapsed.
    """
    config = student_config(config, base)
    require_memory(base.folder, "cross-encoder", config, free_mib())
    memory_mib, _ = passes_mib(base.folder, "cross-encoder", config, free_mib(), 0)
    start = base.folder if base.role == "cross-encoder" else _with_head(base.folder, run.folder / "start", config.seed)
    model = HubModel(start, base.limits, run.folder, config.trained_layers == "upper", base.model)
    lists, epochs = _affordable(model, learn, run)
    run.emit("log", {"message": f"{lists:,} of {len(learn):,} queries, {epochs} times"})
    loop = Loop(model, config.model_copy(update={"epochs": epochs}), run, memory_mib // 2)
    progress = loop.run(learn[:lists], [replace(one, head=one.head[:DEV_DEPTH]) for one in dev])
    model.save(target)
    return Taught(lists, progress.best_step, model.max_tokens)


def _with_head(encoder: Path, folder: Path, seed: int) -> Path:
    """A sentence encoder as a cross-encoder whose head knows nothing yet."""
    torch.manual_seed(seed)
    model = AutoModelForSequenceClassification.from_pretrained(
        encoder, num_labels=1, dtype=torch.float32, use_safetensors=True, trust_remote_code=False
    )
    head = model.classifier.weight
    torch.nn.init.normal_(head, std=head.shape[1] ** -0.5)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(encoder, trust_remote_code=False).save_pretrained(folder)
    return folder


def _affordable(model: HubModel, learn: Sequence[Lesson], run: Run) -> tuple[int, int]:
    """How many lists there is time for, and how often: the rate falls to nothing at the end that was planned, so a
    training that is cut short in its middle has learned less than a shorter one.
    """
    some = learn[: max(1, TRIED_PAIRS // (1 + OTHERS))]
    pairs = [Pair(lesson, at) for lesson in some for at in lesson.head[: 1 + OTHERS].tolist()]
    started = time.monotonic()
    score(model, model.module.train(), pairs, lambda: None).sum().backward()  # type: ignore[no-untyped-call]
    list_s = (time.monotonic() - started) / len(some)
    model.module.zero_grad()
    possible = OF_THE_TIME * max(0.0, run.pace.left_budget_s) / list_s
    return min(len(learn), max(1, int(possible))), max(1, int(min(EPOCHS, possible / len(learn))))


def read_student(
    folder: Path, limits: PairLimits, work: Path, lessons: Sequence[Lesson], tell: Callable[[int, int], None]
) -> list[Scores]:
    """float64 (n,) for each lesson: the scores of its candidates, in their order, by the model that was written.

    Args:
        tell: gets lessons read and all, after each.
    """
    model = HubModel(folder, limits, work, upper_only=False, model_id=folder.name)
    module = model.module.eval()
    found: list[Scores] = []
    with torch.inference_mode():
        for number, lesson in enumerate(lessons, 1):
            pairs = [Pair(lesson, at) for at in range(len(lesson.item.candidates))]
            found.append(score(model, module, pairs, lambda: None).numpy().astype(np.float64))
            tell(number, len(lessons))
    return found
