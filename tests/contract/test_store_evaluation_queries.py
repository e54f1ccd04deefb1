"""The queries of an evaluation: their order, and finding one by its words."""

from __future__ import annotations

import pytest

import reports
from tribrid.answers.report import QueryRow
from tribrid.errors import InvalidInput
from tribrid.store import Store


def test_per_query_rows_are_sorted_by_any_number_in_them(store: Store) -> None:
    deltas = [0.25, -1.5, None, 0.0, 10]
    rows = [
        QueryRow(query_id=f"q{n}", text="a", delta_primary=delta, after={"ndcg@10": -n})
        for n, delta in enumerate(deltas)
    ]
    store.evaluations.put("e", "c", reports.report(), rows)

    def order(sort: str | None, offset: int = 0, limit: int = 100) -> list[str]:
        page, total = store.evaluations.queries("e", offset, limit, sort)
        assert total == 5
        return [row.query_id for row in page]

    assert order(None) == ["q0", "q1", "q2", "q3", "q4"]
    assert order("delta_primary") == ["q1", "q3", "q0", "q4", "q2"]
    assert order("-delta_primary") == ["q4", "q0", "q3", "q1", "q2"]
    assert order("after.ndcg@10") == ["q4", "q3", "q2", "q1", "q0"]
    assert order("-delta_primary", offset=1, limit=2) == ["q0", "q3"]
    for bad in ("", "-", "a..b", "delta_primary; drop", "a'", "no.such.number", "delta_primary.mean", "after"):
        with pytest.raises(InvalidInput):
            order(bad)


def test_queries_of_an_evaluation_are_found_by_their_words(store: Store) -> None:
    rows = [
        QueryRow(query_id=f"q{n}", text=text, delta_primary=n / 10) for n, text in enumerate(["Soup", "pasta", "a_b"])
    ]
    store.evaluations.put("e1", "c", reports.report(), rows)
    assert store.evaluations.queries("e1", contains="sOUP") == ([rows[0]], 1)
    assert store.evaluations.queries("e1", contains="_") == ([rows[2]], 1)
    assert store.evaluations.queries("e1", sort="-delta_primary", contains="a") == ([rows[2], rows[1]], 2)
    assert store.evaluations.queries("e1", sort="delta_primary", contains="none of them") == ([], 0)


def test_queries_of_an_evaluation_are_found_by_their_kind(store: Store) -> None:
    kinds = [("length=short", 'metadata.x="ä_b"'), ("length=shorter",), ()]
    rows = [QueryRow(query_id=f"q{n}", text="t", slices=of) for n, of in enumerate(kinds)]
    store.evaluations.put("e1", "c", reports.report(), rows)
    for kind, found in (("length=short", rows[:1]), ('metadata.x="ä_b"', rows[:1]), ("metadata.x=", [])):
        assert store.evaluations.queries("e1", kind=kind) == (found, len(found)), kind
