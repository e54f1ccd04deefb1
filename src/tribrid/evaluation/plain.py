"""Values as JSON has them: what a report is made of before anybody reads it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tribrid.errors import EvaluationFailed


def plain(value: Any, where: str) -> Any:
    """The value as JSON has it: plain dicts, lists, ints and finite floats.

    Raises:
        EvaluationFailed: a number is not finite, or a value is of a kind JSON does not have; names the place.
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, where) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        raise EvaluationFailed(f"{where} is not a finite number.", field=where)
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise EvaluationFailed(f"{where} is a {type(value).__name__}, which JSON does not have.", field=where)
