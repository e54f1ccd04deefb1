"""The payloads of a Qdrant collection's points, in the order of their ids. Their vectors stay there: ours are made by
our own encoder.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from tribrid.engines.http import Engine, Form, formed, since_value
from tribrid.engines.source import Records, Source


class _Point(Form):
    id: int | str
    payload: dict[str, Any] | None = None


class _Page(Form):
    points: list[_Point]
    next_page_offset: int | str | None = None


class _Answer(Form):
    result: _Page


_AT_ONCE = 500


def points(source: Source, key: str | None) -> Records:
    """Every point, as it is asked for. One that comes or goes meanwhile may be seen or not.

    Raises:
        NotFound, InvalidInput, Unavailable: as Engine.ask.
    """
    asked: dict[str, Any] = {"limit": _AT_ONCE, "with_payload": True, "with_vector": False}
    if source.since is not None:
        changed = {"key": source.changed, "range": {"gte": since_value(source.since)}}
        asked["filter"] = {"must": [changed]}
    path = f"/collections/{quote(str(source.name), safe='')}/points/scroll"
    with Engine(source.address, {} if key is None else {"api-key": key}) as engine:
        while True:
            page = formed(engine.ask("POST", path, asked), _Answer, "Qdrant").result
            for point in page.points:
                yield point.id, point.payload or {}
            if page.next_page_offset is None:
                return
            asked["offset"] = page.next_page_offset
