"""Evaluations by a schedule on a database: each due time queues one job, whoever looks and whatever is killed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tribrid.answers.alerts import Finding, Watched
from tribrid.config import Environment
from tribrid.errors import CorpusNotFound
from tribrid.jobs.scheduling import SERVED, queue_due
from tribrid.store import Store
from tribrid.types import Job, JobKind, JudgedQuery, State

ENVIRONMENT = Environment.model_validate({"data_dir": Path("/nowhere")})
MONDAY = datetime(2026, 11, 30, 2, 0, tzinfo=UTC)
"""An hour before it is due."""


def us(at: datetime) -> int:
    return round(at.timestamp() * 1e6)


@pytest.fixture
def nightly(store: Store) -> Store:
    """Corpus c is evaluated at 03:00, from Monday at 02:00 on."""
    put_dataset(store)
    store.settings.patch("c", {"evaluation": {"schedule": "0 3 * * *"}})
    assert due(store, MONDAY) == [], "what was due before is not made up for"
    return store


def put_dataset(store: Store) -> None:
    store.evalsets.put("c", [JudgedQuery("q", "text", {"d": 1})], "ndcg@10")


def due(store: Store, at: datetime) -> list[str]:
    return queue_due(store, ENVIRONMENT, us(at))


def jobs(store: Store) -> list[Job]:
    return store.jobs.list("c")


def test_a_due_time_queues_one_evaluation_of_what_serves(nightly: Store) -> None:
    assert due(nightly, MONDAY + timedelta(minutes=59)) == []
    (job_id,) = due(nightly, MONDAY + timedelta(hours=1))
    assert due(nightly, MONDAY + timedelta(hours=2)) == []
    (job,) = jobs(nightly)
    assert (job.job_id, job.kind, job.params, job.state) == (job_id, JobKind.EVALUATE, SERVED, State.QUEUED)
    assert [event.type for event in nightly.events.read(job_id)] == ["state"]
    nightly.jobs.finish(job_id, State.SUCCEEDED, {})
    (following,) = due(nightly, MONDAY + timedelta(days=1, hours=1))
    assert following != job_id


def test_workers_that_look_at_once_queue_one(nightly: Store) -> None:
    at = MONDAY + timedelta(hours=1)
    with ThreadPoolExecutor(8) as pool:
        queued = [job_id for found in pool.map(lambda _: due(nightly, at), range(16)) for job_id in found]
    assert [job.job_id for job in jobs(nightly)] == queued
    assert len(queued) == 1


def test_what_came_due_while_nobody_looked_is_made_up_for_once(nightly: Store) -> None:
    assert len(due(nightly, MONDAY + timedelta(days=9))) == 1
    assert due(nightly, MONDAY + timedelta(days=9, minutes=5)) == []


def test_a_time_that_comes_while_the_last_is_not_over_is_passed_over(nightly: Store) -> None:
    (job_id,) = due(nightly, MONDAY + timedelta(hours=1))
    assert due(nightly, MONDAY + timedelta(days=1, hours=1)) == []
    nightly.jobs.finish(job_id, State.FAILED, problem={"detail": "it broke"})
    assert due(nightly, MONDAY + timedelta(days=1, hours=2)) == []
    (row,) = nightly.schedules.list()
    assert row.failed is not None
    assert row.failed["detail"] == "it broke"
    assert len(due(nightly, MONDAY + timedelta(days=2, hours=1))) == 1


def test_another_expression_begins_anew_and_without_one_nothing_runs(nightly: Store) -> None:
    nightly.settings.patch("c", {"evaluation": {"schedule": "30 1 * * *"}})
    assert due(nightly, MONDAY + timedelta(hours=2)) == [], "01:30 was before it was asked for"
    assert len(due(nightly, MONDAY + timedelta(days=1))) == 1
    found = Watched(evaluation_id="e", findings=(Finding(what="guard", name="n", detail="d", since="e"),))
    nightly.schedules.note("c", found, "nobody there")
    assert nightly.schedules.watched("c") == (found, "nobody there")
    nightly.settings.patch("c", {"evaluation": {"schedule": None}})
    assert due(nightly, MONDAY + timedelta(days=3)) == []


def test_a_schedule_of_all_corpora_passes_over_what_cannot_be_measured(store: Store) -> None:
    store.settings.patch("", {"evaluation": {"schedule": "0 3 * * *"}})
    assert due(store, MONDAY) == due(store, MONDAY + timedelta(days=1, hours=2)) == []
    assert store.schedules.list() == []
    store.schedules.note("c", Watched(evaluation_id="e"), None)
    assert store.schedules.watched("c") == (None, None), "there is nothing to keep it with"
    put_dataset(store)
    due(store, MONDAY)
    assert len(due(store, MONDAY + timedelta(hours=1))) == 1
    store.corpora.delete("c")
    assert due(store, MONDAY + timedelta(days=2)) == []
    with pytest.raises(CorpusNotFound):
        store.schedules.take("c", "0 3 * * *", 2, 1, SERVED)
