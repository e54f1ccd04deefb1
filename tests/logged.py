"""Records of search logs as sites write them, and what is read from them."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from functools import partial
from itertools import chain
from typing import Any

from tribrid.corpus.jsonlines import Skipped
from tribrid.logs.join import Form, ImportedFeedback, ImportedImpression, LogJoin

Imported = ImportedImpression | ImportedFeedback | Skipped
T0 = "2026-01-02T03:04:05Z"
T0_US = 1_767_323_045_000_000


def parsed(form: Form, *streams: Any) -> Iterator[Imported]:
    with LogJoin(form) as log:
        yield from log.read(*streams)
        for joined in log.joined():
            yield from chain([joined.impression] if joined.impression else [], joined.skipped, joined.feedback)


parse_ubi, parse_native_logs = partial(parsed, "ubi"), partial(parsed, "native")


def ndjson(*records: Any) -> io.BytesIO:
    return io.BytesIO(b"\n".join(json.dumps(record).encode() for record in records))


def ubi_query(query_id: str = "q", text: str = "ps4", hits: list[Any] | None = None, at: Any = T0) -> dict[str, Any]:
    return {"query_id": query_id, "user_query": text, "query_response_hit_ids": hits or [], "timestamp": at}


def ubi_event(action: str, object_id: Any, ordinal: Any = 0, query_id: str = "q", **fields: Any) -> dict[str, Any]:
    attributes = {"object": {"object_id": object_id}, "position": {"ordinal": ordinal}}
    attributes |= fields.pop("attributes", {})
    return {"action_name": action, "query_id": query_id, "timestamp": T0, "event_attributes": attributes, **fields}
