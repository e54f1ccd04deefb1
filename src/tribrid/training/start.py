"""Where a cross-encoder's training starts. No torch here: whoever asks for one says it before torch is needed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tribrid.encoders.models import Role
from tribrid.encoders.pairs import PairLimits


@dataclass(frozen=True, slots=True)
class Base:
    """Where a training starts.

    Attributes:
        folder: safetensors, config, tokenizer.
        role: what it holds, as `trainable_as` says.
        model: its name.
        limits: what of a query and of a passage is read.
    """

    folder: Path
    role: Role
    model: str
    limits: PairLimits
