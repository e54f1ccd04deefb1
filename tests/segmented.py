"""Lists as a segment of a corpus's log, without a log file to import them from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tribrid.store import Store
from tribrid.store.logimport import NewList
from tribrid.types import FIRST_RANK

LISTS = {
    "list_number": "int",
    "query_id": "text",
    "query": "text",
    "doc_ids": "texts",
    "ranks": "ints",
    "scores": "reals",
    "created_us": "int",
    "client_id": "text",
}
ACTS = {"list_number": "int", "signal": "text", "doc_id": "text", "value": "real", "created_us": "int", "act": "int"}


def segment(store: Store, corpus_id: str, lists: Sequence[NewList]) -> None:
    """Store lists as one segment, as an import does."""
    ordered = sorted(lists, key=lambda new: (new.created_us, new.query_id))
    acts = [(number, act) for number, new in enumerate(ordered) for act in new.feedback]
    with store.segments.cursor() as columns:
        _put(columns, "own_lists", LISTS, [_row(number, new) for number, new in enumerate(ordered)])
        done = [(n, str(act.signal), act.doc_id, act.value, act.created_us, at) for at, (n, act) in enumerate(acts)]
        _put(columns, "own_acts", ACTS, done)
        written = store.segments.write(columns, "SELECT * FROM own_lists", "SELECT * FROM own_acts")
        assert written is not None
    with store.segments.cursor() as base:
        columns = base.own("made")
        _put(columns, "own_lists", LISTS, [_row(number, new) for number, new in enumerate(ordered)])
        seen = store.logs.copy_query_ids(corpus_id, columns, "stored", "SELECT query_id FROM own_lists")
        assert columns.rows("SELECT * FROM stored") == []
        assert store.logs.list_segments(corpus_id, [written], seen, columns, "own_lists")
        columns.close()
        base.disown("made")


def _row(number: int, new: NewList) -> tuple[Any, ...]:
    doc_ids, ranks, scores, *_ = zip(*new.shown, strict=True)
    plain = list(ranks) == list(range(FIRST_RANK, len(ranks) + FIRST_RANK))
    kept = None if plain else list(ranks)
    return (number, new.query_id, new.query, list(doc_ids), kept, list(scores), new.created_us, new.client_id)


def _put(columns: Any, name: str, kinds: dict[str, str], rows: Sequence[tuple[Any, ...]]) -> None:
    values = list(zip(*rows, strict=True)) or [()] * len(kinds)
    columns.table(name, {column: (kinds[column], list(of)) for column, of in zip(kinds, values, strict=True)})
