"""Log records on their way to be joined: sorted by query_id, on disk where they are many, and handed back together."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tribrid.logs.records import Acted, Served
from tribrid.logs.sorting import RUN_BYTES, SortedLines
from tribrid.types import FIRST_RANK, Signal

# Of one query_id, packed: some 25,000 events. A log whose every query_id is "undefined" must not fill the memory.
MAX_GROUP_BYTES = 4 << 20
# Below every character of an id, so that sorting keeps together what has one query_id.
_END = b"\x01"
_HEAD_CHARS = 16
_SIGNALS: Mapping[str | None, Signal | None] = {None: None, **{str(signal): signal for signal in Signal}}
_PACK = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


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


class PackedRecords:
    """Records by query_id. Memory does not grow with their number. Close it."""

    def __init__(self, folder: Path | None = None, *, run_bytes: int = RUN_BYTES) -> None:
        """`folder`: where records wait that do not fit in `run_bytes` of memory."""
        self._lines = SortedLines(folder, run_bytes=run_bytes)
        self._sources: list[str] = [""]

    def __len__(self) -> int:
        return len(self._lines)

    def close(self) -> None:
        self._lines.close()

    def add(self, record: Served | Acted) -> None:
        """Take a record.

        Raises:
            Unavailable: the disk does not take it.
        """
        if record.source != self._sources[-1]:
            self._sources.append(record.source)
        self._lines.add(_packed(record, len(self._lines), len(self._sources) - 1))

    def groups(self) -> Iterator[Group]:
        """Every record, with those of its query_id, by query_id."""
        group: Group | None = None
        last = b""
        for line in self._lines:
            key, _, rest = line.partition(_END)
            if group is None or key != last:
                if group is not None:
                    yield group
                group, last = Group(key.decode()), key
            record = _unpacked(rest, group.query_id, self._sources)
            if group.size + len(rest) > MAX_GROUP_BYTES and group.size:
                yield Group(group.query_id, overflow=[record])
                continue
            group.add(record)
            group.size += len(rest)
        if group is not None:
            yield group


def _packed(record: Served | Acted, number: int, source: int) -> bytes:
    """The line that a record is sorted as: its query_id, what it is, its number, and the rest as JSON."""
    fields: list[Any]
    if isinstance(record, Served):
        kind = 0
        plain = all(place[1:] == (rank, 0.0) for rank, place in enumerate(record.shown, FIRST_RANK))
        shown: list[Any] = [place[0] for place in record.shown] if plain else list(record.shown)
        fields = [record.line, source, record.query, shown, record.at_us, record.client_id]
    else:
        kind = 1 if record.signal is None else 2
        fields = [record.line, source, *record[3:]]
    return b"%b%b%d%015d%b" % (record.query_id.encode(), _END, kind, number, _PACK(fields).encode())


def _unpacked(line: bytes, query_id: str, sources: Sequence[str]) -> Served | Acted:
    at, source, *fields = json.loads(line[_HEAD_CHARS:])
    if line.startswith(b"0"):
        query, shown, at_us, client_id = fields
        places = [
            (entry, rank, 0.0) if isinstance(entry, str) else (entry[0], entry[1], entry[2])
            for rank, entry in enumerate(shown, FIRST_RANK)
        ]
        return Served(at, sources[source], query_id, query, places, at_us, client_id)
    signal, *rest = fields
    return Acted(at, sources[source], query_id, _SIGNALS[signal], *rest)
