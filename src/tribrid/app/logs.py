"""Logs from elsewhere: parse, join, store, and say what joined."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

from tribrid.corpus.formats import parse_native_logs, parse_ubi
from tribrid.corpus.jsonlines import Skipped
from tribrid.corpus.logs import ImportedImpression
from tribrid.errors import InvalidInput
from tribrid.workspace import Workspace

BATCH = 2000
NAMED = 20
_PARSERS = {"native": parse_native_logs, "ubi": parse_ubi}


def import_logs(ws: Workspace, corpus_id: str, stream: Iterable[bytes], format_: str) -> dict[str, Any]:
    """Import a stream of query and event records; importing the same again adds nothing.

    Raises:
        CorpusNotFound: there is no such corpus.
        InvalidInput: another format; or there were events and none joined a query.
    """
    ws.store.corpora.get(corpus_id)
    if format_ not in _PARSERS:
        raise InvalidInput(f"format: {format_!r} is not one of {sorted(_PARSERS)}.", format=format_)
    counts = {"impressions": 0, "feedback": 0, "known_feedback": 0, "unjoined": 0, "skipped_total": 0}
    skipped: list[dict[str, Any]] = []
    records = iter(_PARSERS[format_](stream))
    while batch := list(itertools.islice(records, BATCH)):
        faults = [item for item in batch if isinstance(item, Skipped)]
        counts["unjoined"] += sum(item.kind == "unjoined" for item in faults)
        counts["skipped_total"] += len(faults)
        skipped += [{"line": item.line, "reason": item.reason} for item in faults[: NAMED - len(skipped)]]
        good = [item for item in batch if not isinstance(item, Skipped)]
        shown = [item.impression(corpus_id) for item in good if isinstance(item, ImportedImpression)]
        done = [item.feedback() for item in good if not isinstance(item, ImportedImpression)]
        counts["impressions"] += ws.store.logs.add_impressions(shown)
        joined = ws.store.logs.add_feedbacks(corpus_id, done)
        counts["feedback"] += joined.added
        counts["known_feedback"] += joined.known
        counts["unjoined"] += len(joined.rejected)
    matched = counts["feedback"] + counts["known_feedback"]
    if counts["unjoined"] and not matched:
        raise InvalidInput(
            f"None of {counts['unjoined']} events joins a query: does the events' query_id hold the queries' query_id, "
            "and their object_id the ids of the hits?",
            **counts,
        )
    rate = matched / (matched + counts["unjoined"]) if matched else None
    return {"corpus_id": corpus_id, **counts, "join_rate": rate, "skipped": skipped}
