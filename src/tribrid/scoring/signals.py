"""What the blend knows of documents beside their texts: fields of their metadata, and how much they were used."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tribrid.encoders.onnx import FloatArray
from tribrid.scoring.clicks import DIRECTIONS, Clicks
from tribrid.scoring.fields import LearnedField, as_json, from_json

Metadata = Mapping[str, Mapping[str, Any]]
"""By doc_id; a document of which nothing is known may be missing."""
Described = Callable[[Collection[str]], Metadata]
"""The metadata of documents, read when it is asked for."""


def nothing_described(_doc_ids: Collection[str]) -> Metadata:
    """Where no document has metadata."""
    return {}


@dataclass(frozen=True, slots=True)
class Signals:
    """As a training learned them, for a model to carry."""

    fields: tuple[LearnedField, ...] = ()
    clicks: Clicks | None = None

    def field_columns(self, doc_ids: Sequence[str], metadata: Metadata, now_us: int) -> dict[str, FloatArray]:
        """The fields' features of a list's documents, float32 (n,).

        Args:
            now_us: up to when dates are old.
        """
        values = [metadata.get(doc_id, {}) for doc_id in doc_ids]
        return {name: column for field in self.fields for name, column in field.columns(values, now_us).items()}

    def columns(self, doc_ids: Sequence[str], described: Described, now_us: int) -> dict[str, FloatArray]:
        """All features of a list's documents, float32 (n,); no metadata is read where there is no field."""
        fields = self.field_columns(doc_ids, described(doc_ids), now_us) if self.fields else {}
        used = {} if self.clicks is None else self.clicks.columns(doc_ids)
        return fields | used

    @property
    def directions(self) -> dict[str, int]:
        """What more of each feature may do: 1 never harm a document, -1 never help it, 0 either."""
        found = {name: way for field in self.fields for name, way in field.directions.items()}
        return {**found, **(DIRECTIONS if self.clicks is not None else {})}

    def told(self, doc_id: str, described: Described, now_us: int) -> dict[str, float | None]:
        """Features of a document as a person reads them, where that is not the feature itself; None: missing."""
        if not self.fields:
            return {}
        metadata = described([doc_id]).get(doc_id, {})
        return {name: value for field in self.fields for name, value in field.told(metadata, now_us).items()}

    def as_json(self) -> dict[str, Any]:
        """For a model's manifest."""
        clicks = {"usual": self.clicks.usual, "counts": self.clicks.counts} if self.clicks is not None else None
        return {"fields": [as_json(field) for field in self.fields], "clicks": clicks}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Signals:
        """What `as_json` gave, and JSON kept.

        Raises:
            TypeError, KeyError: it is none.
        """
        clicks = found["clicks"]
        return cls(tuple(map(from_json, found["fields"])), None if clicks is None else Clicks(**clicks))


NO_SIGNALS = Signals()
