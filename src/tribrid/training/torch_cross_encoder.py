"""One cross-encoder from base model to what is served of it: built, trained, weighed on dev, exported if it helps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tribrid.config.sections import TrainingConfig
from tribrid.training.lessons import Lesson, choose_weight
from tribrid.training.memory import passes_mib
from tribrid.training.resources import MIB, Run, free_mib
from tribrid.training.start import Base
from tribrid.training.torch_hub import HubModel
from tribrid.training.torch_joint import JointModel
from tribrid.training.torch_loop import OUT_OF_TIME, Loop, Progress
from tribrid.training.torch_pairs import PairModel
from tribrid.types.stored import CrossEncoderMetrics


def train_cross_encoder(
    base: Base, learn: Sequence[Lesson], dev: Sequence[Lesson], config: TrainingConfig, run: Run, target: Path
) -> tuple[float, CrossEncoderMetrics]:
    """Train on `learn`, weigh on `dev`; `target` gets the cross-encoder if it is served, or is to be kept.

    Returns:
        Its weight beside the blend, 0 if it does not help, and what was measured (JSON-shaped).

    Raises:
        TrainingFailed: it diverged or collapsed, or its export does not agree with torch.
        Cancelled: as soon as the run is.
    """
    memory_mib, less = passes_mib(base.folder, base.role, config, free_mib(), run.kills)
    if less:
        run.emit("log", {"level": "warning", "message": less})
    run.emit("progress", {"stage": "loading", "done": 0, "total": 1})
    before_s = run.pace.spent_s
    model = _model(base, config, run, memory_mib * MIB // 2)  # half of it keeps what was read of the texts
    run.emit("progress", {"stage": "loading", "done": 1, "total": 1})
    run.pace.reserve_s += run.pace.spent_s - before_s  # the export takes about as long
    loop = Loop(model, config, run, memory_mib // 2)
    progress = loop.run(learn, dev)
    if progress.best_step < 0:
        return 0.0, {"trained": False, "reason": f"{OUT_OF_TIME} before it was measured on dev"}
    weight, table = choose_weight(dev, loop.best_read(dev))
    measured: CrossEncoderMetrics = {
        "trained": True,
        "kind": base.role,
        "steps": progress.step,
        "best_step": progress.best_step,
        "ended": progress.ended,
        "dev_ndcg@10": progress.best_ndcg,
        "dev_queries": len(dev),
        "weight": weight,
        "dev_ndcg@10_by_weight": table,
        "served": weight > 0,
    }
    if not weight and not config.keep_cross_encoder:
        return weight, {**measured, "left_out": _why_left_out(progress, table)}
    run.emit("progress", {"stage": "export", "done": 0, "total": 1})
    difference = model.export(target)
    run.emit("progress", {"stage": "export", "done": 1, "total": 1})
    return weight, {**measured, "export_difference": difference}


def _model(base: Base, config: TrainingConfig, run: Run, kept_bytes: int) -> PairModel:
    if base.role == "cross-encoder":
        return HubModel(base.folder, base.limits, run.folder, config.trained_layers == "upper", base.model)
    return JointModel(base.folder, base.limits, run.folder, kept_bytes)


def _why_left_out(progress: Progress, table: dict[str, float]) -> str:
    best = max(value for weight, value in table.items() if weight != "0")
    return (
        f"On dev the blend alone has nDCG@10 {table['0']:.4f}; with the cross-encoder (best at step "
        f"{progress.best_step}, alone {progress.best_ndcg:.4f}) it has at most {best:.4f}, which is no gain beyond "
        "chance. So it is neither served nor measured again; training.keep_cross_encoder keeps it."
    )
