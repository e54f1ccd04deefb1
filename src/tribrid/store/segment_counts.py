"""What segments come to: each function counts in the views of a `Reading` (see segments.py)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from tribrid.store.segments import Reading

_USED = "(SELECT DISTINCT segment, list_number, true AS used FROM acts)"
_WITH_USED = f"lists LEFT JOIN {_USED} AS acted USING (segment, list_number)"


class Asked(NamedTuple):
    """A list that was shown: when, for what query, to whom, and whether anybody did something with it."""

    created_us: int
    query: str
    client_id: str | None
    used: bool


class Totals(NamedTuple):
    """How much there is; times are of lists."""

    lists: int
    used: int
    first_us: int
    last_us: int


def clients(reading: Reading, since_us: int, until_us: int) -> dict[str, tuple[int, bool]]:
    """Of each client: when it first searched, and whether it did in the span."""
    inside = "bool_or(created_us >= ? AND created_us < ?)"
    rows = reading.columns.rows(
        f"SELECT client_id, min(created_us), {inside} FROM lists WHERE client_id IS NOT NULL GROUP BY client_id",
        since_us,
        until_us,
    )
    return {client_id: (first_us, there) for client_id, first_us, there in rows}


def newest(reading: Reading, most: int) -> list[Asked]:
    """The newest lists."""
    return [
        Asked(*row)
        for row in reading.columns.rows(
            f"SELECT created_us, query, client_id, coalesce(used, false) FROM {_WITH_USED} "
            "ORDER BY created_us DESC, segment DESC, list_number DESC LIMIT ?",
            most,
        )
    ]


def acts_with(reading: Reading, doc_ids: Collection[str]) -> Iterator[tuple[Any, ...]]:
    """All that was done with these documents: segment, list_number, query_id, query, client_id, signal, doc_id, value,
    created_us.
    """
    reading.columns.table("asked", {"doc_id": ("text", list(doc_ids))})
    return reading.columns.each(
        "SELECT segment, list_number, query_id, query, client_id, signal, doc_id, value, acts.created_us "
        "FROM acts JOIN lists USING (segment, list_number) WHERE doc_id IN (SELECT doc_id FROM asked) "
        "ORDER BY segment, list_number, acts.created_us, act"
    )


def days(reading: Reading, day_us: int, most: int) -> dict[int, tuple[int, int]]:
    """Of each of the newest days: how many lists, and how many of them somebody acted on."""
    rows = reading.columns.rows(
        f"SELECT created_us // ? AS day, count(*), count(used) FROM {_WITH_USED} "
        "GROUP BY day ORDER BY day DESC LIMIT ?",
        day_us,
        most,
    )
    return {day: (lists, used) for day, lists, used in rows}


def clicks(reading: Reading, signal: str, most: int) -> list[tuple[int, int, int]]:
    """The newest acts of a kind: when, when the list was, and the place that the document had in it, from 1."""
    return reading.columns.rows(
        "SELECT acts.created_us, lists.created_us, list_position(doc_ids, doc_id) FROM "
        "(SELECT * FROM acts WHERE signal = ? ORDER BY created_us DESC LIMIT ?) AS acts "
        "JOIN lists USING (segment, list_number) WHERE list_position(doc_ids, doc_id) > 0",
        signal,
        most,
    )


def totals(reading: Reading) -> Totals:
    """All together."""
    return Totals(
        *reading.columns.one(f"SELECT count(*), count(used), min(created_us), max(created_us) FROM {_WITH_USED}")
    )


def signals(reading: Reading) -> dict[str, int]:
    """How often each signal was given."""
    return dict(reading.columns.rows("SELECT signal, count(*) FROM acts GROUP BY signal"))


def spellings(reading: Reading) -> dict[str, int]:
    """Every query as it was written, with how many lists."""
    return dict(reading.columns.rows("SELECT query, count(*) FROM lists GROUP BY query"))


def first_lists(reading: Reading, queries: Collection[str], most: int) -> list[tuple[Any, ...]]:
    """Of each query the first lists: query, query_id, created_us, client_id, how many acts."""
    reading.columns.table("asked", {"query": ("text", list(queries))})
    return reading.columns.rows(
        "SELECT query, query_id, created_us, client_id, coalesce(done, 0) FROM "
        "(SELECT * FROM lists WHERE query IN (SELECT query FROM asked) QUALIFY row_number() OVER "
        "(PARTITION BY query ORDER BY created_us, segment, list_number) <= ?) AS first LEFT JOIN "
        "(SELECT segment, list_number, count(*) AS done FROM acts GROUP BY ALL) AS counted "
        "USING (segment, list_number) ORDER BY created_us, segment, list_number",
        most,
    )


def times(reading: Reading, outside: tuple[int, int], most: int) -> list[int]:
    """When the newest lists were that are not in a span, newest first."""
    rows = reading.columns.rows(
        "SELECT created_us FROM lists WHERE created_us < ? OR created_us >= ? ORDER BY created_us DESC LIMIT ?",
        *outside,
        most,
    )
    return [row[0] for row in rows]


def acts_since(reading: Reading, outside: tuple[int, int], since_us: int) -> list[tuple[Any, ...]]:
    """What was done with documents of lists from then on that are not in a span: query, query_id, signal, doc_id,
    value, created_us.
    """
    return reading.columns.rows(
        "SELECT query, query_id, signal, doc_id, value, acts.created_us "
        "FROM acts JOIN lists USING (segment, list_number) WHERE doc_id IS NOT NULL "
        "AND (lists.created_us < ? OR lists.created_us >= ?) AND lists.created_us >= ? "
        "ORDER BY segment, list_number, acts.created_us, act",
        *outside,
        since_us,
    )
