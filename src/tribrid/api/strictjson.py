"""Reads the JSON of a request and refuses what Python would let through: NaN, Infinity, numbers that no database holds,
NUL characters, lone surrogates, names that come twice in an object, endless nesting, broken UTF-8.
"""

from __future__ import annotations

import json
import math

from tribrid.corpus.jsonlines import value_fault
from tribrid.corpus.repeated import Repeated

MAX_INTEGER = 2**63 - 1


def parse_json(raw: bytes, *, storable: bool = True) -> object:
    """The one JSON value that these bytes are.

    Args:
        storable: also refuse texts that no database takes (a NUL, half of a surrogate pair).

    Raises:
        json.JSONDecodeError: they are not; its `msg` says why, in words.
    """
    repeated = Repeated()
    try:
        value: object = json.loads(
            raw.decode("utf-8-sig"),
            parse_constant=_no_constant,
            parse_float=_finite,
            parse_int=_storable,
            object_pairs_hook=repeated,
        )
    except json.JSONDecodeError as error:
        raise json.JSONDecodeError(f"{error.msg} (line {error.lineno} column {error.colno})", "", error.pos) from None
    except UnicodeDecodeError as error:
        raise json.JSONDecodeError(f"byte {error.start + 1} is not UTF-8", "", error.start) from None
    except RecursionError:
        raise json.JSONDecodeError("it is nested too deeply", "", 0) from None
    except ValueError as error:
        raise json.JSONDecodeError(str(error), "", 0) from None
    twice = repeated.fault
    if twice is not None:
        raise json.JSONDecodeError(twice, "", 0)
    fault = value_fault(value) if storable else None
    if fault is not None:
        raise json.JSONDecodeError(f"it {fault}", "", 0)
    return value


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _finite(literal: str) -> float:
    number = float(literal)
    if not math.isfinite(number):
        raise ValueError("a number in it is too large")
    return number


def _storable(literal: str) -> int:
    if len(literal) > len(str(MAX_INTEGER)) + 1 or abs(number := int(literal)) > MAX_INTEGER:
        raise ValueError("a number in it is too large")
    return number
