"""Takes lists and documents out of segments: the segments that hold them are written anew without, the others stay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

import sqlalchemy as sa

from tribrid.store.segments import Reading, Segment, Segments
from tribrid.types import FIRST_RANK


@dataclass(slots=True)
class Gone:
    """What went: how many lists, with how much feedback, and of each query's text the first segment that had it."""

    lists: int = 0
    acts: int = 0
    queries: dict[str, int] = field(default_factory=dict)


def erase(segments: Segments, connection: sa.Connection, reading: Reading, these: str, *values: object) -> Gone:
    """Take out the lists for which a condition holds, with their feedback, within the caller's transaction.

    `Segments.remove_dropped` after it removes the files that held them.

    Args:
        these: in the columns of `lists`; `values` stand for its question marks.
    """
    columns, gone = reading.columns, Gone()
    found = f"CREATE OR REPLACE TEMP TABLE going AS SELECT segment, list_number, query FROM lists WHERE {these}"
    columns.run(found, *values)
    counted = "SELECT segment, count(*) FROM acts SEMI JOIN going USING (segment, list_number) GROUP BY segment"
    acts: Counter[int] = Counter(dict(columns.rows(counted)))
    for segment, lists in columns.rows("SELECT segment, count(*) FROM going GROUP BY segment ORDER BY segment"):
        gone.lists, gone.acts = gone.lists + lists, gone.acts + acts[segment]
    for text, first in columns.rows("SELECT query, min(segment) FROM going GROUP BY query"):
        gone.queries[text] = first
    for segment in _touched(reading, "going"):
        left = (
            f"segment = {segment.segment_number} AND list_number NOT IN (SELECT list_number FROM going WHERE segment = "
        )
        left += f"{segment.segment_number})"
        acts_left = f"SELECT * FROM acts WHERE {left}"
        segments.rewrite(connection, reading, segment, f"SELECT * FROM lists WHERE {left}", acts_left)
    return gone


def erase_documents(
    segments: Segments, connection: sa.Connection, reading: Reading, doc_ids: Collection[str]
) -> tuple[int, int]:
    """Take documents out of the lists that showed them, with what was done with them; ranks stay. How many lists, and
    how many acts.
    """
    columns = reading.columns
    columns.table("names", {"doc_id": ("text", sorted(doc_ids))})
    columns.run("CREATE OR REPLACE TEMP TABLE name AS SELECT list(doc_id) AS ids FROM names")
    showed = "SELECT segment, list_number FROM lists WHERE list_has_any(doc_ids, (SELECT ids FROM name))"
    columns.run(f"CREATE OR REPLACE TEMP TABLE showed AS {showed}")
    of_them = "doc_id IN (SELECT doc_id FROM names)"
    (acts,) = columns.one(f"SELECT count(*) FROM acts WHERE {of_them}")
    (lists,) = columns.one("SELECT count(*) FROM showed")
    for segment in _touched(reading, "showed"):
        this = f"segment = {segment.segment_number}"
        acts_left = f"SELECT * FROM acts WHERE {this} AND (doc_id IS NULL OR NOT {of_them})"
        segments.rewrite(connection, reading, segment, f"{_WITHOUT} WHERE {this}", acts_left)
    return lists, acts


def documents_like(reading: Reading, stem: str) -> set[str]:
    """The documents that lists showed whose ids begin so."""
    rows = reading.columns.rows(
        "SELECT DISTINCT doc_id FROM (SELECT unnest(doc_ids) AS doc_id FROM lists) WHERE starts_with(doc_id, ?)", stem
    )
    return {row[0] for row in rows}


def queries(reading: Reading) -> set[str]:
    """Every query as it was written."""
    return {row[0] for row in reading.columns.rows("SELECT DISTINCT query FROM lists")}


# A list that begins without ranks has them afterwards: what was third stays third.
_RANKS = f"coalesce(ranks, range({FIRST_RANK}, len(doc_ids) + {FIRST_RANK})::INT[])"
_PLACES = "list_filter(range(1, len(doc_ids) + 1), lambda place: NOT list_contains(ids, doc_ids[place]))"
_WITHOUT = f"""
    SELECT * EXCLUDE (kept, own_ranks, ids) REPLACE (
        list_transform(kept, lambda place: doc_ids[place]) AS doc_ids,
        CASE WHEN ranks IS NULL AND len(kept) = len(doc_ids) THEN NULL
             ELSE list_transform(kept, lambda place: own_ranks[place]) END AS ranks,
        CASE WHEN scores IS NULL THEN NULL ELSE list_transform(kept, lambda place: scores[place]) END AS scores
    ) FROM (SELECT *, {_PLACES} AS kept, {_RANKS} AS own_ranks FROM lists, name)
"""


def _touched(reading: Reading, table: str) -> Iterator[Segment]:
    numbers = {row[0] for row in reading.columns.rows(f"SELECT DISTINCT segment FROM {table}")}
    return (segment for segment in reading.segments if segment.segment_number in numbers)
