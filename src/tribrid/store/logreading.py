"""A corpus's log as mining reads it: every list that was served, with what was done with it, a block at a time."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import sqlalchemy as sa

from tribrid.store import tables
from tribrid.store.database import Database
from tribrid.store.segment_blocks import Span, blocks, in_time
from tribrid.store.segments import Segment, Segments, listed
from tribrid.store.tables_segments import log_segments
from tribrid.types import Feedback, LoggedList, Signal
from tribrid.types.logblocks import LogBlock, in_blocks

# Impressions per page: with 100 documents shown each, some 40 MB.
PAGE_ROWS = 1000
_IMPRESSION = tables.impressions.c
_FEEDBACK = tables.feedback.c
_SIGNALS = {str(signal): signal for signal in Signal}
# Rows are read by their place: by name costs as much again as reading them.
_COLUMNS = (
    _IMPRESSION.created_us,
    _IMPRESSION.impression_number,
    _IMPRESSION.query_id,
    _IMPRESSION.query,
    # As text, to be decoded one by one: the collector of garbage takes longer over a page of lists than decoding them.
    sa.cast(_IMPRESSION.shown, sa.Text),
    _IMPRESSION.source,
    _IMPRESSION.client_id,
    _IMPRESSION.filter.is_not(None),
)


def log_blocks(
    database: Database,
    segments: Segments,
    corpus_id: str,
    *,
    named: bool = False,
    since_us: int | None = None,
    until_us: int | None = None,
) -> Iterator[LogBlock]:
    """Lists in the order of time, each with its feedback, oldest first.

    Lists with a fallback_reason are left out: users judged an order that the reranker did not make. Each page is read
    in a transaction of its own, so a slow consumer holds nothing open. `named`: only lists with a client_id;
    `since_us`, `until_us`: only lists from then on, and before then.
    """
    first = sa.select(sa.func.min(_IMPRESSION.created_us)).where(_IMPRESSION.corpus_id == corpus_id)
    with database.read() as connection:
        found = listed(connection, corpus_id)
        first_us = connection.execute(first).scalar_one()
    spans = [
        Span(one.first_us, one.last_us, _older(database, segments, one, named, since_us, until_us))
        for one in found
        if (since_us is None or one.last_us >= since_us) and (until_us is None or one.first_us < until_us)
    ]
    rows = in_blocks(_rows(database, corpus_id, named=named, since_us=since_us, until_us=until_us))
    # A row may come in at any time, and of any time.
    whole = Span(_NEVER if first_us is None else first_us, _NEVER, rows)
    yield from in_time([*spans, whole])


_NEVER = 2**63


def _older(
    database: Database, segments: Segments, one: Segment, named: bool, since_us: int | None, until_us: int | None
) -> Iterator[LogBlock]:
    with ExitStack() as opened:
        this = log_segments.c.segment_number == one.segment_number
        with database.read() as connection:
            reading = opened.enter_context(segments.reading(connection, one.corpus_id, this))
        if reading:
            yield from blocks(reading, named=named, since_us=since_us, until_us=until_us)


def _rows(
    database: Database, corpus_id: str, *, named: bool, since_us: int | None, until_us: int | None
) -> Iterator[LoggedList]:
    after = (-(2**63) if since_us is None else since_us, 0)
    while True:
        with database.read(page=True) as connection:
            page = connection.execute(_page(corpus_id, after, until_us, named=named)).all()
            signals = _feedback_of(connection, {row[1]: row[2] for row in page})
        for created_us, number, query_id, query, packed, source, client_id, filtered in page:
            shown = json.loads(packed)
            docs, ranks = [doc[0] for doc in shown], [doc[1] for doc in shown]
            acts = signals.get(number, ())
            yield LoggedList(query_id, query, docs, ranks, acts, created_us, source, client_id, bool(filtered))
        if len(page) < PAGE_ROWS:
            return
        after = (page[-1][0], page[-1][1])


def _page(corpus_id: str, after: tuple[int, int], until_us: int | None, *, named: bool) -> sa.Select[Any]:
    position = sa.tuple_(_IMPRESSION.created_us, _IMPRESSION.impression_number)
    return (
        sa.select(*_COLUMNS)
        .where(_IMPRESSION.corpus_id == corpus_id, _IMPRESSION.fallback_reason.is_(None), position > after)
        .where(_IMPRESSION.client_id.is_not(None) if named else sa.true())
        .where(sa.true() if until_us is None else _IMPRESSION.created_us < until_us)
        .order_by(_IMPRESSION.created_us, _IMPRESSION.impression_number)
        .limit(PAGE_ROWS)
    )


def _feedback_of(connection: sa.Connection, query_ids: Mapping[int, str]) -> Mapping[int, Sequence[Feedback]]:
    """The feedback of a page, by impression number."""
    signals: defaultdict[int, list[Feedback]] = defaultdict(list)
    for number, signal, doc_id, value, created_us in connection.execute(_feedback(query_ids)):
        signals[number].append(Feedback(query_ids[number], _SIGNALS[signal], doc_id, value, created_us))
    return signals


def _feedback(numbers: Collection[int]) -> sa.Select[Any]:
    return (
        sa.select(
            _FEEDBACK.impression_number, _FEEDBACK.signal, _FEEDBACK.doc_id, _FEEDBACK.value, _FEEDBACK.created_us
        )
        .where(_FEEDBACK.impression_number.in_(numbers))
        .order_by(_FEEDBACK.created_us, _FEEDBACK.feedback_number)
    )
