"""From verdicts to a group of labels for each query, worked out as far as they are asked for.

Of a hundred thousand queries in a log, mining asks for thousands.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from typing import TypeVar, overload

import numpy as np

from tribrid.mining.clicks.counts import DOC_MASK
from tribrid.mining.clicks.model import Ints
from tribrid.mining.clicks.verdicts import LEAST_WEIGHT, Verdicts
from tribrid.mining.labels import EXPLICITLY_BAD, Group, Known, Positive, Positives, Preferences
from tribrid.types import Source

_T = TypeVar("_T")

PASSED_ABOVE, PASSED_BELOW, SELDOM_USED, CLICKED_LESS = (
    "skipped_above",
    "next_not_clicked",
    "seldom_used",
    "clicked_less",
)


def groups(verdicts: Verdicts) -> Iterator[Group]:
    """A group for each query that has a positive."""
    rows = np.flatnonzero(verdicts.positive)
    if not len(rows):
        return
    numbers, first = np.unique(np.searchsorted(verdicts.bounds, rows, "right") - 1, return_index=True)
    starts, ends = verdicts.bounds[numbers], verdicts.bounds[numbers + 1]
    bad = np.concatenate([np.zeros(1, np.int64), np.cumsum(verdicts.bad)])
    firsts = first.tolist()
    columns = (starts.tolist(), ends.tolist(), firsts, [*firsts[1:], len(rows)], (bad[ends] > bad[starts]).tolist())
    good = _GoodRows(verdicts, rows, (verdicts.pair[rows] & DOC_MASK).tolist())
    for start, end, low, high, some_bad in zip(*columns, strict=True):
        yield _group(
            verdicts, range(start, end), _Goods(good, low, high), _worst(verdicts, start, end) if some_bad else ()
        )


def _group(verdicts: Verdicts, rows: range, positives: Positives, bad: tuple[Known, ...]) -> Group:
    text, query_id = verdicts.asked(rows.start)
    unknown = _Unknown(verdicts, rows)
    return Group(query_id, text, Source.LOGS, positives, bad, _Lost(verdicts, rows, positives), unknown)


def _worst(verdicts: Verdicts, start: int, end: int) -> tuple[Known, ...]:
    return tuple(
        Known(
            verdicts.name(row),
            float(verdicts.weight[row]),
            EXPLICITLY_BAD,
            f"the negative was {verdicts.words(row)}",
            "explicitly_bad",
        )
        for row in (start + np.flatnonzero(verdicts.bad[start:end])).tolist()
    )


@dataclass(frozen=True, slots=True)
class _GoodRows:
    """The rows of all positives, and the number of the document of each."""

    verdicts: Verdicts
    rows: Ints
    docs: list[int]


class _Goods(Positives):
    """The positives of a query: of all there are, those from one place to another."""

    __slots__ = ("_all", "_first", "_last", "_made")

    def __init__(self, every: _GoodRows, first: int, last: int) -> None:
        self._all, self._first, self._last = every, first, last
        self._made: Sequence[Positive] | None = None

    @property
    def doc_ids(self) -> Sequence[str]:
        name = self._all.verdicts.doc_id
        return [name(doc) for doc in self._all.docs[self._first : self._last]]

    @overload
    def __getitem__(self, place: int) -> Positive: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Positive]: ...

    def __getitem__(self, place: int | slice) -> Positive | Sequence[Positive]:
        if self._made is None:
            rows = self._all.rows[self._first : self._last]
            self._made = sorted(self._all.verdicts.goods(rows), key=lambda found: (-found.standing, found.doc_id))
        return self._made[place]

    def __len__(self) -> int:
        return self._last - self._first


class _Unknown(Set[str]):
    """The documents of a query that are neither good nor bad nor known to have been looked at."""

    __slots__ = ("_found", "_rows", "_verdicts")

    def __init__(self, verdicts: Verdicts, rows: range) -> None:
        self._verdicts, self._rows = verdicts, rows
        self._found: frozenset[str] | None = None

    @property
    def _names(self) -> frozenset[str]:
        if self._found is None:
            self._found = frozenset(self._verdicts.name(row) for row in self._rows if self._verdicts.unknown(row))
        return self._found

    def __contains__(self, doc_id: object) -> bool:
        return doc_id in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    @classmethod
    def _from_iterable(cls, it: Iterable[_T]) -> Set[_T]:  # what `unknown - others` is
        return frozenset(it)


class _Lost(Preferences):
    """Each positive of a query → the documents that were looked at and have worse feedback."""

    __slots__ = ("_positives", "_rows", "_verdicts")

    def __init__(self, verdicts: Verdicts, rows: range, positives: Positives) -> None:
        self._verdicts, self._rows = verdicts, rows
        self._positives = positives

    def __iter__(self) -> Iterator[str]:
        return iter(self._positives.doc_ids)

    def __len__(self) -> int:
        return len(self._positives)

    def __getitem__(self, doc_id: str) -> tuple[Known, ...]:
        standing = next((positive.standing for positive in self._positives if positive.doc_id == doc_id), None)
        if standing is None:
            raise KeyError(doc_id)
        found = (self._loser(row, standing) for row in self._rows)
        return tuple(known for known in found if known is not None)

    def documents(self) -> list[str]:
        return self._verdicts.looked_at(self._rows)

    def _loser(self, row: int, standing: float) -> Known | None:
        verdicts = self._verdicts
        own = float(verdicts.standing[row])
        weight = float(verdicts.worse[row]) * (1 - own / standing)
        if weight < LEAST_WEIGHT:
            return None
        kind, told = self._passed(row) if verdicts.seen[row] else (CLICKED_LESS, "")
        return Known(verdicts.name(row), weight, own, f"the negative was {told}{verdicts.words(row)}", kind)

    def _passed(self, row: int) -> tuple[str, str]:
        """How it is known that the document was looked at: the kind, and in words."""
        above, below = int(self._verdicts.above[row]), int(self._verdicts.below[row])
        parts = []
        if above:
            parts.append(f"shown above a click and passed over {above}x")
        if below:
            parts.append(f"shown next below one and left alone {below}x")
        kind = PASSED_ABOVE if above else PASSED_BELOW if below else SELDOM_USED
        return kind, "".join(f"{part}, " for part in parts)
