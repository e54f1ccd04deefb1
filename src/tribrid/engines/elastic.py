"""The documents of an OpenSearch or Elasticsearch index, as one moment has them.

By a scroll, which is the same in both and in every version. A point in time is asked for in two ways, and needs an
order over all shards, which the two do not have by one name.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from pydantic import Field

from tribrid.engines.http import Engine, Form, formed, since_value
from tribrid.engines.source import Records, Source
from tribrid.errors import TribridError, Unavailable


class _Shards(Form):
    total: int = 0
    successful: int = 0
    failed: int = 0


class _Hit(Form):
    id: str = Field(alias="_id")
    source: dict[str, Any] | None = Field(None, alias="_source")


class _Hits(Form):
    hits: list[_Hit]


class _Answer(Form):
    hits: _Hits
    shards: _Shards = Field(_Shards(), alias="_shards")
    timed_out: bool = False


_AT_ONCE = 500
_KEEP = "5m"
"""How long the engine keeps the scroll between two requests: meanwhile that many documents are stored here."""


def documents(source: Source, key: str | None) -> Records:
    """Every document, as it is asked for.

    Args:
        key: user:password, or an API key as Elasticsearch encodes it.

    Raises:
        NotFound, InvalidInput, Unavailable: as Engine.ask.
    """
    wanted: dict[str, Any] = {"match_all": {}}
    if source.since is not None:
        wanted = {"range": {str(source.changed): {"gte": since_value(source.since)}}}
    first = f"/{quote(str(source.name), safe=',*')}/_search?scroll={_KEEP}"
    with Engine(source.address, _headers(key)) as engine:
        answer = engine.ask("POST", first, {"size": _AT_ONCE, "sort": ["_doc"], "query": wanted})
        scroll_id = answer.get("_scroll_id")
        try:
            while hits := _hits(answer):
                for hit in hits:
                    yield hit.id, hit.source or {}
                scroll_id = answer.get("_scroll_id", scroll_id)
                answer = engine.ask("POST", "/_search/scroll", {"scroll": _KEEP, "scroll_id": scroll_id})
        finally:
            with suppress(TribridError):  # it is only let go of: unasked it goes after a while
                engine.ask("DELETE", "/_search/scroll", {"scroll_id": [scroll_id]})


def _hits(answer: Mapping[str, Any]) -> list[_Hit]:
    """One answer's documents.

    Raises:
        Unavailable: it is none, or not all shards answered. What is missing would look as if it were gone.
    """
    found = formed(answer, _Answer, "OpenSearch or Elasticsearch")
    if found.timed_out or found.shards.failed:
        shards = found.shards
        raise Unavailable(f"pull: only {shards.successful} of {shards.total} shards answered. Try again.")
    return found.hits.hits


def _headers(key: str | None) -> dict[str, str]:
    if key is None:
        return {}
    if ":" in key:
        return {"Authorization": f"Basic {base64.b64encode(key.encode()).decode()}"}
    return {"Authorization": f"ApiKey {key}"}
