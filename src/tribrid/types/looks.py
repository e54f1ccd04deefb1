"""What an evaluation found, as the record of a model's proof keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Look:
    """One measurement: what was compared, on what (by hash), what came of it, and after's means by report key. A model
    that is None was not there.
    """

    evaluation_id: str
    dataset: str
    model_id: str | None
    champion_id: str | None
    decision: str
    reasons: tuple[str, ...]
    after: Mapping[str, float]
    candidates: str | None
    created_us: int
