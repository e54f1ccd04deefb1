"""What to judge next: queries on which rankings differ, most asked first; documents pooled blind; and in words."""

from __future__ import annotations

from typing import Any

import pytest

from tribrid.evaluation.nextlabels import POOL_DEPTH, Asked, most_telling
from tribrid.evaluation.readiness import detectable, standing

DOCS = [f"d{n:02}" for n in range(40)]


def asked(text: str = "q", clients: int = 10, *starts: int, **more: Any) -> Asked:
    """A query with rankings that begin at these documents."""
    return Asked(text, clients, {f"s{n}": DOCS[at : at + 20] for n, at in enumerate(starts)}, **more)


def test_rankings_disagree_by_what_their_first_documents_do_not_share() -> None:
    assert asked("q", 1, 0, 0).disagreement == 0
    assert asked("q", 1, 0, 20).disagreement == 1
    assert asked("q", 1, 0, 5).disagreement == pytest.approx(0.5)
    assert asked("q", 1, 0).disagreement == 0  # one ranking agrees with itself
    assert Asked("q", 1, {"a": DOCS[:10], "b": []}).disagreement == 0  # what was not ranked says nothing
    assert asked("q", 3, 0, 7).why == "asked by 3 clients; the rankings share 3 of their first 10"
    assert asked("q", 0, 0, 7).why.startswith("in the log, without a client_id;")
    assert asked("q", 0, 0, 7, query_id="q1").why.startswith("in the eval dataset;")


def test_the_pool_says_nothing_of_who_found_a_document_and_leaves_out_what_is_judged() -> None:
    query = asked("q", 1, 0, 5, grades={"d01": 1, "d30": 0})
    pool = query.pool(13)
    assert sorted(pool) == [doc for doc in DOCS[: POOL_DEPTH + 5] if doc != "d01"]
    assert pool not in (sorted(pool), sorted(pool, reverse=True))
    assert pool == query.pool(13)
    assert pool != query.pool(14)


def test_the_most_telling_queries_come_first_and_none_that_would_tell_nothing() -> None:
    rare, common = asked("rare", 2, 0, 20), asked("common", 50, 0, 5)
    agreed, judged = asked("agreed", 900, 0, 0), asked("judged", 900, 0, 5, grades=dict.fromkeys(DOCS, 0))
    assert most_telling([rare, agreed, common, judged], 5) == [common, rare]
    assert most_telling([rare, common], 1) == [common]


def test_what_there_is_and_what_it_takes_is_said_in_words() -> None:
    spread = 0.09 * 34**0.5 / 2.8
    assert standing(34, spread) == "34 of 50 queries; a change of 0.090 would show now, 0.059 at 80."
    assert standing(120, 0.2).startswith("120 queries; a change of 0.051 would show now, 0.034 at 270")
    assert standing(0, 0.2) == f"0 of 50 queries; no change would show now, one of {detectable(50, 0.2):.3f} at 50."
