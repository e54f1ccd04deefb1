"""Logs from elsewhere: read, join, refuse what joins nothing, store, and say what joined.

A log is read twice at most where something joins (the first look ends with the first event that does), and nothing is
stored before that look: a refused import leaves nothing behind.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Collection, Iterable, Iterator

from tribrid.answers.logs import LogImport
from tribrid.corpus.jsonlines import Skipped
from tribrid.errors import InvalidInput
from tribrid.logs.bulk import SETTLED, Bulk
from tribrid.logs.join import IMPORTED_MODEL_ID, Form, Joined, LogJoin
from tribrid.logs.reconstruction import import_clicks
from tribrid.logs.records import NOT_SHOWN
from tribrid.logs.tally import Tally
from tribrid.store.logimport import FeedbackImport, NewList
from tribrid.types import Emit
from tribrid.workspace.corpus import OpenCorpus

BATCH_QUERIES = 1000
FORMATS: tuple[str, ...] = ("native", "ubi", "clicks")


def import_logs(
    corpus: OpenCorpus, stream: Iterable[bytes], format_: str, emit: Emit, *, a_part: bool = False
) -> LogImport:
    """Import a log, in bounded memory; importing the same again adds nothing.

    Args:
        a_part: it is what came since the last time, which may be a few strays: not refused where nothing joins.

    Raises:
        NoDocuments: a click log, and a corpus without documents to reconstruct impressions from.
        InvalidInput: another format; or there were events and none of them joins, with the likely cause.
    """
    if format_ == "clicks":
        return import_clicks(corpus, stream, emit)
    if format_ == "ubi":
        return _import_joined(corpus, stream, "ubi", emit, a_part=a_part)
    if format_ == "native":
        return _import_joined(corpus, stream, "native", emit)
    raise InvalidInput(f"format: {format_!r} is not one of {', '.join(FORMATS)}.", format=format_)


def _import_joined(
    corpus: OpenCorpus, stream: Iterable[bytes], form: Form, emit: Emit, *, a_part: bool = False
) -> LogImport:
    tally = Tally()
    with LogJoin(form, corpus.store.segments.cursor()) as log:
        tally.skip(log.read(stream, tell=lambda done: emit("progress", {"stage": "reading", "done": done})))
        bulk = Bulk(corpus, log)
        joins = _Joins(corpus, log, bulk if bulk.is_large else None)
        if not a_part and not joins.bulk_joins():
            joins.refuse_if_none(copy.deepcopy(tally))
        joins.store_bulk(tally)
        done = len(log) - joins.doubtful
        emit("progress", {"stage": "storing", "done": done, "total": len(log)})
        for batch in joins.batches():
            tally.skip(skipped for joined in batch for skipped in joined.skipped)
            joins.count_unknown(batch, tally)
            stored = corpus.store.logs.add_lists(corpus.corpus_id, list(_lists(batch)))
            corpus.store.logs.fold_late(corpus.corpus_id)
            tally.store(stored)
            tally.skip(_rejected(batch, stored.feedback))
            done += sum(joined.records for joined in batch)
            emit("progress", {"stage": "storing", "done": done, "total": len(log)})
        return tally.answer(corpus.corpus_id, len(log))


class _Joins:
    """A log's joined queries, and which of their documents the corpus holds."""

    def __init__(self, corpus: OpenCorpus, log: LogJoin, bulk: Bulk | None) -> None:
        """`bulk`: what is stored at once; None where nothing is."""
        self._corpus = corpus
        self._log = log
        self._bulk = bulk
        if bulk:
            bulk.split()
        first = next(iter(corpus.store.documents.iterate(corpus.corpus_id, batch=1)), None)
        self._doc_id = first.doc_id if first else None

    def batches(self) -> Iterator[list[Joined]]:
        lists = self._corpus.store.logs.lists
        but = SETTLED if self._bulk else None
        joined = self._log.joined(lambda query_ids: lists(self._corpus.corpus_id, query_ids), but)
        while batch := list(itertools.islice(joined, BATCH_QUERIES)):
            yield batch

    @property
    def _bulk_lists(self) -> int:
        return self._bulk.lists if self._bulk else 0

    def bulk_joins(self) -> bool:
        """Whether any event of what is stored at once is on a document that the corpus holds, if it holds any."""
        if self._doc_id is None:
            return self._bulk is not None and self._bulk.acts > 0
        return any(known for _, known in self._named_of_bulk())

    @property
    def doubtful(self) -> int:
        """How many records are not stored at once."""
        return len(self._log) - (self._bulk.records if self._bulk else 0)

    def store_bulk(self, tally: Tally) -> None:
        """Store what is stored at once, and count its events on documents that the corpus does not hold."""
        if self._bulk:
            self._bulk.store(tally)
            self._count_unknown_of_bulk(tally)

    def _count_unknown_of_bulk(self, tally: Tally) -> None:
        for batch, known in self._named_of_bulk() if self._doc_id is not None else ():
            for doc_id, events in batch:
                tally.unknown(itertools.repeat(doc_id, events), known)

    def _named_of_bulk(self) -> Iterator[tuple[list[tuple[str, int]], Collection[str]]]:
        """The documents that its events name, with how many, and which of them the corpus holds; some at a time."""
        named = self._bulk.named() if self._bulk else iter(())
        while batch := list(itertools.islice(named, BATCH_QUERIES)):
            yield batch, self._corpus.store.documents.exists(self._corpus.corpus_id, {doc_id for doc_id, _ in batch})

    def count_unknown(self, batch: list[Joined], tally: Tally) -> int:
        """Count feedback on documents that the corpus does not hold, if it holds any; how much is on those it does."""
        named = [event.doc_id for joined in batch for event in joined.feedback if event.doc_id is not None]
        whole_list = sum(len(joined.feedback) for joined in batch) - len(named)
        if self._doc_id is None:
            return len(named) + whole_list
        known = self._corpus.store.documents.exists(self._corpus.corpus_id, set(named))
        tally.unknown(named, known)
        return whole_list + sum(doc_id in known for doc_id in named)

    def refuse_if_none(self, tally: Tally) -> None:
        """Look for one event that joins.

        Raises:
            InvalidInput: there were events, and none does.
        """
        impressions = self._bulk_lists
        self._count_unknown_of_bulk(tally)
        evidence = self._log.evidence
        for batch in self.batches():
            if self.count_unknown(batch, tally):
                return
            impressions += sum(joined.impression is not None for joined in batch)
            tally.skip(skipped for joined in batch for skipped in joined.skipped)
            if impressions and not evidence.events and not evidence.rejected_events:
                return
        nothing_taken = not impressions and bool(evidence.reasons)
        if evidence.events or evidence.rejected_events or tally.unjoined or nothing_taken:
            raise tally.refusal(evidence, self._doc_id)


def _lists(batch: list[Joined]) -> Iterator[NewList]:
    """What is to be stored. Feedback on a list that is stored already comes with what is stored."""
    for joined in batch:
        feedback = [event.feedback() for event in joined.feedback]
        if joined.impression is not None:
            _, query_id, query, places, created_us, client_id = joined.impression
            shown = [(doc_id, rank, score, 0, 0) for doc_id, rank, score in places]
            yield NewList(query_id, query, shown, created_us, IMPORTED_MODEL_ID, "import", client_id, feedback)
        elif joined.stored is not None and feedback:
            there = joined.stored
            known = [(doc.doc_id, doc.rank, doc.score, doc.start, doc.end) for doc in there.shown]
            yield NewList(
                there.query_id, there.query, known, there.created_us, there.model_id, there.source, None, feedback
            )


def _rejected(batch: list[Joined], done: FeedbackImport) -> Iterator[Skipped]:
    """Events that joined the log's list, where another list is stored under the query_id."""
    if not done.rejected:
        return
    events = [event for joined in batch for event in joined.feedback]
    for position, _ in done.rejected:
        event = events[position]
        yield Skipped(event.line, f"{NOT_SHOWN} in the list stored before", doc_id=event.doc_id, kind="unjoined")
