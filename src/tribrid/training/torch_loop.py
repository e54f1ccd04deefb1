"""The cross-encoder's training loop: read it from top to bottom.

Each step takes `batch_size` queries, each with one positive and a few negatives, and lowers a weighted listwise
softmax loss. Lower layers never change, so their states of every passage are made once. After each evaluation the
best weights on dev are kept; a checkpoint holds all that is needed to go on as if nothing had happened.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from tribrid.config import TrainingConfig
from tribrid.errors import Cancelled, TrainingFailed
from tribrid.scoring.pairs import PairEncoder
from tribrid.training.lists import BAD, TrainingList, ndcg
from tribrid.training.torch_joint import Joint, Lower, export_lower, load_weights, save_weights
from tribrid.types import Emit

BATCH_TOKENS = 4096
BEST, CHECKPOINT = "best.safetensors", "checkpoint.pt"
LEAST_SPREAD = 1e-4
"""Standard deviation of a list's scores below which the model says the same of everything."""


@dataclass
class Progress:
    """Where training stands; everything a checkpoint must bring back besides weights and optimiser."""

    step: int = 0
    best_ndcg: float = -1.0
    best_step: int = 0


class Loop:
    """One training of one cross-encoder in `folder`, which also holds its checkpoint."""

    def __init__(
        self,
        parts: tuple[Lower, Joint],
        pairs: PairEncoder,
        config: TrainingConfig,
        folder: Path,
        emit: Emit,
        cancelled: Callable[[], bool],
    ) -> None:
        self._lower, joint = parts
        self._pairs, self._config, self._folder = pairs, config, folder
        self._emit, self._cancelled = emit, cancelled
        self._accelerator = Accelerator()
        groups: list[dict[str, Any]] = [
            {"params": [*joint.layers.parameters(), *joint.head.parameters()]},
            # The mix of scores lives on another scale than the weights.
            {"params": [joint.mix], "lr": config.learning_rate * 100, "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, weight_decay=config.weight_decay)
        self.joint: Any
        self.joint, self._optimizer = self._accelerator.prepare(joint, optimizer)
        self._rates = [group["lr"] for group in self._optimizer.param_groups]
        self._states: dict[tuple[str, int], Tensor] = {}

    def run(self, train: Sequence[TrainingList], dev: Sequence[TrainingList]) -> Progress:
        """Train to the end, from the checkpoint if there is one; the best weights are in `joint` afterwards.

        Raises:
            Cancelled: as soon as `cancelled()` is true, between steps.
            TrainingFailed: the loss is not finite, or all scores have become the same.
        """
        progress = self._resume()
        per_epoch = max(1, math.ceil(len(train) / self._config.batch_size))
        total = per_epoch * self._config.epochs
        evaluate_every = max(1, per_epoch // self._config.evaluations_per_epoch)
        self._emit("log", {"message": f"{total} steps; reading the passages once through the lower layers"})
        self._precompute([*train, *dev])
        if progress.step == 0:
            self._evaluate(dev, progress, total)
        started, first = time.monotonic(), progress.step
        while progress.step < total:
            if self._cancelled():
                raise Cancelled("The training was cancelled.")
            epoch, within = divmod(progress.step, per_epoch)
            order = list(range(len(train)))
            random.Random(f"{self._config.seed}:{epoch}").shuffle(order)
            size = self._config.batch_size
            batch = [train[i] for i in order[within * size : (within + 1) * size]]
            loss = self._step(batch, progress.step, total)
            progress.step += 1
            rate = (progress.step - first) / (time.monotonic() - started)
            left_s = round((total - progress.step) / rate, 1)
            self._emit("metrics", {"step": progress.step, "epoch": progress.step / per_epoch, "loss": round(loss, 5)})
            self._emit("progress", {"stage": "cross_encoder", "done": progress.step, "total": total, "eta_s": left_s})
            if progress.step % evaluate_every == 0 or progress.step == total:
                self._evaluate(dev, progress, total)
            elif progress.step % self._config.checkpoint_every_steps == 0:
                self._checkpoint(progress)
        load_weights(self._accelerator.unwrap_model(self.joint), self._folder / BEST)
        return progress

    def scores(self, item: TrainingList, depth: int) -> np.ndarray[Any, Any]:
        """float64 (min(depth, n),): the cross-encoder's scores of the list's first `depth` candidates."""
        self.joint.eval()
        with torch.inference_mode():
            found: np.ndarray[Any, Any] = self._score(item, list(range(min(depth, len(item.candidates))))).cpu().numpy()
        return found.astype(np.float64)

    def _step(self, batch: Sequence[TrainingList], step: int, total: int) -> float:
        """One optimiser step over a batch of lists; gradients are summed list by list, so memory stays small."""
        self.joint.train()
        # Of each step anew: dropout after a resumption is what it would have been without the interruption.
        torch.manual_seed(self._config.seed + step)
        warm = max(1, round(self._config.warmup_ratio * total))
        factor = min((step + 1) / warm, max(0.0, (total - step) / max(1, total - warm)))
        for group, rate in zip(self._optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * factor
        self._optimizer.zero_grad()
        losses = 0.0
        weight = sum(float(item.weights.max()) for item in batch)
        for item in batch:
            chosen = self._draw(item, step)
            if len(chosen) < 2:
                continue
            log_p = torch.log_softmax(self._score(item, chosen), dim=0)
            loss = -log_p[0] * float(item.weights.max()) / weight
            self._accelerator.backward(loss)
            losses += float(loss.detach())
        if not math.isfinite(losses):
            raise TrainingFailed("The loss is not finite: lower training.learning_rate.", step=step)
        self._accelerator.clip_grad_norm_(self.joint.parameters(), self._config.max_grad_norm)
        self._optimizer.step()
        return losses

    def _draw(self, item: TrainingList, step: int) -> list[int]:
        """Positions of one positive, then negatives worse than it; half of them the best-ranked, half any.

        Negatives come from the head of the list, which is all that the cross-encoder will ever reorder.
        """
        rng = random.Random(f"{self._config.seed}:{step}:{item.labels.query_id}")
        grades = item.grades
        positive = rng.choice(np.flatnonzero(grades == grades.max()).tolist())
        head_known = np.flatnonzero(grades[: self._config.cross_encoder_depth] >= 0).tolist()
        worse = [i for i in head_known if grades[i] < grades[positive]]
        head = worse[: self._config.negatives_per_list // 2]
        rest = [i for i in worse if i not in head]
        return [positive, *head, *rng.sample(rest, min(len(rest), self._config.negatives_per_list - len(head)))]

    def _score(self, item: TrainingList, positions: list[int]) -> Tensor:
        device = self._accelerator.device
        query = self._states[_query_key(item)].to(device)
        states = [self._states[item.candidates[i].passage.key] for i in positions]
        lengths = [len(s) for s in states]
        passage = torch.nn.utils.rnn.pad_sequence(states, batch_first=True).float().to(device)
        mask = (torch.arange(max(lengths))[None] < torch.tensor(lengths)[:, None]).long().to(passage.device)
        n = len(positions)
        fused = torch.tensor([item.candidates[i].score for i in positions], dtype=torch.float32, device=passage.device)
        many = query.float()[None].expand(n, -1, -1)
        read = torch.ones(many.shape[:2], dtype=torch.int64, device=passage.device)
        found: Tensor = self.joint(many, read, passage, mask, fused)
        return found

    def _precompute(self, lists: Sequence[TrainingList]) -> None:
        """Lower states of every query and passage, float16, in length-sorted batches."""
        texts = {c.passage.key: (c.passage.title, c.passage.text) for item in lists for c in self._used(item)}
        keys: list[tuple[str, int]] = list(texts)
        ids = self._pairs.passages([texts[key] for key in keys])
        for item in lists:
            keys.append(_query_key(item))
            ids.append(self._pairs.query(item.labels.query))
        order = sorted(range(len(keys)), key=lambda i: -len(ids[i]))
        # They never change, so the export that will be served makes them: faster than torch on a processor, and
        # what is trained on is what will be served.
        session = export_lower(self._lower, self._folder)
        done, started = 0, time.monotonic()
        while done < len(order):
            if self._cancelled():
                raise Cancelled("The training was cancelled.")
            batch = order[done : done + max(1, BATCH_TOKENS // len(ids[order[done]]))]
            rows = torch.nn.utils.rnn.pad_sequence([torch.tensor(ids[i]) for i in batch], batch_first=True)
            mask = (torch.arange(rows.shape[1])[None] < torch.tensor([len(ids[i]) for i in batch])[:, None]).long()
            found = session.run(None, {"input_ids": rows.numpy(), "attention_mask": mask.numpy()})[0]
            states = torch.from_numpy(found).half()
            for row, i in enumerate(batch):
                # clone: a view would keep the whole padded batch alive
                self._states[keys[i]] = states[row, : len(ids[i])].clone()
            done += len(batch)
            left_s = round((time.monotonic() - started) / done * (len(order) - done), 1)
            self._emit("progress", {"stage": "passages", "done": done, "total": len(order), "eta_s": left_s})

    def _used(self, item: TrainingList) -> list[Any]:
        """Candidates whose states are needed: the head of the list, and what is known to be good below it."""
        head = self._config.cross_encoder_depth
        grades = item.grades
        return [c for i, c in enumerate(item.candidates) if i < head or grades[i] > BAD]

    def _evaluate(self, dev: Sequence[TrainingList], progress: Progress, total: int) -> None:
        """Dev nDCG@10 of the cross-encoder alone on the head of each list; keep the weights if it is the best."""
        depth = self._config.cross_encoder_depth
        found, spreads = [], []
        for item in dev:
            scores = np.full(len(item.candidates), -np.inf)
            scores[:depth] = self.scores(item, depth)
            # Below the reordered head, the first stage's order stays.
            below = np.arange(depth, len(scores))
            scores[below] = -1e6 - below
            found.append(ndcg(scores, item))
            spreads.append(float(scores[:depth].std()) if len(scores) > 1 else 1.0)
        mean, spread = float(np.mean(found)), float(np.mean(spreads))
        self._emit("metrics", {"step": progress.step, "total": total, "dev_ndcg@10": mean, "dev_spread": spread})
        if spread < LEAST_SPREAD:
            raise TrainingFailed(
                "The cross-encoder gives every passage the same score: lower training.learning_rate.", spread=spread
            )
        if mean > progress.best_ndcg:
            progress.best_ndcg, progress.best_step = mean, progress.step
            save_weights(self._accelerator.unwrap_model(self.joint), self._folder / BEST)
        self._checkpoint(progress)

    def _checkpoint(self, progress: Progress) -> None:
        """Write the checkpoint beside the last one and put it in its place, so that there is always a whole one."""
        staged = self._folder / f"{CHECKPOINT}.new"
        joint = self._accelerator.unwrap_model(self.joint)
        torch.save(
            {
                "joint": joint.state_dict(),
                "optimizer": self._optimizer.state_dict(),
                "progress": vars(progress),
                "config": self._config.model_dump(mode="json"),
            },
            staged,
        )
        staged.replace(self._folder / CHECKPOINT)
        self._emit("log", {"message": "checkpoint", "step": progress.step})

    def _resume(self) -> Progress:
        path = self._folder / CHECKPOINT
        if not path.is_file():
            return Progress()
        try:
            saved = torch.load(path, weights_only=True)
            if saved["config"] != self._config.model_dump(mode="json") or not (self._folder / BEST).is_file():
                raise ValueError("it is of another training")
            self._accelerator.unwrap_model(self.joint).load_state_dict(saved["joint"])
            self._optimizer.load_state_dict(saved["optimizer"])
        except (OSError, ValueError, LookupError, EOFError, RuntimeError, UnpicklingError) as error:
            # Torn by a loss of power, or settings changed while it waited: from the start is slower, and right.
            self._emit("log", {"level": "warning", "message": f"the checkpoint is not used: {str(error)[:300]}"})
            return Progress()
        progress = Progress(**saved["progress"])
        self._emit("log", {"message": "resumed from a checkpoint", "step": progress.step})
        return progress


def _query_key(item: TrainingList) -> tuple[str, int]:
    """Where a query's states are kept: no passage has a negative ordinal."""
    return (item.labels.query_id, -1)
