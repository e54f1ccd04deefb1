"""UBI events as sites write them: actions in any spelling, documents in any form or by their place alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from logged import T0, ndjson, parse_ubi, ubi_event, ubi_query
from tribrid.corpus.jsonlines import Skipped
from tribrid.logs.join import ImportedFeedback, ImportedImpression, LogJoin
from tribrid.types import Impression, ShownDoc, Signal


@pytest.mark.parametrize(
    ("action", "signal"),
    [
        *((name, Signal.THUMBS_UP) for name in ["product_purchase", "buy", "addToCart", "conversion", "Add-To-Basket"]),
        *((name, Signal.CLICK) for name in ["searchResultClick", "product.clicked", "Click Through"]),
        *((name, None) for name in ["remove_from_cart", "view", "purchase_history", ""]),
    ],
)
def test_actions_however_they_are_spelled(action: str, signal: Signal | None) -> None:
    both = parse_ubi(ndjson(ubi_query(hits=["a"]), ubi_event(action, "a")))
    [found] = [item for item in both if not isinstance(item, ImportedImpression)]
    assert (found.signal if isinstance(found, ImportedFeedback) else None) == signal
    if signal is None:
        assert isinstance(found, Skipped)
        assert (found.kind, found.reason) == ("ignored", f"action {action!r} is not feedback")


def bare_event(**fields: Any) -> dict[str, Any]:
    return {"action_name": "click", "query_id": "q", "timestamp": T0, **fields}


OBJECT = {"object": {"object_id": "2.md"}, "position": {"ordinal": 3}}


@pytest.mark.parametrize(
    "fields",
    [
        {"event_attributes": json.dumps(OBJECT)},
        {"event_attributes": {"object": json.dumps(OBJECT["object"])}},
        {"event_attributes": {"object.object_id": "2.md"}},
        {"event_attributes.object.object_id": "2.md"},
        {"event_attributes.object": {"object_id": "2.md"}},
        {"event_attributes": {"position": {"ordinal": 3}}, "event_attributes.object.internal_id": "2.md"},
        {"event_attributes": '{"position": {"ordinal": 2}}'},
        {"event_attributes.position.ordinal": 2.0},
        {"event_attributes": {"position": {"ordinal": "2"}, "object": {"object_id": None}}},
    ],
)
def test_a_document_is_named_in_any_form_or_by_its_place(fields: dict[str, Any]) -> None:
    hits = ubi_query(hits=["1.md", "2.md", "3.md"])
    _, found = parse_ubi(ndjson(hits, bare_event(**fields)))
    assert isinstance(found, ImportedFeedback)
    assert found.doc_id == "2.md"
    stored = Impression(
        "q", "c", "ps4", tuple(ShownDoc(f"{n}.md", n, 0, 0, 0, {}) for n in (1, 2, 3)), "m", False, None, 0, 0
    )
    with LogJoin("ubi") as log:
        assert list(log.read(ndjson(bare_event(**fields)))) == []
        [joined] = log.joined(lambda _: {"q": stored})
        assert [feedback.doc_id for feedback in joined.feedback] == ["2.md"]


def test_places_count_from_zero_where_the_log_says_so() -> None:
    queries = [ubi_query(query_id, hits=["1.md", "2.md", "3.md"]) for query_id in "qr"]
    clicks = [
        {**bare_event(**{"event_attributes.position.ordinal": at}), "query_id": of} for at, of in [(0, "q"), (2, "r")]
    ]
    found = [item for item in parse_ubi(ndjson(*queries, *clicks)) if isinstance(item, ImportedFeedback)]
    assert {(item.query_id, item.doc_id) for item in found} == {("q", "1.md"), ("r", "3.md")}
    seen = [ubi_event("impression", name, at) for at, name in enumerate("cab", 5)]
    *_, click = parse_ubi(ndjson(ubi_query(), *seen, bare_event(event_attributes={"position": {"ordinal": 6}})))
    assert isinstance(click, ImportedFeedback)
    assert click.doc_id == "a"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"event_attributes": "{broken"},
        {"event_attributes": {"object": {"object_id": ""}}},
        {"event_attributes": {"position": {"ordinal": 9}}},
        {"event_attributes": {"position": {"ordinal": -1}}},
    ],
)
def test_an_event_that_names_no_document_does_not_join(fields: dict[str, Any]) -> None:
    found = list(parse_ubi(ndjson(ubi_query(hits=["a"]), bare_event(**fields))))
    [skipped] = [item for item in found if isinstance(item, Skipped)]
    assert (skipped.kind, skipped.reason) == ("unjoined", "names no document")
    assert not any(isinstance(item, ImportedFeedback) for item in found)
