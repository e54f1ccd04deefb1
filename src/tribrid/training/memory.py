"""What a cross-encoder's training needs in memory, foretold from the base model's files before anything is loaded.

What its passes take can be made smaller (torch_loop.py); what is foretold here cannot, so where it is not free the
training is refused, instead of being killed by the system in its middle.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

from tribrid.config.sections import TrainingConfig
from tribrid.encoders.models import Role
from tribrid.errors import Unavailable
from tribrid.training.resources import MIB

LIBRARIES_MIB = 500
"""torch, transformers and onnxruntime with their threads, as measured on Linux."""
LEAST_PASSES_MIB = 64
"""With less, not even one list is read at a time."""
_BYTES = 4
_KEPT, _EXPORTED = 4, 2
"""Copies of each number that learns (gradient, AdamW's two, the best so far), and of each that the export makes."""
_LAYER = re.compile(r"\.(\d+)\.")


@dataclass(frozen=True, slots=True)
class Sizes:
    """Numbers that a model has, and those of its upper third of layers."""

    all: int
    upper: int


def sizes_of(base: Path) -> Sizes:
    """Read from the headers of its safetensors, which are a few kilobytes."""
    counts: dict[int, int] = {}
    for path in base.glob("*.safetensors"):
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        for name, tensor in header.items():
            if name != "__metadata__":
                layer = _LAYER.search(name)
                at = int(layer[1]) if layer else -1
                counts[at] = counts.get(at, 0) + math.prod(tensor["shape"])
    from_layer = (max(counts, default=0) + 1) * 2 // 3
    return Sizes(sum(counts.values()), sum(count for at, count in counts.items() if at >= from_layer))


def foretold(sizes: Sizes, role: Role, config: TrainingConfig) -> int:
    """What the training takes whatever its batches are, MiB."""
    learns = sizes.all if _all_learn(role, config) else sizes.upper
    return LIBRARIES_MIB + _BYTES * (sizes.all * (1 + _EXPORTED) + learns * _KEPT) // MIB


def require_memory(base: Path, role: Role, config: TrainingConfig, free_mib: int) -> None:
    """Pass if a cross-encoder can be trained in so much memory.

    Raises:
        Unavailable: it cannot; says what to set.
    """
    needed = foretold(sizes_of(base), role, config) + LEAST_PASSES_MIB
    if needed <= free_mib:
        return
    smaller = "set training.trained_layers to upper, " if _all_learn(role, config) else ""
    raise Unavailable(
        f"Training a cross-encoder from {config.base_model} takes at least {needed:,} MiB of memory, and {free_mib:,} "
        f"MiB are free. Free some, {smaller}set training.base_model to a smaller model, or set training.cross_encoder "
        "to false: the blend needs little.",
        needed_mib=needed,
        free_mib=free_mib,
    )


def passes_mib(base: Path, role: Role, config: TrainingConfig, free_mib: int, kills: int) -> tuple[int, str]:
    """What passes and kept texts may take, MiB, and why that is less than was asked for; empty if it is not.

    Args:
        kills: how often the training was killed before; each time it goes on with half.
    """
    # Half of what is free: other processes live here too.
    room = max(LEAST_PASSES_MIB, free_mib - foretold(sizes_of(base), role, config))
    asked = config.memory_budget_mb
    given = max(LEAST_PASSES_MIB, min(asked or free_mib // 2, room) >> kills)
    if kills:
        return given, f"Its process was killed before, so it goes on with half the memory for a batch: {given:,} MiB."
    if asked and asked > given:
        return (
            given,
            f"training.memory_budget_mb is {asked:,}, but only {given:,} MiB of that are free: it takes those.",
        )
    return given, ""


def _all_learn(role: Role, config: TrainingConfig) -> bool:
    return role == "cross-encoder" and config.trained_layers == "all"
