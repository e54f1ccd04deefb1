"""One training from lists to artifact: blend, cross-encoder, and how much of the latter is served."""

from __future__ import annotations

import importlib.util
import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from tribrid.config import TrainingConfig
from tribrid.errors import NoTriplets
from tribrid.scoring.features import CorpusStatistics
from tribrid.scoring.learned import CROSS_ENCODER, Scores, reorder_head, write_artifact
from tribrid.scoring.models import require_torch
from tribrid.scoring.pairs import PairEncoder, PairLimits
from tribrid.training.blend import Choice, choose, feature_names, fit, fold_of, stack
from tribrid.training.lists import TrainingList, memory_of, ndcg
from tribrid.types import Emit
from tribrid.version import __version__

DEV_FOLD = 0
WEIGHTS = (0.1, 0.2, 0.35, 0.5, 0.75, 1.0)
"""How much of the cross-encoder may be mixed in; which, and whether, dev decides."""
_VERSIONS = ("torch", "transformers", "accelerate", "lightgbm", "onnxruntime", "numpy")


@dataclass(frozen=True, slots=True)
class TrainingInputs:
    """What a training is given.

    Attributes:
        lists: every query of the triplet set, with its served candidates.
        statistics: of the corpus, counted now.
        base: folder of the base model (safetensors, config, tokenizer).
        snippet_chars: of a passage's text, what the cross-encoder may read.
        facts: what the manifest says of where this came from (corpus, triplet set, hashes).
    """

    lists: Sequence[TrainingList]
    statistics: CorpusStatistics
    base: Path
    snippet_chars: int
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Trained:
    """The artifact's folder, not yet committed, and what was measured on the way (JSON-shaped)."""

    folder: Path
    manifest: Mapping[str, Any]


def train(
    inputs: TrainingInputs, config: TrainingConfig, folder: Path, emit: Emit, cancelled: Callable[[], bool]
) -> Trained:
    """Train in `folder`, which keeps the checkpoint; started again in the same folder it goes on from there.

    Raises:
        MissingExtra: a cross-encoder is wanted and torch is not installed.
        NoTriplets: no query has a candidate known to be better than another.
        Cancelled: `cancelled()` turned true.
        TrainingFailed: the cross-encoder diverged or collapsed.
    """
    started = time.monotonic()
    if config.cross_encoder:
        require_torch("Training a cross-encoder (training.cross_encoder)")
    lists = list(inputs.lists)
    teaching = sum(item.teaches for item in lists)
    if teaching == 0:
        raise NoTriplets(
            "No mined query has both a better and a worse document among its candidates, so there is nothing to "
            "learn an order from. Mine from more judgments or logs, or raise reranking.tribrid_reranker_topn.",
            queries=len(lists),
        )
    emit("log", {"message": "cross-validating the blend", "queries": len(lists), "teaching": teaching})
    choice = choose(
        lists, inputs.statistics, config, lambda done, all_: emit("progress", _progress("blend", done, all_))
    )
    emit("metrics", {"stage": "blend", "held_out_ndcg@10": dict(choice.scores), "form": choice.form})
    weight, cross_encoder = 0.0, {"trained": False}
    if config.cross_encoder:
        weight, cross_encoder = _cross_encoder(inputs, lists, choice, config, folder, emit, cancelled)
    artifact = _fresh(folder / "artifact")
    metrics = {
        "blend": {"form": choice.form, "memory": choice.use_memory, "held_out_ndcg@10": dict(choice.scores)},
        "cross_encoder": cross_encoder,
        "queries": len(lists),
        "teaching_queries": teaching,
        "pairs": sum(len(item.candidates) for item in lists),
        "took_s": round(time.monotonic() - started, 2),
    }
    manifest = {
        **inputs.facts,
        "config": config.model_dump(mode="json"),
        "versions": _versions(),
        "metrics": metrics,
    }
    _write(inputs, lists, choice, config, artifact, weight, manifest)
    if cross_encoder["trained"]:
        shutil.copytree(folder / CROSS_ENCODER, artifact / CROSS_ENCODER)
    return Trained(artifact, manifest)


def _versions() -> dict[str, str]:
    """Of what decides a model's numbers and is installed: a blend alone needs no torch."""
    found = {name: version(name) for name in _VERSIONS if importlib.util.find_spec(name) is not None}
    return {"tribrid": __version__, **found}


def _fresh(folder: Path) -> Path:
    """The folder, empty, whatever an interrupted attempt left in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _progress(stage: str, done: int, total: int) -> dict[str, Any]:
    return {"stage": stage, "done": done, "total": total}


def _write(
    inputs: TrainingInputs,
    lists: Sequence[TrainingList],
    choice: Choice,
    config: TrainingConfig,
    artifact: Path,
    weight: float,
    manifest: Mapping[str, Any],
) -> None:
    """Fit what was chosen on all lists, and the same without memory for the report's ablation."""
    memory = memory_of(lists)
    features = [item.described(inputs.statistics) | item.remembered(memory) for item in lists]
    kinds = {"blend": choice.use_memory, **({"blend_without_memory": False} if choice.use_memory else {})}
    blends = {}
    for name, use_memory in kinds.items():
        columns = feature_names(features[0], use_memory)
        blends[name] = fit(stack(lists, features, columns), columns, choice.form, config.seed)
    write_artifact(
        artifact,
        manifest=manifest,
        blends=blends,
        statistics=inputs.statistics,
        memory=memory,
        snippet_chars=inputs.snippet_chars,
        cross_encoder_weight=weight,
        cross_encoder_depth=config.cross_encoder_depth,
    )


def _cross_encoder(
    inputs: TrainingInputs,
    lists: Sequence[TrainingList],
    choice: Choice,
    config: TrainingConfig,
    folder: Path,
    emit: Emit,
    cancelled: Callable[[], bool],
) -> tuple[float, dict[str, Any]]:
    """Train it on four folds, choose its weight on the fifth; returns the weight and what was measured."""
    # Imported here: torch is the training extra's, and this module is imported without it.
    from tribrid.training.torch_joint import build, export, save_weights
    from tribrid.training.torch_loop import Loop

    folds = [fold_of(item.cluster, config.seed, config.folds) for item in lists]
    dev_at = [i for i, fold in enumerate(folds) if fold == DEV_FOLD and len(choice.held_out[i])][: config.dev_queries]
    dev = [lists[i] for i in dev_at]
    learn = [item for item, fold in zip(lists, folds, strict=True) if item.teaches and fold != DEV_FOLD]
    if not dev or not learn:
        return 0.0, {"trained": False, "reason": "too few query clusters to hold some out"}
    limits = PairLimits(config.query_tokens, config.passage_tokens, inputs.snippet_chars)
    pairs = PairEncoder(inputs.base, limits)
    lower, joint = build(inputs.base)
    work = folder / "work"
    work.mkdir(parents=True, exist_ok=True)
    loop = Loop((lower, joint), pairs, config, work, emit, cancelled)
    progress = loop.run(learn, dev)
    read = [loop.scores(lists[i], config.cross_encoder_depth) for i in dev_at]
    held_out = [choice.held_out[i] for i in dev_at]
    weight, table = choose_weight(dev, held_out, read)
    target = _fresh(folder / CROSS_ENCODER)
    difference = export(lower, joint, target, joint.head.in_features)
    save_weights(joint, target / "model.safetensors")
    shutil.copy(inputs.base / "tokenizer.json", target / "tokenizer.json")
    _write_config(target, limits)
    measured = {
        "trained": True,
        "steps": progress.step,
        "best_step": progress.best_step,
        "dev_ndcg@10": progress.best_ndcg,
        "dev_queries": len(dev),
        "weight": weight,
        "dev_ndcg@10_by_weight": table,
        "export_difference": difference,
    }
    emit("metrics", {"stage": "cross_encoder", **measured})
    return weight, measured


def _write_config(folder: Path, limits: PairLimits) -> None:
    (folder / "config.json").write_text(json.dumps({"limits": asdict(limits)}, indent=1), "utf-8")


def choose_weight(
    dev: Sequence[TrainingList], blend: Sequence[Scores], read: Sequence[Scores]
) -> tuple[float, dict[str, float]]:
    """The cross-encoder's weight: the best on dev if its gain exceeds its own standard error, else 0.

    Args:
        dev: held-out lists.
        blend: scores (n,) of each by a blend that never saw it.
        read: the cross-encoder's scores of the first candidates of each, in fused order.
    """
    without = np.array([ndcg(scores, item) for scores, item in zip(blend, dev, strict=True)])
    table = {"0": float(without.mean())}
    best, best_gain = 0.0, 0.0
    for weight in WEIGHTS:
        found = np.array([ndcg(_mixed(b, r, weight), item) for b, r, item in zip(blend, read, dev, strict=True)])
        table[str(weight)] = float(found.mean())
        gains = found - without
        error = float(gains.std(ddof=1) / np.sqrt(len(gains))) if len(gains) > 1 else np.inf
        if gains.mean() > max(error, best_gain):
            best, best_gain = weight, float(gains.mean())
    return best, table


def _mixed(blend: Scores, read: Scores, weight: float) -> Scores:
    """As `reorder_head`, but over the candidates that were read: the first ones in fused order."""
    out = blend.copy()
    head = blend[: len(read)]
    order = np.argsort(-head, kind="stable")
    out[: len(read)] = reorder_head(head, read[order], weight)
    return out
