"""How far documents' fields have moved since a model learned from them: what it never saw, it cannot weigh.

References:
    Siddiqi: Credit risk scorecards, 2006 (the population stability index and its limits).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tribrid.answers.report import LARGE_DRIFT, FieldDrift
from tribrid.evaluation.arms import Readings
from tribrid.scoring.fields import LearnedField, Values
from tribrid.scoring.learned import Reading

SOME_DRIFT = 0.1
_LEAST_SHARE = 1e-3
"""What a group without a document counts as: an index of an empty one has no end."""


def field_drift(fields: Sequence[LearnedField], readings: Readings) -> tuple[FieldDrift, ...]:
    """Compare the candidates of these readings with those of the training, field by field."""
    if not fields:
        return ()
    lists = list(readings.values())
    values = [one for reading in lists for one in _metadata_of(reading)]
    now_us = max((reading.now_us for reading in lists), default=0)
    return tuple(_drift(field, values, now_us) for field in fields) if values else ()


def _metadata_of(reading: Reading) -> Values:
    doc_ids = [candidate.doc_id for candidate in reading.candidates]
    known = reading.described(doc_ids)
    return [known.get(doc_id, {}) for doc_id in doc_ids]


def _drift(field: LearnedField, values: Values, now_us: int) -> FieldDrift:
    now = field.shares_in(values, now_us)
    index, missing = stability(field.shares, now), f"{now[-1]:.0%} of the candidates ({field.shares[-1]:.0%} then)"
    moved = "much" if index >= LARGE_DRIFT else "a little" if index >= SOME_DRIFT else "hardly"
    return FieldDrift(
        name=field.name,
        kind=field.kind,
        missing_then=field.shares[-1],
        missing_now=now[-1],
        psi=index,
        told=f"since the training its values have {moved} changed (stability index {index:.2f}); missing in {missing}.",
    )


def stability(then: Sequence[float], now: Sequence[float]) -> float:
    """The population stability index of two distributions over the same groups; 0: they are the same."""
    pairs = [(max(a, _LEAST_SHARE), max(b, _LEAST_SHARE)) for a, b in zip(then, now, strict=True)]
    return sum((b - a) * math.log(b / a) for a, b in pairs)
