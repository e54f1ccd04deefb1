"""One log record read: a UBI query or event, or one of Tribrid's own, checked and made plain.

`logs.py` joins what comes out. A record that is not taken raises `Rejected` with the reason and its kind.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Literal, NamedTuple

from tribrid.corpus.jsonlines import id_fault, id_text, text_fault
from tribrid.logs.times import moment
from tribrid.types import FIRST_RANK, Signal

MAX_QUERY_CHARS = 10_000
MAX_SHOWN = 10_000
MAX_NUMBER = 10**9

# Why an event joins nothing, as `Skipped` says it; `logcauses.py` reads the cause of a whole log's failure from them.
NO_IMPRESSION = "no impression has this query_id"
NO_QUERY = "no query record has this query_id"
OTHER_QUERY = "the query_id stands for another query"
NOT_SHOWN = "the document was not shown"
NOTHING_SHOWN = "nothing was shown: no documents named and no impression events"
UNKNOWN_DOCUMENT = "the corpus has no such document"
NO_DOCUMENT = "names no document"
NOT_FEEDBACK = "action {!r} is not feedback"

# UBI leaves action names to the site. A conversion says more than a click: it counts as an endorsement.
_CART = ["addtocart", "addedtocart", "addtobasket", "addtobag", "addcart", "atc"]
_PURCHASE = ["purchase", "purchased", "purchasecompleted", "buy", "buynow", "bought", "order", "ordered", "checkout"]
_PURCHASE += ["conversion", "convert", "converted", "transaction"]
UBI_ACTIONS: Mapping[str, Signal] = {
    **dict.fromkeys(["click", "clicked", "clickthrough"], Signal.CLICK),
    **dict.fromkeys(["dwell", "dwelltime"], Signal.DWELL),
    **dict.fromkeys(["copy", "copied", "copytext"], Signal.COPY),
    **dict.fromkeys(["cite", "cited", "citation"], Signal.CITE),
    **dict.fromkeys(["thumbsup", "upvote", "like", "bookmark", *_CART, *_PURCHASE], Signal.THUMBS_UP),
    **dict.fromkeys(["thumbsdown", "downvote", "dislike", "declined", "reject"], Signal.THUMBS_DOWN),
    **dict.fromkeys(["rating", "rate"], Signal.RATING),
}
"""Actions that are feedback, without capitals, marks, and the word for what they are done to."""
_DONE_TO = re.compile("searchresult|result|product|item|document")
UBI_SHOWN_ACTION = "impression"

_ATTRIBUTES = "event_attributes"
_IDS = (("object", "object_id"), ("object", "internal_id"), ("object_id",))
_PLACES = (("position", "ordinal"), ("position",), ("ordinal",))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_US = 253_402_300_799_999_999  # the end of the year 9999
# Epoch numbers below these are seconds, milliseconds, microseconds: each unit's year 5138.
_EPOCH_UNITS = ((10**11, 1_000_000), (10**14, 1_000), (10**17, 1))
# Seconds, milliseconds, microseconds of this century; other lengths are dates, such as 20260102 or 20260102030405.
_EPOCH_TEXT = re.compile(r"[0-9]{9,10}(?:\.[0-9]{1,9})?|[0-9]{13}|[0-9]{16}")
_BEST_RATING = 5

# Named tuples, here and in `logs.py`: of millions of records, making a frozen dataclass of each would take longer than
# to read it.
Place = tuple[str, int, float]
"""A document of a list: doc_id, rank from 1, score."""


class Served(NamedTuple):
    """A query record, with the documents it names in rank order."""

    line: int
    source: str
    query_id: str
    query: str
    shown: Sequence[Place]
    at_us: int
    client_id: str | None = None


class Acted(NamedTuple):
    """An event on a document (`doc_ids`: the names it goes by) or, without any, on the whole list.

    `signal` None: the document was seen, at `ordinal`. `query` is the query the event itself claims.
    """

    line: int
    source: str
    query_id: str
    signal: Signal | None
    doc_ids: Sequence[str]
    value: float | None
    at_us: int | None
    ordinal: int | None = None
    query: str | None = None
    client_id: str | None = None


Kind = Literal["invalid", "unjoined", "ignored"]


class Rejected(Exception):
    """Why a record is not taken; caught by `logs.py`."""

    def __init__(self, reason: str, kind: Kind = "invalid") -> None:
        super().__init__(reason)
        self.kind = kind


def ubi_record(line: int, source: str, record: Mapping[str, object]) -> Served | Acted | None:
    """A UBI query or event; None for an action line of a bulk file, which tells nothing.

    Raises:
        Rejected: the record is broken, or says nothing that could be imported.
    """
    if record and not record.keys() - {"index", "create"}:
        return None
    if "action_name" in record:
        return _ubi_event(line, source, record)
    shown = _shown_list(record.get("query_response_hit_ids") or [], "query_response_hit_ids")
    query = query_text(record.get("user_query"), "user_query")
    query_id = checked_id(record.get("query_id"), "query_id")
    return Served(line, source, query_id, query, shown, time_us(record, "timestamp"), client(record.get("client_id")))


def _ubi_event(line: int, source: str, record: Mapping[str, object]) -> Acted:
    action = record["action_name"]
    if not isinstance(action, str):
        raise Rejected("action_name is not a string")
    signal = signal_of(action)
    if signal is None and action != UBI_SHOWN_ACTION:
        raise Rejected(NOT_FEEDBACK.format(action[:100]), "ignored")
    if record.get("query_id") is None:
        raise Rejected("query_id is missing", "unjoined")
    attributes = _attributes(record)
    doc_ids, ordinal = _names(attributes), _ordinal(attributes)
    if signal is not None and not doc_ids and ordinal is None:
        raise Rejected(NO_DOCUMENT, "unjoined")
    value = attributes.get("rating" if signal is Signal.RATING else "dwell_time", attributes.get("value"))
    query = record.get("user_query")
    return Acted(
        line=line,
        source=source,
        query_id=checked_id(record["query_id"], "query_id"),
        signal=signal,
        doc_ids=doc_ids,
        value=_value(signal, value),
        at_us=time_us(record, "timestamp"),
        ordinal=ordinal,
        query=query if isinstance(query, str) and _is_query(query) else None,
        client_id=client(record.get("client_id")),
    )


def native_record(line: int, source: str, record: Mapping[str, object]) -> Served | Acted:
    """An impression or feedback as Tribrid writes them itself.

    Raises:
        Rejected: the record is broken.
    """
    query_id = checked_id(record.get("query_id"), "query_id")
    if "signal" not in record:
        query, shown = query_text(record.get("query"), "query"), _shown_list(record.get("shown"), "shown")
        at_us = time_us(record, "timestamp")
        return Served(line, source, query_id, query, shown, at_us, client(record.get("client_id")))
    if record["signal"] not in list(Signal):
        raise Rejected(f"signal is none of {', '.join(Signal)}")
    signal = Signal(str(record["signal"]))
    return Acted(
        line=line,
        source=source,
        query_id=query_id,
        signal=signal,
        doc_ids=() if record.get("doc_id") is None else (checked_id(record["doc_id"], "doc_id"),),
        value=_value(signal, record.get("value")),
        at_us=None if record.get("timestamp") is None else time_us(record, "timestamp"),
    )


def _is_query(text: str) -> bool:
    return bool(text.strip()) and len(text) <= MAX_QUERY_CHARS and text_fault(text) is None


@lru_cache(maxsize=1000)
def signal_of(action: str) -> Signal | None:
    """The signal that an action stands for, if it is feedback."""
    return UBI_ACTIONS.get(_DONE_TO.sub("", re.sub("[^a-z0-9]", "", action.lower())))


def _attributes(record: Mapping[str, object]) -> Mapping[str, object]:
    """What an event says of itself, also where its keys stand in the record itself (`event_attributes.object.id`)."""
    attributes = _object(record.get(_ATTRIBUTES))
    flat = {key.removeprefix(f"{_ATTRIBUTES}."): record[key] for key in record if key.startswith(f"{_ATTRIBUTES}.")}
    return {**attributes, **flat} if flat else attributes


def _names(attributes: Mapping[str, object]) -> tuple[str, ...]:
    """What the document goes by that an event is on."""
    names = (id_text(_at(attributes, *path)) for path in _IDS)
    return tuple(name for name in names if isinstance(name, str) and id_fault(name, "") is None)


def _ordinal(attributes: Mapping[str, object]) -> int | None:
    return next((found for path in _PLACES if (found := _whole(_at(attributes, *path))) is not None), None)


def _at(value: object, *path: str) -> object:
    """What stands at a path; keys may be joined by dots, as flattened records have them."""
    if not path:
        return value
    holder = _object(value)
    whole = holder.get(".".join(path))
    if whole is not None or len(path) == 1:
        return whole
    return _at(holder.get(path[0]), *path[1:])


def _object(value: object) -> Mapping[str, object]:
    """A JSON object, also one that came as text."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        with suppress(ValueError, RecursionError):
            value = json.loads(value)
    return value if isinstance(value, dict) else {}


def _whole(value: object) -> int | None:
    """A place in a list, also as text or in floating point."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,5}", value.strip()):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value <= MAX_SHOWN else None


def checked_id(value: object, name: str) -> str:
    """An id as text.

    Raises:
        Rejected: it cannot be one; the reason calls it `name`.
    """
    text = id_text(value)
    fault = id_fault(text, name)
    if fault or not isinstance(text, str):
        raise Rejected(fault or f"{name} is not a string")
    return text


def client(value: object) -> str | None:
    """Who asked, where the log says so in a usable form: nothing that is joined depends on it."""
    text = id_text(value)
    return text if isinstance(text, str) and id_fault(text, "") is None else None


def query_text(value: object, name: str) -> str:
    """A query without the white space around it.

    Raises:
        Rejected: it is no text, empty, too long, or cannot be stored.
    """
    if not isinstance(value, str):
        raise Rejected(f"{name} is not a string")
    if not value.strip():
        raise Rejected(f"{name} is empty", "ignored")
    if len(value) > MAX_QUERY_CHARS:
        raise Rejected(f"{name} is longer than {MAX_QUERY_CHARS:,} characters")
    fault = text_fault(value)
    if fault:
        raise Rejected(f"{name} {fault}")
    return value.strip()


def _shown_list(value: object, name: str) -> list[Place]:
    """The documents a record says it showed, in rank order, a document's first place counting."""
    if not isinstance(value, list) or len(value) > MAX_SHOWN:
        raise Rejected(f"{name} is not a list of at most {MAX_SHOWN:,} documents")
    shown: dict[str, Place] = {}
    for position, entry in enumerate(value, start=FIRST_RANK):
        if not isinstance(entry, dict):
            doc_id = checked_id(entry, f"a document of {name}")
            shown.setdefault(doc_id, (doc_id, position, 0.0))
            continue
        doc_id = checked_id(entry.get("doc_id"), f"a document of {name}")
        rank, score = entry.get("rank", position), entry.get("score", 0.0)
        if type(rank) is not int or not FIRST_RANK <= rank <= MAX_SHOWN:
            raise Rejected(f"a rank of {name} is not a whole number from {FIRST_RANK} to {MAX_SHOWN:,}")
        if isinstance(score, bool) or not isinstance(score, int | float) or abs(score) > MAX_NUMBER:
            raise Rejected(f"a score of {name} is not a number")
        shown.setdefault(doc_id, (doc_id, rank, float(score)))
    if len({rank for _, rank, _ in shown.values()}) < len(shown):
        raise Rejected(f"two documents of {name} have the same rank")
    return sorted(shown.values(), key=lambda place: place[1])


def _value(signal: Signal | None, value: object) -> float | None:
    """A dwell time in seconds or a rating from 1 to 5; other signals carry no value."""
    if signal not in (Signal.DWELL, Signal.RATING):
        return None
    low, high = (1, _BEST_RATING) if signal is Signal.RATING else (0, MAX_NUMBER)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise Rejected(f"the value of a {signal} is not a number from {low} to {high}")
    return float(value)


def time_us(record: Mapping[str, object], name: str) -> int:
    """A timestamp in microseconds since 1970, UTC.

    Raises:
        Rejected: it is missing, no time, or not between 1970 and 9999.
    """
    value = record.get(name)
    if isinstance(value, str) and _EPOCH_TEXT.fullmatch(value.strip()):
        value = float(value)  # an exporter that writes all fields as text
    if isinstance(value, str):
        try:
            value_us = (moment(value) - _EPOCH) // timedelta(microseconds=1)
        except (ValueError, OverflowError):
            raise Rejected(f"{name} is not an ISO 8601 time") from None
    elif isinstance(value, int | float) and not isinstance(value, bool):
        scale = next((scale for limit, scale in _EPOCH_UNITS if value < limit), None)
        value_us = -1 if scale is None else int(value * scale)
    else:
        raise Rejected(f"{name} is missing" if value is None else f"{name} is not a time")
    if not 0 <= value_us <= _LAST_US:
        raise Rejected(f"{name} is not between 1970 and 9999")
    return value_us
