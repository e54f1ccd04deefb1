"""A log of searches whose users find one document for each query."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

START = datetime(2026, 5, 1, tzinfo=UTC)


def lines(
    found: Mapping[str, str],
    shown: Sequence[str],
    *,
    clients: Sequence[str] = ("ann", "ben", "cat", "dan", "eve", "fay"),
    day: int = 0,
    name: str = "s",
) -> bytes:
    """Each client searches each query once on that day and clicks what it finds.

    Args:
        found: query → the document that is clicked.
        shown: further documents of each list, below it.
        name: how the query_ids begin.
    """
    rows = []
    for place, (query, doc_id) in enumerate(found.items()):
        for number, client in enumerate(clients):
            at = (START + timedelta(days=day, minutes=len(clients) * place + number)).isoformat()
            common = {"query_id": f"{name}-{day}-{place}-{number}", "timestamp": at}
            docs = [doc_id, *(other for other in shown if other != doc_id)]
            rows.append({**common, "query": query, "shown": docs, "client_id": client})
            rows.append({**common, "signal": "click", "doc_id": doc_id})
    return "".join(json.dumps(row) + "\n" for row in rows).encode()
