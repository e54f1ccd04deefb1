"""The cross-encoder's training loop: read it from top to bottom.

Each step takes `batch_size` queries, each with one positive and a few negatives, and lowers a weighted listwise
softmax loss. After each evaluation the best weights on dev are kept; a checkpoint holds all that is needed to go on
as if nothing had happened. It ends early when dev stops gaining, when its time is spent, and when it falls ill.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from tribrid.config.sections import TrainingConfig
from tribrid.errors import Cancelled, TrainingFailed
from tribrid.scoring.learned import Scores
from tribrid.training.health import ill_loss, ill_scores
from tribrid.training.lessons import Lesson, Pair, Vitals, vitals
from tribrid.training.resources import MIB, Run
from tribrid.training.torch_pairs import (
    CPU_GROUP_TOKENS,
    PairModel,
    computes_in_bfloat16,
    groups_of,
    kept_bytes,
    load_weights,
    save_weights,
    score,
)

BEST, CHECKPOINT = "best-{}.safetensors", "checkpoint.pt"
PROBE_LISTS = 4
"""Lists whose forward and backward pass tell, before the first step, what time and memory a step takes."""
WORK_FACTOR = 2.0
"""Memory a pass needs, over what it keeps for its backward pass: gradients and workspace."""
FINISHED, NO_GAIN, OUT_OF_TIME = "finished", "no gain on dev", "time budget spent"


class _OutOfTime(Exception):
    """Ends the loop; no error."""


@dataclass
class Progress:
    """Where training stands; everything a checkpoint must bring back besides weights, optimiser and clock."""

    step: int = 0
    best_served: float = -1.0
    best_ndcg: float = -1.0
    best_step: int = -1
    stale: int = 0
    measured: int = -1
    """The step after which it was measured last."""
    ended: str = ""
    start: dict[str, float] | None = None


def _due(progress: Progress, total: int, every: int) -> bool:
    """Whether it is to be measured after this step."""
    return progress.step % every == 0 or progress.step == total


class Loop:
    """One training of one cross-encoder in the run's folder, which also holds its checkpoint."""

    def __init__(self, model: PairModel, config: TrainingConfig, run: Run, memory_mib: int) -> None:
        self._model, self._config, self._memory_mib = model, config, memory_mib
        self._folder, self._emit, self._cancelled, self._pace = run.folder, run.emit, run.cancelled, run.pace
        self._accelerator = Accelerator()
        groups = [dict(group) for group in model.groups(config.learning_rate)]
        optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, weight_decay=config.weight_decay)
        self.module: Any
        self.module, self._optimizer = self._accelerator.prepare(model.module, optimizer)
        self._rates = [group["lr"] for group in self._optimizer.param_groups]
        self._device = self._accelerator.device
        asked = config.precision
        self._half = computes_in_bfloat16(self._device) if asked == "auto" else asked == "bfloat16"
        self._micro_tokens = 1
        self._smaller = run.kills
        self._between_steps = True
        self._best_read: list[Scores] | None = None

    def run(self, train: Sequence[Lesson], dev: Sequence[Lesson]) -> Progress:
        """Train to an end, from the checkpoint if there is one; the best weights are in `module` afterwards.

        Raises:
            Cancelled: as soon as `cancelled()` is true, between batches.
            TrainingFailed: it diverged or collapsed; says what was seen and what to change.
        """
        progress = self._resume()
        try:
            self._train(train, dev, progress)
        except _OutOfTime:
            progress.ended = OUT_OF_TIME
        except Cancelled:
            # The worker stops as well as the user: then the next one goes on from this step.
            if self._between_steps and progress.start is not None:
                self._checkpoint(progress)
            raise
        if progress.best_step >= 0:
            load_weights(self._accelerator.unwrap_model(self.module), self._best(progress))
        return progress

    def _best(self, progress: Progress) -> Path:
        """The best weights so far. A checkpoint names its own: those measured after it are others."""
        return self._folder / BEST.format(progress.best_step)

    def read(self, lessons: Sequence[Lesson]) -> list[Scores]:
        """float64 (k,) for each lesson: the cross-encoder's scores of its head, in its order."""
        return self._read(lessons, self._stop_if_cancelled)

    def _read(self, lessons: Sequence[Lesson], tick: Callable[[], None]) -> list[Scores]:
        pairs = [Pair(lesson, at) for lesson in lessons for at in lesson.head.tolist()]
        self.module.eval()
        with torch.inference_mode():
            found = score(self._model, self.module, pairs, tick).cpu().numpy().astype(np.float64)
        return np.split(found, np.cumsum([len(lesson.head) for lesson in lessons])[:-1])

    def best_read(self, dev: Sequence[Lesson]) -> list[Scores]:
        """`read(dev)` with the best weights, without reading again where they were measured in this process."""
        return self.read(dev) if self._best_read is None else self._best_read

    def _train(self, train: Sequence[Lesson], dev: Sequence[Lesson], progress: Progress) -> None:
        per_epoch = max(1, math.ceil(len(train) / self._config.batch_size))
        total = per_epoch * self._config.epochs
        every = max(1, per_epoch // self._config.evaluations_per_epoch)
        if progress.ended:
            return
        self._begin(train, dev, progress, total, every)
        while progress.step < total and not progress.ended:
            late = self._next_step(train, progress, total, per_epoch)
            if late or _due(progress, total, every):
                self._measure(dev, progress, total, late)
            elif progress.step % self._config.checkpoint_every_steps == 0:
                self._checkpoint(progress)
            self._tell(progress, total, every)

    def _begin(
        self, train: Sequence[Lesson], dev: Sequence[Lesson], progress: Progress, total: int, every: int
    ) -> None:
        """What comes before the first step of this process."""
        if progress.start is None:
            self._evaluate(dev, progress)
            self._checkpoint(progress)
        self._probe([train[i] for i in self._batch(len(train), 0)])
        if progress.step > progress.measured and _due(progress, total, every):
            self._measure(dev, progress, total)  # it was interrupted in that
        self._tell(progress, total, every)

    def _next_step(self, train: Sequence[Lesson], progress: Progress, total: int, per_epoch: int) -> bool:
        """One step; whether there is no time for another."""
        self._tick()
        started = self._pace.spent_s
        batch = [train[i] for i in self._batch(len(train), progress.step)]
        loss, gradient = self._step(batch, progress, total)
        self._pace.took_step(self._pace.spent_s - started)
        told = {
            "step": progress.step,
            "epoch": progress.step / per_epoch,
            "loss": round(loss, 5),
            "gradient_norm": float(f"{gradient:.4g}"),
        }
        self._emit("metrics", told)
        # Time for one more step, and for the evaluation without which the steps since the last are lost.
        return not self._pace.allows(self._pace.left_s(1, 1))

    def _measure(self, dev: Sequence[Lesson], progress: Progress, total: int, late: bool = False) -> None:
        self._evaluate(dev, progress)
        progress.ended = self._end(progress, total, late)
        self._checkpoint(progress)

    def _end(self, progress: Progress, total: int, late: bool) -> str:
        """Why it ends after this evaluation; empty if it does not."""
        if progress.step == total:
            return FINISHED
        if self._config.patience and progress.stale >= self._config.patience:
            return NO_GAIN
        return OUT_OF_TIME if late else ""

    def _batch(self, lists: int, step: int) -> list[int]:
        """Which lists a step takes: each once an epoch, in an order that depends on the seed and the epoch alone."""
        size = self._config.batch_size
        epoch, within = divmod(step, max(1, math.ceil(lists / size)))
        order = list(range(lists))
        random.Random(f"{self._config.seed}:{epoch}").shuffle(order)
        return order[within * size : (within + 1) * size]

    def _step(self, batch: Sequence[Lesson], progress: Progress, total: int) -> tuple[float, float]:
        """One optimiser step over a batch of lists: its loss and its gradient's norm."""
        step = progress.step
        # Of each step anew: dropout after a resumption is what it would have been without the interruption.
        torch.manual_seed(self._config.seed + step)
        warm = max(1, round(self._config.warmup_ratio * total))
        factor = min((step + 1) / warm, max(0.0, (total - step) / max(1, total - warm)))
        for group, rate in zip(self._optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * factor
        loss = self._gradients(batch, step)
        gradient = float(self._accelerator.clip_grad_norm_(self.module.parameters(), self._config.max_grad_norm) or 0)
        ill = ill_loss(loss, gradient, 1 + self._config.negatives_per_list, step + 1, self._config.learning_rate)
        if ill:
            raise TrainingFailed(ill, step=step + 1, loss=loss if math.isfinite(loss) else None)
        self._between_steps = False
        self._optimizer.step()
        progress.step += 1
        self._between_steps = True
        return loss, gradient

    def _gradients(self, batch: Sequence[Lesson], step: int) -> float:
        """Leave the batch's gradients in the module, added up over groups of lists that fit into memory."""
        self.module.train()
        self._optimizer.zero_grad()
        weight = sum(lesson.weight for lesson in batch)
        lists = [(lesson, drawn) for lesson in batch if len(drawn := self._draw(lesson, step)) > 1]
        lengths = [sum(self._model.tokens(Pair(lesson, at)) for at in drawn) for lesson, drawn in lists]
        losses = 0.0
        for group in groups_of(lengths, self._micro_tokens):
            taken = [lists[i] for i in group]
            pairs = [Pair(lesson, at) for lesson, drawn in taken for at in drawn]
            spare = sum(lengths[i] for i in group) > self._micro_tokens
            with torch.autocast(self._device.type, torch.bfloat16, enabled=self._half):
                scores = score(self._model, self.module, pairs, self._tick, spare).float()
            parts = torch.split(scores, [len(drawn) for _, drawn in taken])
            loss = sum(
                (self._loss(lesson, drawn, part) for (lesson, drawn), part in zip(taken, parts, strict=True)),
                start=torch.zeros((), device=scores.device),
            )
            self._accelerator.backward(loss / weight)
            losses += float(loss.detach()) / weight
        return losses

    def _draw(self, lesson: Lesson, step: int) -> list[int]:
        return lesson.draw(self._config.negatives_per_list, f"{self._config.seed}:{step}")

    def _loss(self, lesson: Lesson, drawn: Sequence[int], scores: Tensor) -> Tensor:
        """Weighted cross-entropy of a list's softmax to its label, and to what the blend says of it."""
        log_p = torch.log_softmax(scores, dim=0)
        share = self._config.distillation
        loss = -(1 - share) * log_p[0]
        if share:
            taught = torch.from_numpy(lesson.taught_by_blend(drawn)).to(log_p)
            loss = loss - share * (taught * log_p).sum()
        return loss * lesson.weight

    def _probe(self, batch: Sequence[Lesson]) -> None:
        """Find out how many tokens a pass may hold in memory, and how long a step will take."""
        lists = [(lesson, drawn) for lesson in batch if len(drawn := self._draw(lesson, 0)) > 1]
        pairs = [Pair(lesson, at) for lesson, drawn in lists for at in drawn]
        self.module.train()
        if pairs:
            longest = sorted(pairs, key=self._model.tokens)[-2:]
            with torch.autocast(self._device.type, torch.bfloat16, enabled=self._half):
                kept = kept_bytes(self._model, self.module, longest)
            a_token = WORK_FACTOR * kept / sum(self._model.tokens(pair) for pair in longest)
            self._micro_tokens = max(1, int(self._memory_mib * MIB / max(a_token, 1)))
            if self._device.type == "cpu":
                self._micro_tokens = min(self._micro_tokens, CPU_GROUP_TOKENS >> self._smaller)
        started = self._pace.spent_s
        some = batch[:PROBE_LISTS]
        self._gradients(some, 0)
        self._optimizer.zero_grad()
        self._pace.took_step((self._pace.spent_s - started) * len(batch) / max(1, len(some)))
        precision = "bfloat16" if self._half else "float32"
        message = f"up to {self._micro_tokens:,} tokens at a time in {self._memory_mib:,} MiB, {precision}"
        told = {"micro_tokens": self._micro_tokens, "precision": precision, "step_s": round(self._pace.step_s, 3)}
        self._emit("log", {"message": message, **told})

    def _tell(self, progress: Progress, total: int, every: int) -> None:
        steps = 0 if progress.ended else total - progress.step
        left_s = self._pace.left_s(steps, math.ceil(steps / every))
        done = total if progress.ended else progress.step
        self._emit("progress", {"stage": "cross_encoder", "done": done, "total": total, "eta_s": round(left_s, 1)})

    def _stop_if_cancelled(self) -> None:
        if self._cancelled():
            raise Cancelled("The training was cancelled.")

    def _tick(self) -> None:
        """Between batches: whether to go on."""
        self._stop_if_cancelled()
        if not self._pace.allows(0):
            raise _OutOfTime

    def _evaluate(self, dev: Sequence[Lesson], progress: Progress) -> None:
        """Measure on the head of each dev list; keep the weights if more would be served by them, or the same by a
        cross-encoder that is better alone. Only the first is a gain worth going on for.
        """
        started = self._pace.spent_s
        read = self._read(dev, self._tick)
        now = vitals(dev, read)
        self._pace.evaluation_s = self._pace.spent_s - started
        self._emit(
            "metrics",
            {
                "step": progress.step,
                "dev_ndcg@10": now.ndcg,
                "dev_served_ndcg@10": now.served,
                "dev_spread": now.spread,
                "dev_margin": now.margin,
            },
        )
        progress.start = progress.start or asdict(now)
        ill = ill_scores(Vitals(**progress.start), now, progress.step, self._config.learning_rate)
        if ill:
            raise TrainingFailed(ill, step=progress.step, spread=now.spread, margin=now.margin)
        progress.stale = 0 if now.served > progress.best_served else progress.stale + 1
        if (now.served, now.ndcg) > (progress.best_served, progress.best_ndcg):
            progress.best_served, progress.best_ndcg, progress.best_step = now.served, now.ndcg, progress.step
            self._best_read = read
            save_weights(self._accelerator.unwrap_model(self.module), self._best(progress))
        progress.measured = progress.step

    def _checkpoint(self, progress: Progress) -> None:
        """Write the checkpoint beside the last one and put it in its place, so that there is always a whole one."""
        staged = self._folder / f"{CHECKPOINT}.new"
        torch.save(
            {
                "module": self._accelerator.unwrap_model(self.module).state_dict(),
                "optimizer": self._optimizer.state_dict(),
                "progress": vars(progress),
                "clock": {"spent_s": self._pace.spent_s, "evaluation_s": self._pace.evaluation_s},
                "config": self._config.model_dump(mode="json"),
            },
            staged,
        )
        staged.replace(self._folder / CHECKPOINT)
        for older in set(self._folder.glob(BEST.format("*"))) - {self._best(progress)}:
            older.unlink()
        self._emit("log", {"level": "debug", "message": "checkpoint", "step": progress.step})

    def _resume(self) -> Progress:
        path = self._folder / CHECKPOINT
        if not path.is_file():
            return Progress()
        try:
            saved = torch.load(path, weights_only=True)
            progress = Progress(**saved["progress"])
            if saved["config"] != self._config.model_dump(mode="json") or not self._best(progress).is_file():
                raise ValueError("it is of another training")
            self._accelerator.unwrap_model(self.module).load_state_dict(saved["module"])
            self._optimizer.load_state_dict(saved["optimizer"])
            self._pace.resume(**saved["clock"])
        except (OSError, ValueError, LookupError, TypeError, EOFError, RuntimeError, UnpicklingError) as error:
            # Torn by a loss of power, or settings changed while it waited: from the start is slower, and right.
            self._emit("log", {"level": "warning", "message": f"the checkpoint is not used: {str(error)[:300]}"})
            return Progress()
        self._emit("log", {"message": "resumed from a checkpoint", "step": progress.step})
        return progress
