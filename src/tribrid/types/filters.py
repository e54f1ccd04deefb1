"""Which documents are searched: conditions on their metadata, spelled as in MongoDB, Pinecone and Chroma.

`{"lang": "de"}` is `{"lang": {"$eq": "de"}}`; several conditions side by side hold all at once. Of a list in the
metadata, one element that meets a condition is enough. A field that a document lacks, or whose value is null, equals
nothing and stands in no range, so `$ne`, `$nin` and `$not` let that document through. Numbers compare with numbers and
strings with strings, by code points, as dates in ISO form sort.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tribrid.errors import InvalidInput

MAX_CONDITIONS, MAX_DEPTH, MAX_VALUES = 100, 10, 1000
"""Of one filter: conditions, groups within groups, and values of one `$in`."""
MAX_FIELD_CHARS, MAX_VALUE_CHARS = 200, 2000

Scalar = str | float | bool
RANGES = ("$gt", "$gte", "$lt", "$lte")
OPERATORS = ("$eq", "$ne", *RANGES, "$in", "$nin", "$exists")
GROUPS = ("$and", "$or", "$not")


@dataclass(frozen=True, slots=True)
class Condition:
    """On one field. `operator` is `$in` (a value is one of `values`), one of RANGES, or `$exists`, without values."""

    field: str
    operator: str
    values: tuple[Scalar, ...] = ()


@dataclass(frozen=True, slots=True)
class Every:
    """Meets all of these."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """Meets one of these at least."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Never:
    """Does not meet this."""

    part: Expression


Expression = Condition | Every | Either | Never


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter that was read: as it was given, to be kept, and what it means."""

    given: Mapping[str, Any]
    meaning: Expression

    @classmethod
    def read(cls, given: object) -> Filter:
        """A filter from its JSON.

        Raises:
            InvalidInput: it is none; the message names the field.
        """
        meaning = _Reader().expression(given, "filter", 0)
        return cls(json.loads(json.dumps(given)), meaning)

    def within(self, pinned: Filter) -> Filter:
        """What both let through."""
        return Filter({"$and": [pinned.given, self.given]}, Every((pinned.meaning, self.meaning)))


def read_filter(given: object) -> Filter | None:
    """A filter from its JSON; None for none.

    Raises:
        InvalidInput: as Filter.read.
    """
    return None if given is None else Filter.read(given)


class _Reader:
    """Reads one filter, and counts."""

    def __init__(self) -> None:
        self._left = MAX_CONDITIONS

    def expression(self, given: object, at: str, depth: int) -> Expression:
        if not isinstance(given, Mapping) or not given:
            raise _wrong(at, 'must be an object with a condition, such as {"lang": "de"}', given)
        if depth > MAX_DEPTH:
            raise _wrong(at, f"groups stand in each other {MAX_DEPTH} deep at most")
        parts = [self._part(key, value, at, depth) for key, value in given.items()]
        return parts[0] if len(parts) == 1 else Every(tuple(parts))

    def _part(self, key: object, value: object, at: str, depth: int) -> Expression:
        if not isinstance(key, str) or not 0 < len(key) <= MAX_FIELD_CHARS:
            raise _wrong(at, f"the name of a field has 1 to {MAX_FIELD_CHARS} characters", key)
        here = f"{at}.{key}"
        if key == "$not":
            return Never(self.expression(value, here, depth + 1))
        if key in GROUPS:
            if not isinstance(value, list) or not value:
                raise _wrong(here, "must be a list of filters", value)
            parts = tuple(self.expression(part, f"{here}[{place}]", depth + 1) for place, part in enumerate(value))
            return Every(parts) if key == "$and" else Either(parts)
        if key.startswith("$"):
            raise _wrong(here, f"is none of {', '.join(GROUPS)}; {', '.join(OPERATORS)} stand within a field")
        return self._conditions(key, value, here)

    def _conditions(self, name: str, value: object, here: str) -> Expression:
        if not isinstance(value, Mapping):
            return self._condition(name, "$eq", value, here)
        if not value:
            raise _wrong(here, 'must be a value or an object with an operator, such as {"$gte": 5}', value)
        parts = [self._condition(name, operator, operand, here) for operator, operand in value.items()]
        return parts[0] if len(parts) == 1 else Every(tuple(parts))

    def _condition(self, name: str, operator: object, operand: object, here: str) -> Expression:
        self._left -= 1
        if self._left < 0:
            raise _wrong("filter", f"has more than {MAX_CONDITIONS} conditions")
        if not isinstance(operator, str) or operator not in _READ:
            known = ", ".join(OPERATORS)
            raise _wrong(here, f"there is no operator {str(operator)[:MAX_FIELD_CHARS]!r}. There are: {known}")
        return _READ[operator](name, operator, operand, here if operator == "$eq" else f"{here}.{operator}")


def _equal(name: str, _: str, operand: object, here: str) -> Expression:
    return Condition(name, "$in", (_scalar(operand, here),))


def _among(name: str, _: str, operand: object, here: str) -> Expression:
    if not isinstance(operand, list) or not 0 < len(operand) <= MAX_VALUES:
        raise _wrong(here, f"must be a list of 1 to {MAX_VALUES} values", operand)
    return Condition(name, "$in", tuple(_scalar(value, f"{here}[{at}]") for at, value in enumerate(operand)))


def _in_range(name: str, operator: str, operand: object, here: str) -> Expression:
    value = _scalar(operand, here)
    if isinstance(value, bool):
        raise _wrong(here, "must be a number or a string", operand)
    return Condition(name, operator, (value,))


def _exists(name: str, _: str, operand: object, here: str) -> Expression:
    if not isinstance(operand, bool):
        raise _wrong(here, "must be true or false", operand)
    found = Condition(name, "$exists")
    return found if operand else Never(found)


def _unlike(read: Callable[[str, str, object, str], Expression]) -> Callable[[str, str, object, str], Expression]:
    return lambda name, operator, operand, here: Never(read(name, operator, operand, here))


_READ: Mapping[str, Callable[[str, str, object, str], Expression]] = {
    "$eq": _equal,
    "$ne": _unlike(_equal),
    "$in": _among,
    "$nin": _unlike(_among),
    "$exists": _exists,
    **dict.fromkeys(RANGES, _in_range),
}


def _scalar(value: object, here: str) -> Scalar:
    if isinstance(value, Sequence) and not isinstance(value, str):
        raise _wrong(here, 'must be one value; of several, write {"$in": [...]}', value)
    if value is None:
        raise _wrong(here, 'null equals nothing; for documents without the field write {"$exists": false}')
    if not isinstance(value, str | int | float) or (isinstance(value, float) and not math.isfinite(value)):
        raise _wrong(here, "must be a string, a number, true or false", value)
    if isinstance(value, str) and len(value) > MAX_VALUE_CHARS:
        raise _wrong(here, f"has {len(value)} characters; {MAX_VALUE_CHARS} at most")
    return value


def _wrong(at: str, what: str, given: object = None) -> InvalidInput:
    said = "" if given is None else f", not {json.dumps(given, default=repr)[:100]}"
    return InvalidInput(f"{at}: {what}{said}.", field=at)
