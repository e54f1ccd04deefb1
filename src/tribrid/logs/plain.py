"""UBI records that leave no doubt, read by DuckDB, many at once; every other line is for `records.py`, which says why.

DuckDB's JSON reader is not Python's. It takes NaN, commas at the end and names that come twice (of those the first, not
the last), and it reads numbers anew. So a line is only taken here if it holds nothing of which the two would think
otherwise: no escape, no odd number, no name twice in any object, ids of plain characters, one of the usual times.
`records.py` would read the same from it; a test compares the two.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tribrid.logs.records import MAX_QUERY_CHARS, MAX_SHOWN, NOT_FEEDBACK, UBI_SHOWN_ACTION, signal_of
from tribrid.store.columns import Columns
from tribrid.types import Signal
from tribrid.types.texts import MAX_ID_CHARS

_FIRST_NAMED = 20
_VALUED = (Signal.DWELL, Signal.RATING)

# Escapes and control characters; a comma at the end; a list in a list; what is no number in JSON, an exponent, a number
# of many digits.
_DOUBT = (
    r"[\\\x00-\x08\x0b\x0c\x0e-\x1f]|,\s*[}\]]|\[\s*\[|[:,\[]\s*-?(?:[iIN]|n[aA])|"
    r"[0-9][eE][+-]?[0-9]+\s*[,}\]]|[0-9]{40}"
)
_OBJECTS = (
    "$",
    "$.query_attributes",
    "$.event_attributes",
    "$.event_attributes.object",
    "$.event_attributes.object.object_detail",
    "$.event_attributes.position",
    "$.event_attributes.position.xy",
)
"""Where an object may be; a line that has others is not taken."""
_KEYS = f"json_keys(text, {list(_OBJECTS)!r})"
# How many objects there are, but for those that hold nothing.
_OBJECTS_THERE = "strlen(text) - strlen(replace(text, '{', '')) - (strlen(text) - strlen(replace(text, '{}', ''))) / 2"
_TEXT = r'"[^\p{Z}\p{C}"](?:.*[^\p{Z}\p{C}"])?"'
_ID = r'"[!#-\[\]-~]+"'
_IDS = rf"\[{_ID}(?:,{_ID})*\]"
_NUMBER = r"[1-9][0-9]{0,17}|0"
_EPOCH = "[0-9]{9,17}"
_ISO = r'"[0-9]{4}-[01][0-9]-[0-3][0-9]T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?Z"'


def _plain_id(raw: str) -> str:
    """An id as text; NULL where it is not plain."""
    return (
        f"CASE WHEN length({raw}) > {MAX_ID_CHARS} THEN NULL "
        f"WHEN regexp_full_match({raw}, '{_ID}') THEN {raw}[2:-2] "
        f"WHEN regexp_full_match({raw}, '{_NUMBER}') THEN {raw} END"
    )


def _plain_time(raw: str) -> str:
    """A time in microseconds; NULL where it is not plain."""
    number = f"{raw}::BIGINT"
    return (
        f"CASE WHEN regexp_full_match({raw}, '{_EPOCH}') THEN "
        f"CASE WHEN {number} < 100000000000 THEN {number} * 1000000 "
        f"WHEN {number} < 100000000000000 THEN {number} * 1000 ELSE {number} END "
        f"WHEN regexp_full_match({raw}, '{_ISO}') THEN "
        f"epoch_us(try_cast(replace({raw}[2:-3], 'T', ' ') AS TIMESTAMP)) END"
    )


_QUERY = ("$.query_id", "$.user_query", "$.query_response_hit_ids", "$.timestamp", "$.client_id")
_EVENT = ("$.action_name", "$.query_id", "$.event_attributes.object.object_id", "$.timestamp", "$.user_query")


def _fields(kind: str, paths: Sequence[str]) -> str:
    """Table `fields`: what stands at these paths in the lines of a kind, as JSON."""
    return (
        f"CREATE OR REPLACE TEMP TABLE fields AS SELECT n, json_extract(text, {list(paths)!r})::VARCHAR[] AS e "
        f"FROM shaped JOIN shapes USING (shape) WHERE kind = '{kind}' AND there = objects"
    )


_QUERIES = f"""
    CREATE OR REPLACE TEMP TABLE plain_queries AS FROM (
    SELECT n, length(e[3]) AS chars, {_plain_id("e[1]")} AS query_id, e[2][2:-2] AS query,
        string_split(e[3][3:-3], '","') AS doc_ids,
        {_plain_time("e[4]")} AS at_us, CASE WHEN e[5] <> 'null' THEN {_plain_id("e[5]")} END AS client_id,
        e[5] IS NULL OR e[5] = 'null' OR {_plain_id("e[5]")} IS NOT NULL AS has_client
    FROM fields WHERE regexp_full_match(e[2], '{_TEXT}') AND length(e[2]) <= {MAX_QUERY_CHARS}
    AND regexp_full_match(e[3], '{_IDS}')
    ) WHERE query_id IS NOT NULL AND at_us >= 0 AND has_client AND len(doc_ids) <= {MAX_SHOWN}
    AND (chars <= {MAX_ID_CHARS} OR list_max([length(doc_id) FOR doc_id IN doc_ids]) <= {MAX_ID_CHARS})
"""
_EVENTS = f"""
    CREATE OR REPLACE TEMP TABLE plain_events AS FROM (
    SELECT n, signal, reason, {_plain_id("e[2]")} AS query_id, {_plain_id("e[3]")} AS doc_id,
        {_plain_time("e[4]")} AS at_us,
        e[5][2:-2] AS query,
        e[5] IS NULL OR (regexp_full_match(e[5], '{_TEXT}') AND length(e[5]) <= {MAX_QUERY_CHARS}) AS has_query
    FROM fields JOIN actions ON e[1] = action
    ) WHERE reason IS NOT NULL
    OR (query_id IS NOT NULL AND doc_id IS NOT NULL AND at_us >= 0 AND has_query AND signal IS NOT NULL)
"""
_NOT_TAKEN = """
    SELECT n FROM raw ANTI JOIN (SELECT n FROM plain_queries UNION ALL SELECT n FROM plain_events)
    USING (n) ORDER BY n
"""


@dataclass(slots=True)
class Ignored:
    """Events of one action that is no feedback: how many, and on which lines the first of them stood."""

    count: int = 0
    lines: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Taken:
    """What was taken of a block. `ignored` is by the reason."""

    queries: int = 0
    events: int = 0
    ignored: dict[str, Ignored] = field(default_factory=dict)
    left: Sequence[int] = ()


class PlainUbi:
    """Takes blocks of lines into the tables `served` and `acted` of a connection."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        # What is known of a line from the names in its objects: its kind, and how many objects it may have.
        self._shapes: dict[int, tuple[str, int]] = {}
        self._actions: dict[str, tuple[str | None, str | None]] = {}

    def take(self, block: bytes, ends: Any, first: int) -> Taken:
        """Take what is plain of a block of lines.

        Args:
            block: UTF-8. `ends`: int32, of each line the byte after it.
            first: is added to a line's place in the block, from 0.

        Returns:
            How much was taken; `left` are the other lines, by their place.
        """
        columns = self._columns
        columns.lines("raw", block, ends)
        self._shape()
        columns.run(_fields("query", _QUERY))
        columns.run(_QUERIES)
        columns.run(_fields("event", _EVENT))
        self._learn_actions()
        columns.run(_EVENTS)
        taken = Taken(left=[row[0] for row in columns.rows(_NOT_TAKEN)], ignored=self._ignored(first))
        columns.run(
            "INSERT INTO served SELECT n + ?, query_id, query, doc_ids, NULL, NULL, at_us, client_id "
            "FROM plain_queries",
            first,
        )
        columns.run(
            "INSERT INTO acted SELECT n + ?, query_id, signal, doc_id, NULL, NULL, at_us, NULL, query, NULL "
            "FROM plain_events WHERE reason IS NULL",
            first,
        )
        (taken.queries,) = columns.one("SELECT count(*) FROM plain_queries")
        (taken.events,) = columns.one("SELECT count(*) FROM plain_events WHERE reason IS NULL")
        return taken

    def _shape(self) -> None:
        """Table `shaped`: the lines whose objects are known not to hold a name twice, and what they are."""
        columns = self._columns
        columns.run(
            f"CREATE OR REPLACE TEMP TABLE shaped AS SELECT n, text, hash({_KEYS}) AS shape, "
            f"{_OBJECTS_THERE} AS there FROM raw "
            f"WHERE NOT contains(text, '\\') AND NOT regexp_matches(text, '{_DOUBT}') "
            "AND starts_with(text, '{') AND json_valid(text)"
        )
        known = f"[{', '.join(map(str, self._shapes))}]::UBIGINT[]"
        new = columns.rows(
            f"SELECT shape, any_value({_KEYS}) FROM shaped WHERE NOT list_contains({known}, shape) GROUP BY shape"
        )
        for shape, keys in new:
            self._shapes[shape] = _kind_of(keys)
        values: Mapping[str, tuple[str, list[Any]]] = {
            "shape": ("hash", list(self._shapes)),
            "kind": ("text", [kind for kind, _ in self._shapes.values()]),
            "objects": ("int", [objects for _, objects in self._shapes.values()]),
        }
        columns.table("shapes", values)

    def _learn_actions(self) -> None:
        """Table `actions`: what each name of an action stands for."""
        for (raw,) in self._columns.rows("SELECT DISTINCT e[1] FROM fields"):
            if raw not in self._actions and len(self._actions) < _MOST_ACTIONS:
                self._actions[raw] = _action(json.loads(raw))
        plain = {raw: found for raw, found in self._actions.items() if found != (None, None)}
        values: Mapping[str, tuple[str, list[Any]]] = {
            "action": ("text", list(plain)),
            "signal": ("text", [signal for signal, _ in plain.values()]),
            "reason": ("text", [reason for _, reason in plain.values()]),
        }
        self._columns.table("actions", values)

    def _ignored(self, first: int) -> dict[str, Ignored]:
        rows = self._columns.rows(
            f"SELECT reason, count(*), min(n, {_FIRST_NAMED}) FROM plain_events WHERE reason IS NOT NULL "
            "GROUP BY reason"
        )
        return {reason: Ignored(count, [place + first for place in places]) for reason, count, places in rows}


_QUERY_NAMES = ("query_id", "user_query", "query_response_hit_ids")
_MOST_ACTIONS = 1000
"""Beyond it the names of actions are no names: those are read one by one."""


def _kind_of(keys: Sequence[Sequence[str] | None]) -> tuple[str, int]:
    """What lines with these names are, and how many objects they have; no kind where that is not plain."""
    names = {path: set(of or ()) for path, of in zip(_OBJECTS, keys, strict=True)}
    objects = sum(map(bool, names.values()))
    twice = sum(map(len, names.values())) < sum(len(of or ()) for of in keys)
    if twice or re.search(r"_source|\.", " ".join(set[str]().union(*names.values()))):
        return "", objects
    if "action_name" not in names["$"]:
        return ("query" if names["$"].issuperset(_QUERY_NAMES) else ""), objects
    other_names = {"object_id"} & names["$.event_attributes"] | {"internal_id"} & names["$.event_attributes.object"]
    return ("" if other_names else "event"), objects


def _action(name: object) -> tuple[str | None, str | None]:
    """The signal that an action stands for, or why it is none; neither where its records must be looked at."""
    if not isinstance(name, str):
        return None, None
    signal = signal_of(name)
    if signal is not None:
        return (None if signal in _VALUED else str(signal)), None
    return None, None if name == UBI_SHOWN_ACTION else NOT_FEEDBACK.format(name[:100])
