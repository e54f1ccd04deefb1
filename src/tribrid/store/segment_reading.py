"""What is asked of segments: each function reads the views of a `Reading` (see segments.py)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from tribrid.store.segments import HASH, MODEL_ID, SOURCE, Reading
from tribrid.types import FIRST_RANK, Impression, ShownDoc

_LIST = "segment, list_number, query_id, query, doc_ids, ranks, scores, created_us, client_id"


class ListKey(NamedTuple):
    """What a list of a segment is known by."""

    segment: int
    list_number: int


class Kept(NamedTuple):
    """A list of a segment."""

    key: ListKey
    impression: Impression


def find(reading: Reading, query_id: str) -> Kept | None:
    """The list of a query_id, the one that was listed last."""
    found = find_all(reading, [query_id])
    return found.get(query_id)


def find_all(reading: Reading, query_ids: Collection[str]) -> dict[str, Kept]:
    """Those of the query_ids that stand for a list, with the one that was listed last."""
    columns = reading.columns
    columns.table("asked", {"query_id": ("text", list(query_ids))})
    places = columns.rows(f"SELECT segment, list_number FROM ids WHERE id_hash IN (SELECT {HASH}(query_id) FROM asked)")
    if not places:
        return {}
    columns.table(
        "places", {"s": ("int", [place[0] for place in places]), "n": ("int", [place[1] for place in places])}
    )
    corpora = {segment.segment_number: segment.corpus_id for segment in reading.segments}
    rows = columns.rows(
        f"SELECT {_LIST} FROM lists JOIN places ON segment = s AND list_number = n "
        "WHERE query_id IN (SELECT query_id FROM asked) ORDER BY segment"
    )
    return {row[2]: Kept(ListKey(row[0], row[1]), _impression(row, corpora[row[0]])) for row in rows}


def acts_of(reading: Reading, keys: Collection[ListKey]) -> set[tuple[ListKey, str, str | None, float | None, int]]:
    """What was done with these lists."""
    columns = reading.columns
    columns.table(
        "keys", {"s": ("int", [key.segment for key in keys]), "n": ("int", [key.list_number for key in keys])}
    )
    rows = columns.rows(
        "SELECT segment, list_number, signal, doc_id, value, created_us FROM acts "
        "JOIN keys ON segment = s AND list_number = n"
    )
    return {(ListKey(row[0], row[1]), *row[2:]) for row in rows}


def _impression(row: Sequence[Any], corpus_id: str) -> Impression:
    _, _, query_id, query, doc_ids, ranks, scores, created_us, client_id = row
    places = ranks or range(FIRST_RANK, FIRST_RANK + len(doc_ids))
    shown = tuple(
        ShownDoc(doc_id, rank, score, 0, 0, {})
        for doc_id, rank, score in zip(doc_ids, places, scores or [0.0] * len(doc_ids), strict=True)
    )
    return Impression(
        query_id=query_id,
        corpus_id=corpus_id,
        query=query,
        shown=shown,
        model_id=MODEL_ID,
        reranked=False,
        fallback_reason=None,
        took_ms=0.0,
        created_us=created_us,
        source=SOURCE,
        client_id=client_id,
    )
