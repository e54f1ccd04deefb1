"""A source with its mapping: what is pulled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

from tribrid.config import Environment
from tribrid.engines import elastic, postgres, qdrant
from tribrid.engines.mapping import Mapped
from tribrid.engines.source import Records, Source


def mapped(mapping: Mapping[str, str | Sequence[str]], changed: str | None) -> Mapped:
    """The mapping, checked.

    Raises:
        InvalidInput: as Mapped.
    """
    return Mapped({field: (of,) if isinstance(of, str) else tuple(of) for field, of in mapping.items()}, changed)


def records(source: Source, environment: Environment, needed: Sequence[str]) -> Records:
    """The source's records, as they are asked for; the first is, at once: what cannot be read at all begins nothing.

    Args:
        needed: fields that must be there, where the engine says which there are.

    Raises:
        InvalidInput, NotFound, Unavailable, MissingExtra: as the engine's module.
    """
    found = _records(source, environment, needed)
    first = next(found, None)
    return iter(()) if first is None else chain((first,), found)


def _records(source: Source, environment: Environment, needed: Sequence[str]) -> Records:
    key = environment.cloud_keys.get("pull")
    if source.kind == "postgresql":
        return postgres.rows(source, environment, needed)
    return elastic.documents(source, key) if source.kind == "elastic" else qdrant.points(source, key)
