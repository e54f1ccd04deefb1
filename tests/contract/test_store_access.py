"""API keys and retention, on both databases."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from tribrid.errors import KeyNotFound
from tribrid.store import Store, tables
from tribrid.store.retention import BATCH_ROWS
from tribrid.types import Feedback, Impression, JobKind, Scope, ShownDoc, Signal


def searched(store: Store, corpus_id: str, query_id: str, at_us: int) -> None:
    shown = (ShownDoc("d", 1, 1.0, 0, 1, {}),)
    store.logs.add_impression(Impression(query_id, corpus_id, "q", shown, "retrieval", False, None, 1.0, at_us))
    store.logs.add_feedback(Feedback(query_id, Signal.CLICK, "d", None, at_us))


def rows(store: Store, table: sa.Table) -> int:
    with store.database.read() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def test_keys_are_kept_and_end_once(store: Store) -> None:
    one = store.access.add("1", "Ünser", [Scope.SEARCH, Scope.FEEDBACK], "a" * 64)
    store.access.add("2", "", [Scope.ADMIN], "b" * 64)
    assert [key.key_id for key in store.access.list()] == ["1", "2"]
    assert store.access.list()[0] == one
    ended = store.access.revoke("1")
    assert ended.revoked_us
    assert store.access.revoke("1") == ended
    assert [bool(key.revoked_us) for key in store.access.list()] == [True, False]
    with pytest.raises(KeyNotFound):
        store.access.revoke("3")


def test_old_searches_go_with_their_feedback_and_others_stay(store: Store) -> None:
    store.corpora.create("other", "")
    for at in (1, 2, 3):
        searched(store, "c", f"c{at}", at)
        searched(store, "other", f"o{at}", at)
    assert store.retention.prune("c", 3) == 2
    assert store.retention.prune("c", 3) == 0
    assert rows(store, tables.impressions) == rows(store, tables.feedback) == 4
    assert store.logs.impression("c3").created_us == 3


def test_a_batch_has_an_end(store: Store) -> None:
    lists = [Impression(str(n), "c", "q", (), "retrieval", False, None, 1.0, n) for n in range(BATCH_ROWS + 1)]
    store.logs.add_impressions(lists)
    assert [store.retention.prune("c", 10**9) for _ in range(3)] == [BATCH_ROWS, 1, 0]


def test_jobs_that_wait_are_counted(store: Store) -> None:
    for _ in range(2):
        store.jobs.create(JobKind.TRAIN, "c", {})
    assert store.jobs.waiting() == {("train", "queued"): 2}
