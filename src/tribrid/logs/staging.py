"""Log records on their way to be joined, as tables: DuckDB sorts and joins them, on disk where they are many.

    served  seq, query_id, query, doc_ids, ranks (NULL: 1, 2, ...), scores (NULL: all 0), at_us, client_id
    acted   seq, query_id, signal (NULL: it was seen), doc_id, other_ids, value, at_us, ordinal, query, client_id

`seq` is the line that a record stood on, and which stream: `line_of` and `source_of` say it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from tribrid.logs.records import Acted, Served
from tribrid.store.columns import Columns
from tribrid.types import FIRST_RANK, Signal

# Of one query_id: some 25,000 events. A log whose every query_id is "undefined" must not fill the memory.
MAX_GROUP_BYTES = 4 << 20
# What a record holds besides its texts.
_OVERHEAD_BYTES = 100
_BUFFERED = 50_000
_SOURCE_BIT = 40
_SIGNALS = {str(signal): signal for signal in Signal}
_SERVED = {
    "seq": "int",
    "query_id": "text",
    "query": "text",
    "doc_ids": "texts",
    "ranks": "ints",
    "scores": "reals",
    "at_us": "int",
    "client_id": "text",
}
_ACTED = {
    "seq": "int",
    "query_id": "text",
    "signal": "text",
    "doc_id": "text",
    "other_ids": "texts",
    "value": "real",
    "at_us": "int",
    "ordinal": "int",
    "query": "text",
    "client_id": "text",
}
_SQL = {"int": "BIGINT", "text": "VARCHAR", "real": "DOUBLE"}


def seq_of(source: int, line: int) -> int:
    """The number of a record that stood on a line, from 1, of a stream, from 0."""
    return source << _SOURCE_BIT | line


def line_of(seq: int) -> int:
    """The line of a record."""
    return seq & ((1 << _SOURCE_BIT) - 1)


@dataclass(slots=True)
class Group:
    """The records of one query_id: what was served, what was seen, what was done, each in the order of the log.

    `overflow` are those beyond `MAX_GROUP_BYTES`; each of them is a group of its own. `size`: bytes.
    """

    query_id: str
    served: list[Served] = field(default_factory=list)
    seen: list[Acted] = field(default_factory=list)
    acted: list[Acted] = field(default_factory=list)
    overflow: list[Served | Acted] = field(default_factory=list)
    size: int = 0

    @property
    def records(self) -> int:
        """How many records it has."""
        return len(self.served) + len(self.seen) + len(self.acted) + len(self.overflow)

    def add(self, record: Served | Acted) -> None:
        if isinstance(record, Served):
            self.served.append(record)
        else:
            (self.seen if record.signal is None else self.acted).append(record)


class Tables:
    """Tables that rows are added to, in a database of their own. Close it, or use it in a `with`."""

    def __init__(self, tables: Mapping[str, Mapping[str, str]], columns: Columns | None = None) -> None:
        """`tables`: their columns, with the type of each. `columns`: a DuckDB that others use too, closed with this;
        None for one of its own.
        """
        self._folder = None if columns else tempfile.TemporaryDirectory(prefix="tribrid-")
        self._base = columns or Columns(Path(self._folder.name if self._folder else ""))
        self._name = f"log_{uuid4().hex}"
        self.columns = self._base.own(self._name)
        self._tables = tables
        for table, named in tables.items():
            self.columns.run(
                f"CREATE TABLE {table} ({', '.join(f'{name} {_sql(kind)}' for name, kind in named.items())})"
            )
        self._added: dict[str, list[Sequence[Any]]] = {table: [] for table in tables}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Give memory and disk back."""
        self.columns.close()
        self._base.disown(self._name)
        self._base.close()
        if self._folder:
            self._folder.cleanup()

    def put(self, table: str, row: Sequence[Any]) -> None:
        """Add a row.

        Raises:
            Unavailable: the disk does not take it.
        """
        self._added[table].append(row)
        if len(self._added[table]) >= _BUFFERED:
            self.flush()

    def flush(self) -> None:
        """Let statements see what was added."""
        for table, rows in self._added.items():
            if rows:
                kinds = self._tables[table].items()
                values = {n: (kind, v) for (n, kind), v in zip(kinds, zip(*rows, strict=True), strict=True)}
                self.columns.table("added", values)
                self.columns.run(f"INSERT INTO {table} SELECT * FROM added")
                rows.clear()

    def each(self, statement: str) -> Iterator[tuple[Any, ...]]:
        """What a statement gives, on a connection of its own."""
        self.flush()
        with self.columns.cursor() as columns:
            columns.run(f"USE {self._name}")
            yield from columns.each(statement)


class Staged(Tables):
    """Records by query_id. Memory does not grow with their number."""

    def __init__(self, columns: Columns | None = None) -> None:
        """`columns`: as of `Tables`."""
        super().__init__({"served": _SERVED, "acted": _ACTED}, columns)
        self._sources: list[str] = []
        self.count = 0

    def source(self, name: str) -> int:
        """The number of a stream that is read from now on."""
        self._sources.append(name)
        return len(self._sources) - 1

    @property
    def streams(self) -> int:
        """How many were named."""
        return len(self._sources)

    def source_of(self, seq: int) -> str:
        """The name of the stream that a record came in."""
        return self._sources[seq >> _SOURCE_BIT]

    def add(self, record: Served | Acted) -> None:
        """Take a record of the stream that was named last.

        Raises:
            Unavailable: the disk does not take it.
        """
        seq = seq_of(len(self._sources) - 1, record.line)
        self.count += 1
        if isinstance(record, Served):
            plain = all(place[1:] == (rank, 0.0) for rank, place in enumerate(record.shown, FIRST_RANK))
            doc_ids, ranks, scores = ([place[at] for place in record.shown] for at in range(3))
            order = (None, None) if plain else (ranks, scores)
            self.put("served", (seq, *record[2:4], doc_ids, *order, record.at_us, record.client_id))
        else:
            first, *others = record.doc_ids or (None,)
            signal = None if record.signal is None else str(record.signal)
            self.put("acted", (seq, record.query_id, signal, first, others or None, *record[5:]))

    def groups(self, but: str | None = None) -> Iterator[Group]:
        """Every record, with those of its query_id, by query_id.

        Args:
            but: a table of query_ids that are left out.
        """
        left = "true" if but is None else f"query_id NOT IN (SELECT query_id FROM {but})"
        statement = (
            f"SELECT query_id, 0 AS kind, seq, struct_pack(query, doc_ids, ranks, scores, at_us, client_id) AS served, "
            f"NULL AS acted FROM served WHERE {left} UNION ALL "
            "SELECT query_id, 1 AS kind, seq, NULL, "
            "struct_pack(signal, doc_id, other_ids, value, at_us, ordinal, query, client_id) "
            f"FROM acted WHERE {left} ORDER BY query_id, kind, seq"
        )
        yield from _grouped(self._record(*row) for row in self.each(statement))

    def _record(
        self, query_id: str, kind: int, seq: int, served: dict[str, Any] | None, acted: dict[str, Any] | None
    ) -> Served | Acted:
        line, source = line_of(seq), self.source_of(seq)
        if served is not None:
            query, doc_ids, ranks, scores, at_us, client_id = served.values()
            if ranks is None:  # a document's first place counts
                first = {doc_id: rank for rank, doc_id in reversed(list(enumerate(doc_ids, FIRST_RANK)))}
                places = [(doc_id, rank, 0.0) for doc_id, rank in sorted(first.items(), key=itemgetter(1))]
            else:
                places = list(zip(doc_ids, ranks, scores, strict=True))
            return Served(line, source, query_id, query, places, at_us, client_id)
        signal, doc_id, others, *rest = (acted or {}).values()
        names = () if doc_id is None else (doc_id, *(others or ()))
        return Acted(line, source, query_id, _SIGNALS.get(signal), names, *rest)


def _grouped(records: Iterator[Served | Acted]) -> Iterator[Group]:
    group: Group | None = None
    for record in records:
        if group is None or record.query_id != group.query_id:
            if group is not None:
                yield group
            group = Group(record.query_id)
        size = _size(record)
        if group.size + size > MAX_GROUP_BYTES and group.size:
            yield Group(group.query_id, overflow=[record])
            continue
        group.add(record)
        group.size += size
    if group is not None:
        yield group


def _size(record: Served | Acted) -> int:
    names: Sequence[str] = [place[0] for place in record.shown] if isinstance(record, Served) else record.doc_ids
    return _OVERHEAD_BYTES + len(record.query or "") + sum(map(len, names))


def _sql(kind: str) -> str:
    return f"{_SQL[kind[:-1]]}[]" if kind.endswith("s") else _SQL[kind]
