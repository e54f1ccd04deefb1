"""One log record read: a UBI query or event, or one of Tribrid's own, checked and made plain.

`logs.py` joins what comes out. A record that is not taken raises `Rejected` with the reason and its kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from tribrid.corpus.jsonlines import id_fault, id_text, text_fault
from tribrid.types import FIRST_RANK, ShownDoc, Signal

MAX_QUERY_CHARS = 10_000
MAX_SHOWN = 10_000
MAX_NUMBER = 10**9

# UBI leaves action names to the site. A conversion says more than a click: it counts as an endorsement.
UBI_ACTIONS: Mapping[str, Signal] = {
    **dict.fromkeys(["click", "item_click", "product_click", "result_click", "click_through"], Signal.CLICK),
    **dict.fromkeys(["dwell", "dwell_time"], Signal.DWELL),
    **dict.fromkeys(["copy", "copy_text"], Signal.COPY),
    **dict.fromkeys(["cite", "citation"], Signal.CITE),
    **dict.fromkeys(["thumbs_up", "upvote", "like", "add_to_cart", "purchase", "bookmark"], Signal.THUMBS_UP),
    **dict.fromkeys(["thumbs_down", "downvote", "dislike", "declined_product", "reject"], Signal.THUMBS_DOWN),
    **dict.fromkeys(["rating", "rate"], Signal.RATING),
}
UBI_SHOWN_ACTION = "impression"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_US = 253_402_300_799_999_999  # the end of the year 9999
# Epoch numbers below these are seconds, milliseconds, microseconds: each unit's year 5138.
_EPOCH_UNITS = ((10**11, 1_000_000), (10**14, 1_000), (10**17, 1))
_BEST_RATING = 5


@dataclass(frozen=True, slots=True)
class Served:
    """A query record, with the documents it names in order."""

    line: int
    source: str
    query_id: str
    query: str
    shown: tuple[ShownDoc, ...]
    at_us: int


@dataclass(frozen=True, slots=True)
class Acted:
    """An event on a document (`doc_ids`: the names it goes by) or, without any, on the whole list.

    `signal` None: the document was seen, at `ordinal`. `query` is the query the event itself claims.
    """

    line: int
    source: str
    query_id: str
    signal: Signal | None
    doc_ids: tuple[str, ...]
    value: float | None
    at_us: int | None
    ordinal: int | None = None
    query: str | None = None


Kind = Literal["invalid", "unjoined", "ignored"]


class Rejected(Exception):
    """Why a record is not taken; caught by `logs.py`."""

    def __init__(self, reason: str, kind: Kind = "invalid") -> None:
        super().__init__(reason)
        self.kind = kind


def ubi_record(line: int, source: str, record: Mapping[str, Any]) -> Served | Acted | None:
    """A UBI query or event; None for an action line of a bulk file, which tells nothing.

    Raises:
        Rejected: the record is broken, or says nothing that could be imported.
    """
    if not record.keys() - {"index", "create"}:
        return None
    if "action_name" in record:
        return _ubi_event(line, source, record)
    shown = _shown_list(record.get("query_response_hit_ids") or [], "query_response_hit_ids")
    query = _query_text(record.get("user_query"), "user_query")
    return Served(line, source, _id(record.get("query_id"), "query_id"), query, shown, _time(record, "timestamp"))


def _ubi_event(line: int, source: str, record: Mapping[str, Any]) -> Acted:
    action = record["action_name"]
    if not isinstance(action, str):
        raise Rejected("action_name is not a string")
    signal = UBI_ACTIONS.get(action.strip().lower().replace("-", "_").replace(" ", "_"))
    if signal is None and action != UBI_SHOWN_ACTION:
        raise Rejected(f"action {action[:100]!r} is not feedback", "ignored")
    if record.get("query_id") is None:
        raise Rejected("query_id is missing", "unjoined")
    attributes = _object(record.get("event_attributes"))
    target = _object(attributes.get("object"))
    names = [id_text(target.get(field)) for field in ("object_id", "internal_id")]
    ordinal = _object(attributes.get("position")).get("ordinal")
    value = attributes.get("rating" if signal is Signal.RATING else "dwell_time", attributes.get("value"))
    query = record.get("user_query")
    return Acted(
        line=line,
        source=source,
        query_id=_id(record["query_id"], "query_id"),
        signal=signal,
        doc_ids=tuple(name for name in names if isinstance(name, str) and id_fault(name, "") is None),
        value=_value(signal, value),
        at_us=_time(record, "timestamp"),
        ordinal=ordinal if type(ordinal) is int and 0 <= ordinal <= MAX_SHOWN else None,
        query=query if isinstance(query, str) and query.strip() else None,
    )


def native_record(line: int, source: str, record: Mapping[str, Any]) -> Served | Acted:
    """An impression or feedback as Tribrid writes them itself.

    Raises:
        Rejected: the record is broken.
    """
    query_id = _id(record.get("query_id"), "query_id")
    if "signal" not in record:
        query, shown = _query_text(record.get("query"), "query"), _shown_list(record.get("shown"), "shown")
        return Served(line, source, query_id, query, shown, _time(record, "timestamp"))
    if record["signal"] not in list(Signal):
        raise Rejected(f"signal is none of {', '.join(Signal)}")
    signal = Signal(record["signal"])
    return Acted(
        line=line,
        source=source,
        query_id=query_id,
        signal=signal,
        doc_ids=() if record.get("doc_id") is None else (_id(record["doc_id"], "doc_id"),),
        value=_value(signal, record.get("value")),
        at_us=None if record.get("timestamp") is None else _time(record, "timestamp"),
    )


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _id(value: object, name: str) -> str:
    text = id_text(value)
    fault = id_fault(text, name)
    if fault or not isinstance(text, str):
        raise Rejected(fault or f"{name} is not a string")
    return text


def _query_text(value: object, name: str) -> str:
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


def _shown_list(value: object, name: str) -> tuple[ShownDoc, ...]:
    """The documents a record says it showed, in rank order, a document's first place counting."""
    if not isinstance(value, list) or len(value) > MAX_SHOWN:
        raise Rejected(f"{name} is not a list of at most {MAX_SHOWN:,} documents")
    shown: dict[str, ShownDoc] = {}
    for position, entry in enumerate(value, start=FIRST_RANK):
        fields = entry if isinstance(entry, dict) else {"doc_id": entry}
        doc_id = _id(fields.get("doc_id"), f"a document of {name}")
        rank, score = fields.get("rank", position), fields.get("score", 0.0)
        if type(rank) is not int or not FIRST_RANK <= rank <= MAX_SHOWN:
            raise Rejected(f"a rank of {name} is not a whole number from {FIRST_RANK} to {MAX_SHOWN:,}")
        if isinstance(score, bool) or not isinstance(score, int | float) or abs(score) > MAX_NUMBER:
            raise Rejected(f"a score of {name} is not a number")
        shown.setdefault(doc_id, shown_doc(doc_id, rank, float(score)))
    if len({document.rank for document in shown.values()}) < len(shown):
        raise Rejected(f"two documents of {name} have the same rank")
    return tuple(sorted(shown.values(), key=lambda document: document.rank))


def shown_doc(doc_id: str, rank: int, score: float = 0.0) -> ShownDoc:
    """A document of an imported list: no passage and no legs are known of it."""
    return ShownDoc(doc_id, rank, score, start=0, end=0, legs={})


def _value(signal: Signal | None, value: object) -> float | None:
    """A dwell time in seconds or a rating from 1 to 5; other signals carry no value."""
    if signal not in (Signal.DWELL, Signal.RATING):
        return None
    low, high = (1, _BEST_RATING) if signal is Signal.RATING else (0, MAX_NUMBER)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise Rejected(f"the value of a {signal} is not a number from {low} to {high}")
    return float(value)


def _time(record: Mapping[str, Any], name: str) -> int:
    """A timestamp in microseconds since 1970, UTC."""
    value = record.get(name)
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value.strip())
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            value_us = (moment - _EPOCH) // timedelta(microseconds=1)
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
