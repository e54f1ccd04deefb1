"""How far documents' fields have moved since a model learned from them: what it never saw, it cannot weigh.

References:
    Siddiqi: Credit risk scorecards, 2006 (the population stability index and its limits).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tribrid.answers.report import FieldDrift
from tribrid.evaluation.arms import Readings
from tribrid.scoring.fields import LearnedField, Values

SOME_DRIFT, LARGE_DRIFT = 0.1, 0.25
BEYOND_CHANCE = 3.0
"""So many times what chance makes an index must be to mean anything: few documents differ by chance alone."""
_LEAST_SHARE = 1e-3
"""What a group without a document counts as: an index of an empty one has no end."""


def field_drift(fields: Sequence[LearnedField], readings: Readings) -> tuple[FieldDrift, ...]:
    """Compare the candidates of these readings, each once, with those of the training, field by field."""
    if not fields:
        return ()
    found: dict[str, Mapping[str, Any]] = {}
    for reading in readings.values():
        found.update(reading.described({candidate.doc_id for candidate in reading.candidates} - found.keys()))
    now_us = max((reading.now_us for reading in readings.values()), default=0)
    return tuple(_drift(field, list(found.values()), now_us) for field in fields) if found else ()


def _drift(field: LearnedField, values: Values, now_us: int) -> FieldDrift:
    now = field.shares_in(values, now_us)
    index, missing = stability(field.shares, now), f"{now[-1]:.0%} of the candidates ({field.shares[-1]:.0%} then)"
    # What two samples of the same values differ by: about this much for each group but one.
    chance = (len(now) - 1) * (1 / len(values) + 1 / max(field.documents, 1))
    drifted = index >= max(LARGE_DRIFT, BEYOND_CHANCE * chance)
    moved = "much" if drifted else "a little" if index >= max(SOME_DRIFT, BEYOND_CHANCE * chance) else "hardly"
    return FieldDrift(
        name=field.name,
        kind=field.kind,
        missing_then=field.shares[-1],
        missing_now=now[-1],
        psi=index,
        drifted=drifted,
        told=f"since the training its values have {moved} changed (stability index {index:.2f}); missing in {missing}.",
    )


def stability(then: Sequence[float], now: Sequence[float]) -> float:
    """The population stability index of two distributions over the same groups; 0: they are the same."""
    pairs = [(max(a, _LEAST_SHARE), max(b, _LEAST_SHARE)) for a, b in zip(then, now, strict=True)]
    return sum((b - a) * math.log(b / a) for a, b in pairs)
