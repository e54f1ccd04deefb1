"""One training from lists to artifact: blend, cross-encoder, and how much of the latter is served."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from tribrid.config.sections import TrainingConfig
from tribrid.encoders.models import Role, require_torch, trainable_as
from tribrid.encoders.pairs import PairLimits
from tribrid.errors import NoTriplets, TrainingFailed
from tribrid.private import own_folder
from tribrid.scoring.features import CorpusStatistics
from tribrid.scoring.learned import CROSS_ENCODER, Reordering, write_artifact
from tribrid.scoring.signals import NO_SIGNALS, Signals
from tribrid.training.blend import STARTS, Choice, choose, feature_names, fit, fold_of, stack
from tribrid.training.calibration import calibrate
from tribrid.training.lessons import Lesson
from tribrid.training.lists import PastQuery, TrainingList, memory_of, remembered
from tribrid.training.memory import require_memory
from tribrid.training.resources import Pace, Run, free_mib
from tribrid.training.start import Base
from tribrid.types import Emit
from tribrid.types.stored import BlendMetrics, CrossEncoderMetrics, Manifest, TrainingMetrics
from tribrid.version import __version__

DEV_FOLD = 0
HOPEFUL_QUERIES = 2_000
"""Teaching queries from which a sentence encoder may become a cross-encoder that adds to the blend: with 500 its weight
was 0, or changed nothing that can be told from chance, on every collection tried, for four fifths of the time
(docs/benchmarks.md). One that is a cross-encoder already knows more than the blend, and is always tried."""
FIT_SHARE = 0.75
"""What fitting the chosen blend on all lists takes, as a share of the cross-validation."""
_VERSIONS = ("torch", "transformers", "accelerate", "lightgbm", "onnx", "onnxruntime", "numpy")


@dataclass(frozen=True, slots=True)
class TrainingInputs:
    """What a training is given.

    Attributes:
        lists: every query of the triplet set, with its served candidates.
        statistics: of the corpus, as its index keeps them.
        base: folder of the base model (safetensors, config, tokenizer).
        snippet_chars: of a passage's text, what the cross-encoder may read.
        facts: what the manifest says of where this came from (corpus, triplet set, hashes).
        newest: clusters whose labels are the newest, on which the cross-encoder is measured; where labels have no
            dates there are none, and one fold is held out instead.
        pace: the training's clock, if it runs already.
        past: queries beside those of the lists, of which it is remembered what was good for them.
        kills: see `Run`.
        signals: of documents beside their texts, which the lists' features already hold; the model carries them.
    """

    lists: Sequence[TrainingList]
    statistics: CorpusStatistics
    base: Path
    snippet_chars: int
    facts: Manifest
    newest: frozenset[str] = frozenset()
    pace: Pace | None = None
    past: Sequence[PastQuery] = ()
    kills: int = 0
    signals: Signals = NO_SIGNALS


@dataclass(frozen=True, slots=True)
class Trained:
    """The artifact's folder, not yet committed, and what was measured on the way (JSON-shaped)."""

    folder: Path
    manifest: Manifest


def train(
    inputs: TrainingInputs, config: TrainingConfig, folder: Path, emit: Emit, cancelled: Callable[[], bool]
) -> Trained:
    """Train in `folder`, which keeps the checkpoint; started again in the same folder it goes on from there.

    Raises:
        MissingExtra: a cross-encoder is wanted and torch is not installed.
        NoTriplets: no query has a candidate known to be better than another.
        Cancelled: `cancelled()` turned true.
        ModelUnavailable: the base model is none that a cross-encoder can start from.
        Unavailable: the cross-encoder takes more memory than is free.
        TrainingFailed: the cross-encoder diverged or collapsed, and the blend learned nothing either; else the model
            is the blend alone, and the metrics hold the diagnosis.
    """
    run = Run(folder, emit, cancelled, inputs.pace or Pace(config.time_budget_s), inputs.kills)
    before_s = run.pace.spent_s
    lists, teaching = list(inputs.lists), _teaching(inputs.lists)
    base, hopeless = _start_from(inputs.base, teaching, config, emit)
    emit("log", {"message": "cross-validating the blend", "queries": len(lists), "teaching": teaching})
    directions = inputs.signals.directions
    choice = choose(lists, config, lambda done, all_: _told_fold(run, before_s, done, all_), inputs.past, directions)
    emit("metrics", {"stage": "blend", "held_out_ndcg@10": dict(choice.scores), "form": choice.form})
    weight, measured = 0.0, CrossEncoderMetrics({"trained": False, **hopeless})
    if base is not None:
        weight, measured = _cross_encoder(inputs, choice, base, config, run)
    metrics: TrainingMetrics = {
        "blend": _told(choice),
        "cross_encoder": measured,
        "queries": len(lists),
        "teaching_queries": teaching,
        "remembered_queries": len(remembered([*lists, *inputs.past])),
        "pairs": sum(len(item.candidates) for item in lists),
        "took_s": round(run.pace.spent_s - before_s, 2),
        "times_killed": run.kills,
    }
    manifest: Manifest = {
        **inputs.facts,
        "config": config.model_dump(mode="json"),
        "versions": _versions(),
        "metrics": metrics,
        "calibration": calibrate(lists, choice.held_out),
    }
    emit("progress", _progress("fit", 0, 1))
    artifact = _fresh(folder / "artifact")
    _write(inputs, lists, choice, config, artifact, weight, manifest)
    if weight or (measured["trained"] and config.keep_cross_encoder):
        shutil.copytree(folder / CROSS_ENCODER, artifact / CROSS_ENCODER)
    emit("progress", _progress("fit", 1, 1))
    return Trained(artifact, manifest)


def _told(choice: Choice) -> BlendMetrics:
    scores = dict(choice.scores)
    return {"form": choice.form, "start": choice.start, "memory": choice.use_memory, "held_out_ndcg@10": scores}


def _start_from(
    base: Path, teaching: int, config: TrainingConfig, emit: Emit
) -> tuple[Role | None, CrossEncoderMetrics]:
    """What the cross-encoder starts from, or why it has no hope. Raises as `train`, before any work."""
    if not config.cross_encoder:
        return None, {}
    role = trainable_as(base)
    if role == "encoder" and teaching < HOPEFUL_QUERIES and not config.keep_cross_encoder:
        reason = (
            f"No cross-encoder is trained: from a sentence encoder and {teaching:,} queries none was ever served "
            f"beside the blend. With {HOPEFUL_QUERIES:,} queries, with a cross-encoder as training.base_model, or with "
            "training.keep_cross_encoder, one is."
        )
        emit("log", {"message": reason})
        return None, {"reason": reason}
    require_torch("Training a cross-encoder (training.cross_encoder)")
    require_memory(base, role, config, free_mib())
    return role, {}


def _teaching(lists: Sequence[TrainingList]) -> int:
    """How many lists teach something.

    Raises:
        NoTriplets: none does.
    """
    teaching = sum(item.teaches for item in lists)
    if teaching == 0:
        raise NoTriplets(
            "No mined query has both a better and a worse document among its candidates, so there is nothing to "
            "learn an order from. Mine from more judgments or logs, or raise reranking.tribrid_reranker_topn.",
            queries=len(lists),
        )
    return teaching


def _versions() -> dict[str, str]:
    """Of what decides a model's numbers and is installed: a blend alone needs no torch."""
    found = {name: version(name) for name in _VERSIONS if importlib.util.find_spec(name) is not None}
    return {"tribrid": __version__, **found}


def _fresh(folder: Path) -> Path:
    """The folder, empty, whatever an interrupted attempt left in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _told_fold(run: Run, before_s: float, done: int, total: int) -> bool:
    """Tell of a fold of the cross-validation, and whether there is time for another, and for the fit after it."""
    run.emit("progress", _progress("blend", done, total))
    fold_s = (run.pace.spent_s - before_s) / done
    run.pace.reserve_s = FIT_SHARE * total * fold_s
    if done == total or run.pace.allows(fold_s):
        return True
    message = f"training.time_budget_s leaves time for {done} of {total} folds of the cross-validation"
    run.emit("log", {"level": "warning", "message": message})
    return False


def _progress(stage: str, done: int, total: int) -> dict[str, object]:
    return {"stage": stage, "done": done, "total": total}


def _write(
    inputs: TrainingInputs,
    lists: Sequence[TrainingList],
    choice: Choice,
    config: TrainingConfig,
    artifact: Path,
    weight: float,
    manifest: Manifest,
) -> None:
    """Fit what was chosen on all lists, and the same without memory for the report's ablation."""
    memory = memory_of([*lists, *inputs.past])
    features = [item.features(memory) for item in lists]
    kinds = {"blend": choice.use_memory, **({"blend_without_memory": False} if choice.use_memory else {})}
    blends = {}
    for name, use_memory in kinds.items():
        columns = feature_names(features, use_memory)
        rows = stack(lists, features, columns)
        ways = inputs.signals.directions
        blends[name] = fit(rows, columns, choice.form, choice.start, config.seed, directions=ways).blend()
    write_artifact(
        artifact,
        manifest=manifest,
        blends=blends,
        statistics=inputs.statistics,
        memory=memory,
        snippet_chars=inputs.snippet_chars,
        cross_encoder=Reordering(weight, config.cross_encoder_depth),
        signals=inputs.signals,
    )


def _cross_encoder(
    inputs: TrainingInputs, choice: Choice, base: Role, config: TrainingConfig, run: Run
) -> tuple[float, CrossEncoderMetrics]:
    """Train it on four folds, choose its weight on the fifth; returns the weight and what was measured."""
    # Imported here: torch is the training extra's, and this module is imported without it.
    from tribrid.training.torch_cross_encoder import train_cross_encoder

    depth = config.cross_encoder_depth
    lessons = [Lesson.of(item, found, depth) for item, found in zip(inputs.lists, choice.held_out, strict=True)]
    held_out = [
        item.cluster in inputs.newest if inputs.newest else fold_of(item.cluster, config.seed, config.folds) == DEV_FOLD
        for item in inputs.lists
    ]
    measurable = [len(found) > 0 for found in choice.held_out]
    dev = [one for one, held, known in zip(lessons, held_out, measurable, strict=True) if held and known]
    learn = [one for one, held in zip(lessons, held_out, strict=True) if not held and one.item.teaches]
    if not dev or not learn:
        return 0.0, {"trained": False, "reason": "too few query clusters to hold some out"}
    if not run.pace.allows(0):
        return 0.0, {"trained": False, "reason": "the time budget was spent on the blend"}
    limits = PairLimits(config.query_tokens, config.passage_tokens, inputs.snippet_chars)
    start = Base(inputs.base, base, config.base_model, limits)
    work = replace(run, folder=run.folder / "work")
    own_folder(work.folder)
    try:
        weight, measured = train_cross_encoder(
            start, learn, dev[: config.dev_queries], config, work, _fresh(run.folder / CROSS_ENCODER)
        )
    except TrainingFailed as error:
        if choice.form in STARTS:
            raise  # nothing was learned at all: there is no model to make
        weight, measured = 0.0, {"trained": False, "reason": error.detail, "diagnosis": dict(error.facts)}
        message = f"{error.detail} The cross-encoder is left out; the model is the blend alone."
        run.emit("log", {"level": "error", "message": message})
    run.emit("metrics", {"stage": "cross_encoder", **measured})
    return weight, measured
