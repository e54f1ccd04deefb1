"""Documents' metadata in memory, by field and value: which documents a filter lets through, and how many have each
value of a field.

One semantics, whichever database holds the rows. For 100,000 documents it is read in a second or two, at the first
filtered search after a change of the corpus, and a filter then takes milliseconds.
"""

from __future__ import annotations

import heapq
import operator
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tribrid.types.filters import Condition, Either, Every, Expression, Never, Scalar

Mask = np.ndarray[Any, np.dtype[np.bool_]]
Numbers = np.ndarray[Any, np.dtype[np.int32]]
_IN_RANGE: Mapping[str, Callable[[Any, Any], bool]] = {
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}


class Described(NamedTuple):
    """A document as far as filters see it."""

    doc_id: str
    content_sha: str
    metadata: Mapping[str, Any]


class ValueCount(NamedTuple):
    """How many documents have a value."""

    value: Scalar
    documents: int


def _kind(value: object) -> str | None:
    """What a value is compared with; None: nothing. True is not 1."""
    if isinstance(value, bool):
        return "truth"
    if isinstance(value, int | float):
        return "number"
    return "text" if isinstance(value, str) else None


def _scalars(value: object) -> Iterable[Scalar]:
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, str | int | float):
            yield one


@dataclass(frozen=True, slots=True)
class _Field:
    """One field.

    Attributes:
        values: kind and value → its number.
        documents, numbers: int32 (n,): a document, and the number of a value that it has.
        present: int32: documents that have the field, whatever its value is, but for null.
    """

    values: Mapping[tuple[str, Scalar], int]
    documents: Numbers
    numbers: Numbers
    present: Numbers

    def meeting(self, condition: Condition) -> Numbers:
        """Documents, some of them twice."""
        if condition.operator == "$exists":
            return self.present
        wanted = np.zeros(len(self.values), bool)
        wanted[self._wanted(condition)] = True
        return self.documents[wanted[self.numbers]]

    def _wanted(self, condition: Condition) -> list[int]:
        keys = [(str(_kind(value)), value) for value in condition.values]
        if condition.operator == "$in":
            return [self.values[key] for key in keys if key in self.values]
        within, (kind, limit) = _IN_RANGE[condition.operator], keys[0]
        return [number for (of, value), number in self.values.items() if of == kind and within(value, limit)]


class _Filling:
    """A field while documents come."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, Scalar], int] = {}
        self.documents: list[int] = []
        self.numbers: list[int] = []
        self.present: list[int] = []

    def add(self, document: int, value: object) -> None:
        self.present.append(document)
        found = {(str(_kind(one)), one) for one in _scalars(value)}
        for key in found:
            self.documents.append(document)
            self.numbers.append(self.values.setdefault(key, len(self.values)))

    def filled(self) -> _Field:
        columns = (np.array(column, np.int32) for column in (self.documents, self.numbers, self.present))
        return _Field(self.values, *columns)


class Metadata:
    """The metadata of a corpus's documents at one version of it. Pure; safe for threads.

    Attributes:
        number_of: doc_id → the document's number.
        hashes: by number, the content_sha.
    """

    def __init__(self, documents: Iterable[Described]) -> None:
        self.number_of: dict[str, int] = {}
        self.hashes: list[str] = []
        filling: defaultdict[str, _Filling] = defaultdict(_Filling)
        for number, (doc_id, content_sha, metadata) in enumerate(documents):
            self.number_of[doc_id] = number
            self.hashes.append(content_sha)
            for name, value in metadata.items():
                if value is not None:
                    filling[name].add(number, value)
        self._fields = {name: field.filled() for name, field in filling.items()}

    def matching(self, expression: Expression | None) -> Mask:
        """Bool (n,): the documents that an expression lets through, by number; None: all."""
        if expression is None:
            return np.ones(len(self.hashes), bool)
        if isinstance(expression, Never):
            return ~self.matching(expression.part)
        if isinstance(expression, Every | Either):
            join = np.logical_and if isinstance(expression, Every) else np.logical_or
            joined: Mask = join.reduce([self.matching(part) for part in expression.parts])
            return joined
        found = np.zeros(len(self.hashes), bool)
        if expression.field in self._fields:
            found[self._fields[expression.field].meeting(expression)] = True
        return found

    def counts(self, name: str, among: Mask, most: int) -> list[ValueCount]:
        """How many of these documents have each value of a field, the most frequent first, so many values at most; a
        list counts for each of its values.
        """
        field = self._fields.get(name)
        if field is None:
            return []
        counted = np.bincount(field.numbers[among[field.documents]], minlength=len(field.values)).tolist()
        found = ((-counted[at], kind, value) for (kind, value), at in field.values.items() if counted[at])
        return [ValueCount(value, -fewer) for fewer, _, value in heapq.nsmallest(most, found)]


def lets_through(expression: Expression, metadata: Mapping[str, Any]) -> bool:
    """Whether an expression lets a document with this metadata through."""
    return bool(Metadata([Described("", "", metadata)]).matching(expression)[0])
