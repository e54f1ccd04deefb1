"""Fields of documents' metadata as features of the blend: numbers, dates and categories, as a training knew them.

A number counts by its logarithm, on a scale of which the median of what was learned from is 0 and the quartiles are 1
apart: a few huge values do not stretch it. A second column has how it stands beside the others of its list, for whoever
compares prices compares those that are shown. A missing value is none: a column says that it is missing, and the others
have the middle there, which speaks neither for nor against it.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from tribrid.config.features import FieldKind, NamedField
from tribrid.encoders.onnx import FloatArray
from tribrid.errors import InvalidField

DAY_S = 86_400
MOST_CATEGORIES, LEAST_DOCUMENTS = 20, 5
"""Values of a category that are told apart, and documents that each needs; any other is `other`."""
FARTHEST = 8.0
"""On the scale of a number. Beyond, more changes nothing."""
BINS = 10
_LEAST_SPREAD = 1e-9
_LAST_SECOND = 1e11
_SHOWN_CHARS = 100

Values = Sequence[Mapping[str, Any]]
"""The metadata of a list's documents."""
Numbers = np.ndarray[Any, np.dtype[np.float64]]
Columns = dict[str, FloatArray]
Scalar = str | int | float | bool


def number_of(value: object) -> float:
    """A number; true counts as 1, false as 0; NaN where there is none.

    Raises:
        ValueError: it is something else.
    """
    if value is None:
        return math.nan
    if isinstance(value, int | float):
        try:
            found = float(value)
        except OverflowError:
            found = math.inf
        if math.isfinite(found):
            return found
    raise ValueError("a number")


def day_of(value: object) -> float:
    """Days since 1970 of a date in ISO 8601, or of seconds since 1970; NaN where there is none.

    Raises:
        ValueError: it is something else.
    """
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value.strip())
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() / DAY_S
        found = number_of(value)
    except (ValueError, OverflowError):
        found = math.inf
    if isinstance(value, bool) or abs(found) > _LAST_SECOND:
        raise ValueError("a date as 2026-11-30, or seconds since 1970")
    return found / DAY_S


def kinds_of(value: object) -> tuple[Scalar, ...]:
    """The categories that a document is of.

    Raises:
        ValueError: it is neither a scalar nor a list of them.
    """
    values = () if value is None else value if isinstance(value, list | tuple) else (value,)
    if not all(isinstance(one, str | int | float) for one in values):
        raise ValueError("a text, a number, true or false, or a list of these")
    return tuple(dict.fromkeys(values))


_READS = {"number": number_of, "date": day_of, "category": kinds_of}


def refuse(fields: Sequence[NamedField], documents: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
    """Pass documents (doc_id, metadata) of which each field is what it is said to be, or missing.

    Raises:
        InvalidField: names the first document that has another, the field and the value.
    """
    for doc_id, metadata in documents if fields else ():
        for field in fields:
            value = metadata.get(field.name)
            try:
                _READS[field.kind](value)
            except ValueError as error:
                shown = json.dumps(value, ensure_ascii=False, default=str)[:_SHOWN_CHARS]
                raise InvalidField(
                    f"Document {doc_id!r}: {field.name} is {shown} and not {error}, as features.fields says. Give "
                    "it another value or none, or change features.fields.",
                    doc_id=doc_id,
                    field=field.name,
                    value=shown,
                ) from None


def _readable(kind: FieldKind, value: object) -> object:
    """The value, None for what is not of this kind: what was indexed after the training was not looked at."""
    try:
        return _READS[kind](value)
    except ValueError:
        return _READS[kind](None)


def _key(value: Scalar) -> str:
    """A category as text that tells true, 1 and "1" apart."""
    return json.dumps(value, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class NumberField:
    """A number, or a date, which counts as how long ago it is.

    Attributes:
        monotone: as of NamedField.
        centre, spread: of the logarithms that were learned from, the median, and the distance of the quartiles.
        edges: what parts those values into up to BINS groups of the same size.
        shares: of the documents that were learned from, in each group, and last of those that had none.
        documents: how many these are.
    """

    name: str
    kind: FieldKind
    monotone: int
    centre: float
    spread: float
    edges: tuple[float, ...]
    shares: tuple[float, ...]
    documents: int

    @classmethod
    def learned(cls, field: NamedField, documents: Values, now_us: int) -> NumberField | None:
        """From documents; None where none of them has the field."""
        found = _numbers(field.name, field.kind, documents, now_us)
        known = found[~np.isnan(found)]
        if not len(known):
            return None
        low, centre, high = np.quantile(_even(known), (0.25, 0.5, 0.75))
        spread = next((far for far in (high - low, float(_even(known).std())) if far > _LEAST_SPREAD), 1.0)
        edges = np.unique(np.quantile(known, np.arange(1, BINS) / BINS))
        bare = cls(field.name, field.kind, field.monotone, float(centre), float(spread), tuple(edges.tolist()), (), 0)
        return replace(bare, shares=bare.shares_of(found), documents=len(documents))

    def values(self, metadata: Values, now_us: int) -> Numbers:
        """float64 (n,): the numbers, or days from now (before it below 0); NaN where missing."""
        return _numbers(self.name, self.kind, metadata, now_us)

    def columns(self, metadata: Values, now_us: int) -> Columns:
        """Features of a list's documents, float32 (n,)."""
        far = (_even(self.values(metadata, now_us)) - self.centre) / self.spread
        scaled = np.clip(far, -FARTHEST, FARTHEST)
        known = ~np.isnan(scaled)
        middle = float(np.median(scaled[known])) if known.any() else 0.0
        columns = {
            f"field:{self.name}": np.where(known, scaled, 0.0),
            f"beside:{self.name}": np.where(known, scaled - middle, 0.0),
            f"missing:{self.name}": ~known,
        }
        return {name: values.astype(np.float32) for name, values in columns.items()}

    @property
    def directions(self) -> dict[str, int]:
        """What more in each column may do: 1 never harm, -1 never help."""
        return {f"field:{self.name}": self.monotone, f"beside:{self.name}": self.monotone}

    def told(self, metadata: Mapping[str, Any], now_us: int) -> dict[str, float | None]:
        """What a person reads in the place of a column: the number itself, of a date the days since; None: missing."""
        value = float(self.values([metadata], now_us)[0])
        shown = -value if self.kind == "date" else value
        return {f"field:{self.name}": None if math.isnan(value) else shown}

    def shares_in(self, metadata: Values, now_us: int) -> tuple[float, ...]:
        """`shares` of other documents."""
        return self.shares_of(self.values(metadata, now_us))

    def shares_of(self, values: Numbers) -> tuple[float, ...]:
        """How they part into the groups of `edges`, and last those that are missing."""
        known = values[~np.isnan(values)]
        counts = np.bincount(np.searchsorted(np.array(self.edges), known), minlength=len(self.edges) + 1)
        return tuple((np.append(counts, len(values) - len(known)) / max(len(values), 1)).tolist())


@dataclass(frozen=True, slots=True)
class CategoryField:
    """A category; a document may be of several.

    Attributes:
        known: values, as JSON, that are told apart, the most frequent first.
        shares: of the documents that were learned from, of each of them, of others, and last of none.
        documents: how many these are.
    """

    name: str
    known: tuple[str, ...]
    shares: tuple[float, ...]
    documents: int
    kind: FieldKind = "category"
    monotone: int = 0

    @classmethod
    def learned(cls, field: NamedField, documents: Values) -> CategoryField | None:
        """From documents; None where none of them has the field."""
        counted = Counter(key for one in documents for key in _keys(field.name, one))
        if not counted:
            return None
        often = [key for key, count in counted.most_common() if count >= LEAST_DOCUMENTS]
        bare = cls(field.name, tuple(often[:MOST_CATEGORIES]), (), 0)
        return replace(bare, shares=bare.shares_of(documents), documents=len(documents))

    def columns(self, metadata: Values, _now_us: int) -> Columns:
        """Features of a list's documents, float32 (n,)."""
        table = self._table(metadata)
        names = [*(f"is:{self.name}={key}" for key in self.known), f"other:{self.name}", f"missing:{self.name}"]
        return dict(zip(names, table.T, strict=True))

    @property
    def directions(self) -> dict[str, int]:
        """Any value may help or harm."""
        return {}

    def told(self, _metadata: Mapping[str, Any], _now_us: int) -> dict[str, float | None]:
        """The columns are read as they are."""
        return {}

    def shares_in(self, metadata: Values, _now_us: int) -> tuple[float, ...]:
        """`shares` of other documents."""
        return self.shares_of(metadata)

    def shares_of(self, metadata: Values) -> tuple[float, ...]:
        """How large a part of them is of each known value, of others, and of none; one may be of several."""
        return tuple(self._table(metadata).mean(axis=0).tolist()) if metadata else ()

    def _table(self, metadata: Values) -> FloatArray:
        place = {key: at for at, key in enumerate(self.known)}
        table = np.zeros((len(metadata), len(self.known) + 2), np.float32)
        for row, one in enumerate(metadata):
            keys = _keys(self.name, one)
            table[row, [place.get(key, -2) for key in keys] or [-1]] = 1
        return table


LearnedField = NumberField | CategoryField


def learn(fields: Sequence[NamedField], documents: Values, now_us: int) -> tuple[LearnedField, ...]:
    """What is known of the fields from documents, each once; without the fields that none of them has."""
    found = [
        CategoryField.learned(field, documents)
        if field.kind == "category"
        else NumberField.learned(field, documents, now_us)
        for field in fields
    ]
    return tuple(field for field in found if field is not None)


def as_json(field: LearnedField) -> dict[str, Any]:
    """For a model's manifest."""
    return asdict(field)


def from_json(found: Mapping[str, Any]) -> LearnedField:
    """What `as_json` gave, and JSON kept.

    Raises:
        TypeError, KeyError: it is none.
    """
    given: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}
    return CategoryField(**given) if found["kind"] == "category" else NumberField(**given)


def _numbers(name: str, kind: FieldKind, metadata: Values, now_us: int) -> Numbers:
    found = np.array([_readable(kind, one.get(name)) for one in metadata], np.float64)
    return found - now_us / 1e6 / DAY_S if kind == "date" else found


def _even(values: Numbers) -> Numbers:
    """As logarithms: a coin, or a day, more is much for what is cheap or new, and little for what is dear or old."""
    found: Numbers = np.sign(values) * np.log1p(np.abs(values))
    return found


def _keys(name: str, metadata: Mapping[str, Any]) -> list[str]:
    found = _readable("category", metadata.get(name))
    return [_key(value) for value in found] if isinstance(found, tuple) else []
