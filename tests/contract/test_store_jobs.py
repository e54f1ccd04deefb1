"""Jobs and their events: guarded changes of state, claims under a lease, a story without gaps."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config as AlembicConfig

from tribrid.errors import Conflict, CorpusNotFound, InvalidInput, JobNotFound, NotRunning
from tribrid.store import Store, tables
from tribrid.store.database import Database
from tribrid.store.jobs import Claim
from tribrid.types import JobKind, State

LEASE_S = 30.0

APPEND = """
import sys
from tribrid.store import Database
from tribrid.store.events import Events
events = Events(Database(sys.argv[1]))
for n in range(50):
    events.append(sys.argv[2], "progress", {"writer": sys.argv[3], "n": n})
"""


def claimed(store: Store, worker: str = "w", lease_s: float = LEASE_S) -> Claim:
    """What this worker gets, which must be something."""
    claim = store.jobs.claim(worker, lease_s)
    assert claim is not None
    return claim


def test_a_job_from_queue_to_end(store: Store) -> None:
    job = store.jobs.create(JobKind.MINE, "c", {"max_pairs": 5})
    assert store.jobs.get(job.job_id) == job
    assert (job.state, job.params, job.started_us, job.cancel_requested) == (
        State.QUEUED,
        {"max_pairs": 5},
        None,
        False,
    )
    first = claimed(store, lease_s=0)
    running = store.jobs.get(job.job_id)
    assert running.interrupted  # its lease is over
    assert (first.job, first.attempt, running.state) == (replace(running, interrupted=False), 1, State.RUNNING)
    assert running.started_us is not None
    again = claimed(store, "another")  # its worker died: another takes it up
    assert (again.job, again.attempt) == (first.job, 2)
    store.jobs.progress(job.job_id, {"done": 1, "of": 2})
    assert store.jobs.get(job.job_id).progress == {"done": 1, "of": 2}
    ended = store.jobs.finish(job.job_id, State.SUCCEEDED, result={"pairs": 3})
    assert (ended.state, ended.result, ended.problem) == (State.SUCCEEDED, {"pairs": 3}, None)
    assert ended.finished_us is not None
    assert store.jobs.claim("w", LEASE_S) is None


def test_a_job_ends_once(store: Store) -> None:
    job = store.jobs.create(JobKind.MINE, "c", {})
    ended = store.jobs.finish(job.job_id, State.FAILED, problem={"code": "failed"})
    assert store.jobs.finish(job.job_id, State.SUCCEEDED, result={}) == ended
    store.jobs.progress(job.job_id, {"late": True})
    assert store.jobs.get(job.job_id) == ended
    with pytest.raises(InvalidInput):
        store.jobs.finish(job.job_id, State.RUNNING)


def test_unknown_jobs_and_corpora(store: Store) -> None:
    for call in (store.jobs.get, store.jobs.request_cancel):
        with pytest.raises(JobNotFound):
            call("none")
    with pytest.raises(JobNotFound):
        store.jobs.renew("none", "w/1", LEASE_S)
    with pytest.raises(JobNotFound):
        store.jobs.progress("none", {})
    with pytest.raises(JobNotFound):
        store.jobs.finish("none", State.FAILED)
    with pytest.raises(JobNotFound):
        store.events.append("none", "log", {})
    with pytest.raises(CorpusNotFound):
        store.jobs.create(JobKind.MINE, "none", {})


def test_cancel(store: Store) -> None:
    running, queued = (store.jobs.create(JobKind.TRAIN, "c", {}) for _ in range(2))
    claimed(store)
    cancelled = store.jobs.request_cancel(queued.job_id)
    assert (cancelled.state, cancelled.cancel_requested) == (State.CANCELLED, True)
    assert cancelled.finished_us is not None
    for _ in range(2):
        asked = store.jobs.request_cancel(running.job_id)
        assert (asked.state, asked.cancel_requested) == (State.RUNNING, True)
    store.jobs.finish(running.job_id, State.CANCELLED)
    with pytest.raises(NotRunning, match="already cancelled"):
        store.jobs.request_cancel(running.job_id)
    assert store.jobs.claim("w", LEASE_S) is None


def test_each_corpus_in_order_and_one_at_a_time(store: Store) -> None:
    store.corpora.create("other", "")
    kinds = (JobKind.TRAIN, JobKind.MINE, JobKind.EVALUATE)
    first, second, third = (store.jobs.create(kind, "c", {}).job_id for kind in kinds)
    elsewhere = store.jobs.create(JobKind.TRAIN, "other", {}).job_id
    assert [claimed(store, name).job.job_id for name in ("one", "two")] == [first, elsewhere]
    assert store.jobs.claim("three", LEASE_S) is None
    store.jobs.finish(first, State.FAILED)
    store.jobs.request_cancel(second)
    assert claimed(store, "three").job.job_id == third


def test_of_many_that_claim_at_once_each_gets_another(store: Store) -> None:
    for number in range(4):
        store.corpora.create(f"c{number}", "")
        for _ in range(3):
            store.jobs.create(JobKind.TRAIN, f"c{number}", {})
    with ThreadPoolExecutor(8) as pool:
        # A look at the moment when others write may find nothing; the worker's next one does.
        found = [
            job for _ in range(3) for job in pool.map(lambda n: store.jobs.claim(f"w{n}", LEASE_S), range(8)) if job
        ]
    assert sorted(claim.job.corpus_id for claim in found) == ["c0", "c1", "c2", "c3"]
    assert {claim.job.job_id for claim in found} == {job.job_id for job in store.jobs.list(states=[State.RUNNING])}


def test_a_lease_that_is_renewed_keeps_others_out(store: Store) -> None:
    claim = claimed_new(store, "one", lease_s=0)
    assert store.jobs.claim("one", LEASE_S) is None, "its own job is in its hands, however late it is"
    assert store.jobs.renew(claim.job.job_id, claim.holder, LEASE_S) == claim.job
    assert store.jobs.claim("two", LEASE_S) is None


def test_who_lost_a_job_writes_nothing_more(store: Store) -> None:
    lost = claimed_new(store, "one", lease_s=0)
    job_id = lost.job.job_id
    claimed(store, "two", lease_s=0)
    assert store.jobs.renew(job_id, lost.holder, LEASE_S) is None
    assert claimed(store, "three").attempt == 3, "the loser's renewal held nothing"
    assert store.jobs.held(job_id, lost.holder) is None
    with pytest.raises(Conflict, match="taken this job over"):
        store.events.append(job_id, "metrics", {"loss": 1}, holder=lost.holder)
    store.jobs.progress(job_id, {"late": True}, holder=lost.holder)
    store.jobs.release(job_id, lost.holder, attempts=0, told=[("log", {})])
    standing = store.jobs.finish(job_id, State.SUCCEEDED, {}, told=[("complete", {})], holder=lost.holder)
    assert (standing.state, standing.progress) == (State.RUNNING, None)
    assert store.events.read(job_id) == []
    assert store.jobs.claim("four", LEASE_S) is None


def test_a_job_that_is_given_back_is_anybodys_at_once(store: Store) -> None:
    claim = claimed_new(store, "one")
    store.jobs.release(claim.job.job_id, claim.holder, attempts=0, told=[("log", {"given": "back"})])
    assert [event.data for event in store.events.read(claim.job.job_id)] == [{"given": "back"}]
    again = claimed(store, "two")
    assert (again.job, again.attempt) == (claim.job, 1)


def test_what_a_dead_worker_had_need_not_wait(store: Store) -> None:
    store.corpora.create("other", "")
    claim = claimed_new(store, "one")
    store.jobs.create(JobKind.MINE, "other", {})
    claimed(store, "one%")  # its name begins the same, and it lives
    assert store.jobs.vacate("one") == 1
    again = claimed(store, "one")
    assert (again.job, again.attempt) == (claim.job, 2)
    assert again.holder != claim.holder, "a child of the dead one that lives on must not write for its successor"


def claimed_new(store: Store, worker: str, lease_s: float = LEASE_S) -> Claim:
    store.jobs.create(JobKind.TRAIN, "c", {})
    return claimed(store, worker, lease_s)


def test_jobs_of_before_there_were_leases(database_url: str, tmp_path: Path) -> None:
    """Rows stay; one whose end was told is ended; of two that run in one corpus the later waits."""
    database = Database(database_url)
    script = AlembicConfig()
    script.set_main_option("script_location", str(Path(tables.__file__).parent / "migrations"))
    columns = "job_number, job_id, kind, corpus_id, state, params, created_us, cancel_requested, last_seq"
    row = f"INSERT INTO jobs ({columns}) VALUES (:n, :id, :kind, 'c', :state, '{{}}', 7, false, 1)"
    rows = [
        ("told", "evaluate", "running"),
        ("one", "mine", "running"),
        ("two", "train", "running"),
        ("new", "mine", "queued"),
    ]
    event = "INSERT INTO events VALUES ('told', 1, 'complete', 9, :data)"
    with database.begin() as connection:
        script.attributes["connection"] = connection
        command.upgrade(script, "0009_remembered")
        connection.execute(sa.text("INSERT INTO corpora VALUES ('c', '', 0, 0)"))
        for number, (name, kind, state) in enumerate(rows, 1):
            connection.execute(sa.text(row), {"n": number, "id": name, "kind": kind, "state": state})
        connection.execute(sa.text(event), {"data": '{"state": "succeeded", "result": {"told": true}}'})
    database.close()
    store = Store.open(tmp_path / "data", database_url)
    told = store.jobs.get("told")
    assert (told.state, told.result, told.problem, told.finished_us) == (State.SUCCEEDED, {"told": True}, None, 9)
    states = {job.job_id: job.state for job in store.jobs.list(states=[State.QUEUED, State.RUNNING])}
    assert states == {"one": State.RUNNING, "two": State.QUEUED, "new": State.QUEUED}
    order = []
    while claim := store.jobs.claim("w", LEASE_S):
        order.append(claim.job.job_id)
        store.jobs.finish(order[-1], State.FAILED)
    assert order == ["one", "two", "new"]
    store.close()


def test_lists(store: Store) -> None:
    store.corpora.create("other", "")
    one, two, three = (
        store.jobs.create(kind, corpus_id, {}).job_id
        for kind, corpus_id in ((JobKind.TRAIN, "c"), (JobKind.MINE, "c"), (JobKind.TRAIN, "other"))
    )
    four = store.jobs.create(JobKind.TRAIN, "c", {}).job_id
    assert claimed(store).job.job_id == one

    def ids(**filters: object) -> list[str]:
        return [job.job_id for job in store.jobs.list(**filters)]  # type: ignore[arg-type]

    assert ids() == [four, three, two, one]
    assert ids(corpus_id="c", kind=JobKind.TRAIN) == [four, one]
    assert ids(states=[State.RUNNING, State.FAILED]) == [one]
    assert ids(states=[]) == []
    assert ids(limit=2) == [four, three]
    assert [job.job_id for job in store.jobs.pending("c", JobKind.TRAIN)] == [one, four]
    store.jobs.finish(one, State.SUCCEEDED)
    assert [job.job_id for job in store.jobs.pending("c", JobKind.TRAIN)] == [four]


def test_events_are_read_from_where_one_left_off(store: Store) -> None:
    job_id = store.jobs.create(JobKind.TRAIN, "c", {}).job_id
    assert [store.events.append(job_id, "log", {"n": n}) for n in range(5)] == [1, 2, 3, 4, 5]
    events = store.events.read(job_id)
    assert [(event.seq, event.type, event.data) for event in events] == [(n + 1, "log", {"n": n}) for n in range(5)]
    assert store.events.read(job_id, after_seq=3) == events[3:]
    assert store.events.read(job_id, after_seq=1, limit=2) == events[1:3]
    assert store.events.read(job_id, after_seq=5) == []
    assert store.events.read("none") == []


def test_two_processes_append_without_gaps(store: Store, database_url: str) -> None:
    job_id = store.jobs.create(JobKind.TRAIN, "c", {}).job_id
    writers = [
        subprocess.Popen([sys.executable, "-c", APPEND, database_url, job_id, name], stderr=subprocess.PIPE)
        for name in ("a", "b")
    ]
    failures = [errors.decode() for writer in writers for errors in [writer.communicate()[1]] if writer.returncode]
    assert failures == []
    events = store.events.read(job_id)
    assert [event.seq for event in events] == list(range(1, 101))
    for name in ("a", "b"):
        assert [event.data["n"] for event in events if event.data["writer"] == name] == list(range(50))
