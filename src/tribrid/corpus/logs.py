"""Search logs from elsewhere: OpenSearch User Behavior Insights (1.3) and Tribrid's own form.

Reads query and event records, in any order and mixed in one stream or several, and joins them by `query_id`:
what comes out is each impression followed by the feedback on it, oldest first. Feedback that fits no impression
is handed back as `Skipped` of kind `unjoined`, so that a wrong field shows as a low join rate and not as
silence. The records are held in memory until all are read, because events may come before their query.

References: o19s/ubi, schema 1.3.0 (query.request and event).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tribrid.corpus.jsonlines import Item, Skipped, Stream, json_items, stream_name
from tribrid.corpus.lexical import normalise
from tribrid.corpus.logrecords import Acted, Kind, Rejected, Served, native_record, shown_doc, ubi_record
from tribrid.types import Feedback, Impression, ShownDoc, Signal

_Read = Callable[[int, str, Mapping[str, Any]], Served | Acted | None]

MAX_RECORD_BYTES = 4 << 20
IMPORTED_MODEL_ID = "imported"


@dataclass(frozen=True, slots=True)
class ImportedImpression:
    """A list that another search engine served. `line` is where its query record stood, from 1."""

    line: int
    query_id: str
    query: str
    shown: tuple[ShownDoc, ...]
    created_us: int

    def impression(self, corpus_id: str) -> Impression:
        """The same as the store's impression of a corpus."""
        return Impression(
            query_id=self.query_id,
            corpus_id=corpus_id,
            query=self.query,
            shown=self.shown,
            model_id=IMPORTED_MODEL_ID,
            reranked=False,
            fallback_reason=None,
            took_ms=0.0,
            created_us=self.created_us,
            source="import",
        )


@dataclass(frozen=True, slots=True)
class ImportedFeedback:
    """A signal joined to an impression that came before it. `line` is where its event stood, from 1."""

    line: int
    query_id: str
    signal: Signal
    doc_id: str | None
    value: float | None
    created_us: int

    def feedback(self) -> Feedback:
        """The same as the store's feedback."""
        return Feedback(self.query_id, self.signal, self.doc_id, self.value, self.created_us)


Imported = ImportedImpression | ImportedFeedback | Skipped


def parse_ubi(*streams: Stream) -> Iterator[Imported]:
    """UBI query and event records, joined.

    A record with an `action_name` is an event, else it is a query; documents as a search answer wraps them
    (`_source`) are unwrapped. What was shown is `query_response_hit_ids`, or, where that is empty or names none
    of the documents that `impression` events do, those events by `position.ordinal`. Of records that share a
    query_id the one with most hits stands for it. `UBI_ACTIONS` tells which actions are feedback; all others
    are handed back as `ignored`.
    """
    return _joined(streams, ubi_record)


def parse_native_logs(*streams: Stream) -> Iterator[Imported]:
    """Tribrid's own records, joined.

    An impression is {"query_id", "query", "timestamp", "shown": [doc_id | {"doc_id", "rank"?, "score"?}]}, ranks
    by position unless given. Feedback is {"query_id", "signal", "doc_id"?, "value"?, "timestamp"?}; without a
    timestamp it has its impression's. A timestamp is ISO 8601 (UTC unless it says otherwise) or a number of
    seconds, milliseconds or microseconds since 1970.
    """
    return _joined(streams, native_record)


def _joined(streams: tuple[Stream, ...], read: _Read) -> Iterator[Imported]:
    served: dict[str, list[Served]] = {}
    acted: dict[str, list[Acted]] = {}
    for record in _records(streams, read):
        if isinstance(record, Skipped):
            yield record
        elif isinstance(record, Served):
            served.setdefault(record.query_id, []).append(record)
        else:
            acted.setdefault(record.query_id, []).append(record)
    joined = []
    for query_id in dict.fromkeys([*served, *acted]):
        first, *rest = _join_query(query_id, served.pop(query_id, []), acted.pop(query_id, []))
        if isinstance(first, ImportedImpression):
            joined.append((first, rest))
        else:
            yield from (first, *rest)
    for impression, rest in sorted(joined, key=lambda pair: pair[0].created_us):
        yield from (impression, *rest)


def _records(streams: tuple[Stream, ...], read: _Read) -> Iterator[Served | Acted | Skipped]:
    for stream in streams:
        source = stream_name(stream)
        for item in json_items(stream, max_item_bytes=MAX_RECORD_BYTES):
            record = _record(item, source, read)
            if record is not None:
                yield record


def _record(item: Item | Skipped, source: str, read: _Read) -> Served | Acted | Skipped | None:
    if isinstance(item, Skipped):
        return replace(item, source=source)
    record = item.value
    if isinstance(record, dict) and isinstance(record.get("_source"), dict):
        record = record["_source"]
    if not isinstance(record, dict):
        return Skipped(item.line, "not a JSON object", source=source)
    try:
        return read(item.line, source, record)
    except Rejected as rejected:
        return Skipped(item.line, str(rejected), kind=rejected.kind, source=source)


def _join_query(query_id: str, served: list[Served], acted: list[Acted]) -> list[Imported]:
    """All that one query_id gives: its impression first, if there is one."""
    best = max(served, key=lambda record: (len(record.shown), record.at_us), default=None)
    impression = _impression(query_id, best, [event for event in acted if event.signal is None])
    out: list[Imported] = [impression] if impression else []
    for record in served:
        if impression is None and record is best:
            out.append(_skip(record, "nothing was shown: no documents named and no impression events", "ignored"))
        elif normalise(record.query) != normalise((best or record).query):
            out.append(_skip(record, "the query_id stands for another query already", "ignored"))
    if impression is None and not served and all(event.signal is None for event in acted):
        out.append(_skip(acted[0], "no query record has this query_id", "unjoined"))
    taken: set[tuple[Signal, str | None, int]] = set()
    feedback = (_feedback(event, impression, taken) for event in acted if event.signal is not None)
    out.extend(sorted(feedback, key=lambda found: found.created_us if isinstance(found, ImportedFeedback) else 0))
    return out


def _impression(query_id: str, best: Served | None, seen: list[Acted]) -> ImportedImpression | None:
    query = best.query if best else next((event.query for event in seen if event.query), None)
    if query is None:
        return None
    seen = [event for event in seen if _same_query(event, query)]
    shown = best.shown if best else ()
    named = {document.doc_id for document in shown}
    if seen and not any(named.intersection(event.doc_ids) for event in seen):
        shown = _seen_order(seen)
    times = [best.at_us] if best else [event.at_us for event in seen if event.at_us is not None]
    if not shown or not times:
        return None
    return ImportedImpression((best or seen[0]).line, query_id, query, shown, min(times))


def _seen_order(seen: list[Acted]) -> tuple[ShownDoc, ...]:
    """Documents by the ordinals of their impression events, which count from 0 or from 1, with ranks from 1."""
    ordinals: dict[str, int] = {}
    for event in seen:
        if event.doc_ids and event.ordinal is not None:
            doc_id = event.doc_ids[0]
            ordinals[doc_id] = min(event.ordinal, ordinals.get(doc_id, event.ordinal))
    from_zero = 0 in ordinals.values()
    shown: list[ShownDoc] = []
    rank = 0
    for doc_id in sorted(ordinals, key=lambda name: ordinals[name]):
        # Two documents may claim one place: ranks stay distinct, and gaps (a second page) stay gaps.
        rank = max(ordinals[doc_id] + from_zero, rank + 1)
        shown.append(shown_doc(doc_id, rank))
    return tuple(shown)


def _feedback(
    event: Acted, impression: ImportedImpression | None, taken: set[tuple[Signal, str | None, int]]
) -> ImportedFeedback | Skipped:
    if impression is None or event.signal is None:
        return _skip(event, "no impression has this query_id", "unjoined")
    if not _same_query(event, impression.query):
        return _skip(event, "the query_id stands for another query", "unjoined")
    shown = {document.doc_id for document in impression.shown}
    doc_id = next((name for name in event.doc_ids if name in shown), None)
    if event.doc_ids and doc_id is None:
        return _skip(event, "the document was not shown", "unjoined")
    at_us = impression.created_us if event.at_us is None else event.at_us
    if (event.signal, doc_id, at_us) in taken:
        return _skip(event, "the same event came before", "ignored")
    taken.add((event.signal, doc_id, at_us))
    return ImportedFeedback(event.line, event.query_id, event.signal, doc_id, event.value, at_us)


def _same_query(event: Acted, query: str) -> bool:
    return event.query is None or normalise(event.query) == normalise(query)


def _skip(record: Served | Acted, reason: str, kind: Kind) -> Skipped:
    doc_id = record.doc_ids[0] if isinstance(record, Acted) and record.doc_ids else None
    return Skipped(record.line, reason, doc_id=doc_id, kind=kind, source=record.source)
