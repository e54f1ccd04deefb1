"""What is asked of segments: each function reads the views of a `Reading` (see segments.py)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import compress, repeat, starmap
from typing import Any, NamedTuple

from tribrid.store.segments import HASH, MODEL_ID, SOURCE, Reading
from tribrid.types import FIRST_RANK, Feedback, Impression, LoggedList, ShownDoc, Signal

BATCH_ROWS = 512
"""So few that the collector of garbage does not take the lists of a batch for old ones."""
_SIGNALS = {str(signal): signal for signal in Signal}
_USED = "SELECT DISTINCT segment, list_number FROM acts"
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


def logged(reading: Reading, *, named: bool, since_us: int | None, until_us: int | None) -> Iterator[LoggedList]:
    """The lists of one segment in the order of time, each with its feedback."""
    acts = _Acts(reading)
    these = ["true", *(["client_id IS NOT NULL"] if named else [])]
    these += [] if since_us is None else [f"created_us >= {since_us:d}"]
    these += [] if until_us is None else [f"created_us < {until_us:d}"]
    columns = "list_number, query_id, query, doc_ids, ranks, created_us, client_id"
    statement = f"SELECT {columns} FROM lists WHERE {' AND '.join(these)} ORDER BY list_number"
    for batch in reading.columns.batches(statement, rows=BATCH_ROWS):
        yield from _logged(batch, acts)


class _Acts:
    """All that was done with the lists of one segment, taken list by list."""

    def __init__(self, reading: Reading) -> None:
        import numpy as np

        statement = "SELECT list_number, signal, doc_id, value, created_us FROM acts"
        batches = list(reading.columns.batches(f"{statement} ORDER BY list_number, created_us, act", rows=1 << 16))
        self._batches = [(batch.column(0).to_numpy(), batch) for batch in batches]
        self._numbers = np.concatenate([numbers for numbers, _ in self._batches]) if batches else np.empty(0, np.int64)
        self._starts = np.cumsum([0, *(len(numbers) for numbers, _ in self._batches)]).tolist()

    def of(self, numbers: Any, query_ids: Sequence[str]) -> list[Sequence[Feedback]]:
        """Of each of these lists, which are in order."""
        import numpy as np

        start, end = np.searchsorted(self._numbers, [numbers[0], numbers[-1] + 1]).tolist()
        own = self._numbers[start:end]
        places = np.searchsorted(numbers, own)
        there = numbers[places] == own
        ids = map(query_ids.__getitem__, places[there].tolist())
        signals, doc_ids, values, times = (compress(column, there.tolist()) for column in self._columns(start, end))
        made = list(map(Feedback, ids, map(_SIGNALS.__getitem__, signals), doc_ids, values, times))
        ends = np.searchsorted(own[there], numbers, side="right").tolist()
        return [made[first:last] for first, last in zip([0, *ends], ends, strict=False)]

    def _columns(self, start: int, end: int) -> list[list[Any]]:
        found: list[list[Any]] = [[], [], [], []]
        for first, (numbers, batch) in zip(self._starts, self._batches, strict=False):
            low, high = max(start - first, 0), min(end - first, len(numbers))
            if low < high:
                part = batch.slice(low, high - low)
                for place, column in enumerate(found, 1):
                    column += part.column(place).to_pylist()
        return found


def _logged(batch: Any, acts: _Acts) -> Iterator[LoggedList]:
    query_ids, queries = batch.column(1).to_pylist(), batch.column(2).to_pylist()
    done = acts.of(batch.column(0).to_numpy(), query_ids)
    docs, ranks = _lists(batch.column(3)), batch.column(4)
    times, clients = batch.column(5).to_pylist(), batch.column(6).to_pylist()
    own = [given or plain for given, plain in zip(ranks.to_pylist(), _ranks(docs), strict=True)]
    lists = zip(query_ids, queries, docs, own, done, times, repeat(SOURCE), clients, strict=False)
    yield from starmap(LoggedList, lists)


def _ranks(docs: Sequence[Sequence[str]]) -> Iterator[list[int]]:
    """Of lists that say none: 1, 2, ..."""
    known: dict[int, list[int]] = {}
    for doc_ids in docs:
        size = len(doc_ids)
        if size not in known:
            known[size] = list(range(FIRST_RANK, FIRST_RANK + size))
        yield known[size]


def _lists(column: Any) -> list[list[str]]:
    """A column of lists of texts; the same text is one object."""
    flat = column.flatten().dictionary_encode()
    values = list(map(flat.dictionary.to_pylist().__getitem__, flat.indices.to_numpy().tolist()))
    ends = column.value_lengths().to_numpy().cumsum().tolist()
    return [values[start:end] for start, end in zip([0, *ends], ends, strict=False)]


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
