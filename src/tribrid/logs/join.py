"""Search logs from elsewhere: OpenSearch User Behavior Insights (1.3) and Tribrid's own form.

Reads query and event records, in any order and mixed in one stream or several, and joins them by `query_id`.
Events may come before their query, so every record is sorted by query_id first, on disk beyond some megabytes:
memory does not grow with the log, and the time per record hardly. Feedback that fits no impression is handed back as
`Skipped` of kind `unjoined`, so that a wrong field shows as a low join rate and not as silence.

`ubi`: a record with an `action_name` is an event, else it is a query; documents as a search answer wraps them
(`_source`) are unwrapped. What was shown is `query_response_hit_ids`, or, where that is empty or names none of the
documents that `impression` events do, those events by `position.ordinal`. Of records that share a query_id the one
with most hits stands for it. `UBI_ACTIONS` tells which actions are feedback; all others come back as `ignored`.
An event without a document is on the one at its `position.ordinal`, which counts from 0 if any such event of the log
stands at 0, else from 1.

`native`: an impression is {"query_id", "query", "timestamp", "shown": [doc_id | {"doc_id", "rank"?, "score"?}],
"client_id"?}, ranks by position unless given. Feedback is {"query_id", "signal", "doc_id"?, "value"?, "timestamp"?};
without a timestamp it has its impression's. A timestamp is ISO 8601 (UTC unless it says otherwise) or a number of
seconds, milliseconds or microseconds since 1970.

References: o19s/ubi, schema 1.3.0 (query.request and event).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

from tribrid.corpus.jsonlines import Item, Skipped, Stream, json_items, peek, stream_name
from tribrid.corpus.lexical import normalise
from tribrid.logs.blocks import MAX_RECORD_BYTES, Blocks
from tribrid.logs.causes import Evidence
from tribrid.logs.records import (
    NO_DOCUMENT,
    NO_IMPRESSION,
    NO_QUERY,
    NOT_SHOWN,
    NOTHING_SHOWN,
    OTHER_QUERY,
    Acted,
    Kind,
    Place,
    Rejected,
    Served,
    native_record,
    ubi_record,
)
from tribrid.logs.staging import MAX_GROUP_BYTES, Group, Staged
from tribrid.store.columns import Columns
from tribrid.types import FIRST_RANK, Feedback, Impression, ShownDoc, Signal

Form = Literal["native", "ubi"]
Stored = Callable[[Sequence[str]], Mapping[str, Impression]]
"""Those of the query_ids that stand for a list already, with it."""

TOLD_EVERY = 10_000
_BLANK = b"\xef\xbb\xbf \t\r\n"
IMPORTED_MODEL_ID = "imported"
_READERS: Mapping[Form, Callable[[int, str, Mapping[str, object]], Served | Acted | None]]
_READERS = {"native": native_record, "ubi": ubi_record}
_IS_EVENT: Mapping[Form, str] = {"native": "signal", "ubi": "action_name"}
# Groups whose stored lists are asked for together.
_LOOKUP_GROUPS = 500


class ImportedImpression(NamedTuple):
    """A list that another search engine served. `line` is where its query record stood, from 1."""

    line: int
    query_id: str
    query: str
    places: Sequence[Place]
    created_us: int
    client_id: str | None = None

    @property
    def shown(self) -> tuple[ShownDoc, ...]:
        """The list in rank order; no passage and no legs are known of its documents."""
        return tuple(ShownDoc(doc_id, rank, score, 0, 0, {}) for doc_id, rank, score in self.places)

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
            client_id=self.client_id,
        )


class ImportedFeedback(NamedTuple):
    """A signal joined to its impression. `line` is where its event stood, from 1."""

    line: int
    query_id: str
    signal: Signal
    doc_id: str | None
    value: float | None
    created_us: int

    def feedback(self) -> Feedback:
        """The same as the store's feedback."""
        return Feedback(self.query_id, self.signal, self.doc_id, self.value, self.created_us)


@dataclass(frozen=True, slots=True)
class Joined:
    """All that one query_id gave, from how many `records`.

    `impression` is what the log says was shown, or, where it does not say, the list `stored` under the query_id
    before; one of the two is set if there is feedback. Feedback is oldest first.
    """

    records: int = 0
    impression: ImportedImpression | None = None
    stored: Impression | None = None
    feedback: list[ImportedFeedback] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)


class LogJoin:
    """A log on its way in: `read` it, then take it `joined`, as often as need be. Close it, or use it in a `with`."""

    def __init__(self, form: Form, columns: Columns | None = None) -> None:
        """`columns`: where records wait; None for a place of its own."""
        self.evidence = Evidence(form)
        self.records = Staged(columns)
        self._form: Form = form
        self._from_zero = False

    def __enter__(self) -> LogJoin:
        return self

    def __exit__(self, *raised: Any) -> None:
        self.records.close()

    def __len__(self) -> int:
        """Records that wait to be joined."""
        return self.records.count

    def read(self, *streams: Stream, tell: Callable[[int], None] | None = None) -> Iterator[Skipped]:
        """Take the streams in; yields the records that are not taken, and why.

        Args:
            tell: is told how many were read, now and then.
        """
        for stream in streams:
            source = stream_name(stream)
            self.records.source(source)
            start, whole = peek(stream)
            self.evidence.begins(start)
            if self._form == "ubi" and start.lstrip(_BLANK)[:1] not in (b"[", b""):
                yield from Blocks(self.records, self.evidence, self.take, source).read(whole, tell)
                continue
            for number, item in enumerate(json_items(whole, max_item_bytes=MAX_RECORD_BYTES), 1):
                skipped = self.take(item, source)
                if skipped is not None:
                    yield skipped
                if tell is not None and number % TOLD_EVERY == 0:
                    tell(number)
        self.records.flush()

    def joined(self, stored: Stored = lambda _: {}, but: str | None = None) -> Iterator[Joined]:
        """What the log gives, by query_id.

        Args:
            stored: asked for the lists of events whose impression the log does not have.
            but: a table of query_ids that are left out.
        """
        batch: list[Group] = []
        size = 0
        for group in self.records.groups(but):
            batch.append(group)
            size += group.size
            if len(batch) == _LOOKUP_GROUPS or size >= MAX_GROUP_BYTES:
                yield from _joined(batch, stored, self._from_zero)
                batch, size = [], 0
        yield from _joined(batch, stored, self._from_zero)

    def take(self, item: Item | Skipped, source: str) -> Skipped | None:
        """Take one record; why not, if it is none."""
        if isinstance(item, Skipped):
            self.evidence.refused(item.reason)
            return replace(item, source=source)
        record = item.value
        if isinstance(record, dict) and isinstance(record.get("_source"), dict):
            record = record["_source"]
        if not isinstance(record, dict):
            self.evidence.refused("not a JSON object")
            return Skipped(item.line, "not a JSON object", source=source)
        try:
            taken = _READERS[self._form](item.line, source, record)
        except Rejected as rejected:
            self.evidence.rejected(record, rejected, is_event=_IS_EVENT[self._form] in record)
            return Skipped(item.line, str(rejected), kind=rejected.kind, source=source)
        if taken is not None:
            self.evidence.taken(record, taken)
            self.records.add(taken)
            self._from_zero |= isinstance(taken, Acted) and not taken.doc_ids and taken.ordinal == 0
        return None


def _joined(groups: list[Group], stored: Stored, from_zero: bool) -> Iterator[Joined]:
    read = [_Read.of(group, from_zero) for group in groups]
    asked = [one.group.query_id for one in read if one.impression is None and one.group.acted]
    found = stored(asked) if asked else {}
    for one in read:
        yield one.joined(found.get(one.group.query_id))


class _Read(NamedTuple):
    """One query_id's records: the query record that stands for them, and the impression they make, if any."""

    group: Group
    best: Served | None
    impression: ImportedImpression | None
    from_zero: bool

    @classmethod
    def of(cls, group: Group, from_zero: bool) -> _Read:
        best = max(group.served, key=lambda record: (len(record.shown), record.at_us), default=None)
        return cls(group, best, _impression(group.query_id, best, group.seen), from_zero)

    def joined(self, stored: Impression | None) -> Joined:
        """Feedback on the impression of the log, or else on the `stored` one."""
        shown = self.impression or stored
        out = Joined(self.group.records, self.impression, None if self.impression else stored)
        out.skipped.extend(self._unused(shown))
        taken: set[tuple[Signal, str | None, int]] = set()
        named = {place[0] for place in self.impression.places} if self.impression else set()
        if stored and not self.impression:
            named = {document.doc_id for document in stored.shown}
        for event in self.group.acted:
            found = _feedback(self._placed(event, shown), shown, named, taken)
            (out.skipped if isinstance(found, Skipped) else out.feedback).append(found)  # type: ignore[arg-type]
        out.feedback.sort(key=lambda feedback: feedback.created_us)
        return out

    def _placed(self, event: Acted, shown: ImportedImpression | Impression | None) -> Acted:
        """An event that names a place alone, with the document that stood there."""
        if event.doc_ids or event.ordinal is None or shown is None:
            return event
        rank = event.ordinal + FIRST_RANK if self.from_zero else event.ordinal
        there = {doc.rank: doc.doc_id for doc in shown.shown}.get(rank)
        # What was seen there says it itself, from wherever it counts.
        there = {other.ordinal: other.doc_ids[0] for other in self.group.seen if other.doc_ids}.get(
            event.ordinal, there
        )
        return event._replace(doc_ids=(there,)) if there else event

    def _unused(self, shown: ImportedImpression | Impression | None) -> Iterator[Skipped]:
        group = self.group
        for record in group.served:
            if self.impression is None and record is self.best:
                yield _skip(record, NOTHING_SHOWN, "ignored")
            elif self.best and normalise(record.query) != normalise(self.best.query):
                yield _skip(record, "the query_id stands for another query already", "ignored")
        if shown is None and group.seen and not group.served and not group.acted:
            yield _skip(group.seen[0], NO_QUERY, "unjoined")
        for beyond in group.overflow:
            yield _skip(beyond, "too many records have this query_id", "unjoined")


def _impression(query_id: str, best: Served | None, seen: list[Acted]) -> ImportedImpression | None:
    query = best.query if best else next((event.query for event in seen if event.query), None)
    if query is None:
        return None
    seen = [event for event in seen if _same_query(event, query)]
    shown = best.shown if best else ()
    named = {place[0] for place in shown} if seen else set()
    if seen and not any(named.intersection(event.doc_ids) for event in seen):
        shown = _seen_order(seen)
    times = [best.at_us] if best else [event.at_us for event in seen if event.at_us is not None]
    if not shown or not times:
        return None
    first = best or seen[0]
    return ImportedImpression(first.line, query_id, query, shown, min(times), first.client_id)


def _seen_order(seen: list[Acted]) -> list[Place]:
    """Documents by the ordinals of their impression events, which count from 0 or from 1, with ranks from 1."""
    ordinals: dict[str, int] = {}
    for event in seen:
        if event.doc_ids and event.ordinal is not None:
            doc_id = event.doc_ids[0]
            ordinals[doc_id] = min(event.ordinal, ordinals.get(doc_id, event.ordinal))
    from_zero = 0 in ordinals.values()
    shown: list[Place] = []
    rank = FIRST_RANK - 1
    for doc_id in sorted(ordinals, key=lambda name: ordinals[name]):
        # Two documents may claim one place: ranks stay distinct, and gaps (a second page) stay gaps.
        rank = max(ordinals[doc_id] + from_zero, rank + 1)
        shown.append((doc_id, rank, 0.0))
    return shown


def _feedback(
    event: Acted,
    impression: ImportedImpression | Impression | None,
    shown: set[str],
    taken: set[tuple[Signal, str | None, int]],
) -> ImportedFeedback | Skipped:
    if impression is None or event.signal is None:
        return _skip(event, NO_IMPRESSION, "unjoined")
    if not _same_query(event, impression.query):
        return _skip(event, OTHER_QUERY, "unjoined")
    doc_id = _shown_name(event, shown)
    if doc_id is None and not _is_of_the_list(event):
        return _skip(event, NOT_SHOWN if event.doc_ids else NO_DOCUMENT, "unjoined")
    at_us = impression.created_us if event.at_us is None else event.at_us
    if (event.signal, doc_id, at_us) in taken:
        return _skip(event, "the same event came before", "ignored")
    taken.add((event.signal, doc_id, at_us))
    return ImportedFeedback(event.line, event.query_id, event.signal, doc_id, event.value, at_us)


def _shown_name(event: Acted, shown: set[str]) -> str | None:
    return next((name for name in event.doc_ids if name in shown), None)


def _is_of_the_list(event: Acted) -> bool:
    """Whether it says something of the whole list."""
    return not event.doc_ids and event.ordinal is None


def _same_query(event: Acted, query: str) -> bool:
    return event.query is None or event.query == query or normalise(event.query) == normalise(query)


def _skip(record: Served | Acted, reason: str, kind: Kind) -> Skipped:
    doc_id = record.doc_ids[0] if isinstance(record, Acted) and record.doc_ids else None
    return Skipped(record.line, reason, doc_id=doc_id, kind=kind, source=record.source)
