"""Jobs and their events: guarded changes of state, one running training per corpus, a story without gaps."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from tribrid.errors import Conflict, CorpusNotFound, InvalidInput, JobNotFound, NotRunning
from tribrid.store import Store
from tribrid.types import JobKind, State

APPEND = """
import sys
from tribrid.store import Database
from tribrid.store.events import Events
events = Events(Database(sys.argv[1]))
for n in range(50):
    events.append(sys.argv[2], "progress", {"writer": sys.argv[3], "n": n})
"""


def test_a_job_from_queue_to_end(store: Store) -> None:
    job = store.jobs.create(JobKind.MINE, "c", {"max_pairs": 5})
    assert store.jobs.get(job.job_id) == job
    assert (job.state, job.params, job.started_us, job.cancel_requested) == (
        State.QUEUED,
        {"max_pairs": 5},
        None,
        False,
    )
    assert store.jobs.start(job.job_id)
    running = store.jobs.get(job.job_id)
    assert running.state is State.RUNNING
    assert running.started_us is not None
    assert store.jobs.start(job.job_id)  # its worker died: another takes it up
    assert store.jobs.get(job.job_id).started_us == running.started_us
    store.jobs.progress(job.job_id, {"done": 1, "of": 2})
    assert store.jobs.get(job.job_id).progress == {"done": 1, "of": 2}
    ended = store.jobs.finish(job.job_id, State.SUCCEEDED, result={"pairs": 3})
    assert (ended.state, ended.result, ended.problem) == (State.SUCCEEDED, {"pairs": 3}, None)
    assert ended.finished_us is not None
    assert not store.jobs.start(job.job_id)


def test_a_job_ends_once(store: Store) -> None:
    job = store.jobs.create(JobKind.MINE, "c", {})
    ended = store.jobs.finish(job.job_id, State.FAILED, problem={"code": "failed"})
    assert store.jobs.finish(job.job_id, State.SUCCEEDED, result={}) == ended
    store.jobs.progress(job.job_id, {"late": True})
    assert store.jobs.get(job.job_id) == ended
    with pytest.raises(InvalidInput):
        store.jobs.finish(job.job_id, State.RUNNING)


def test_unknown_jobs_and_corpora(store: Store) -> None:
    for call in (store.jobs.get, store.jobs.start, store.jobs.request_cancel):
        with pytest.raises(JobNotFound):
            call("none")
    with pytest.raises(JobNotFound):
        store.jobs.progress("none", {})
    with pytest.raises(JobNotFound):
        store.jobs.finish("none", State.FAILED)
    with pytest.raises(JobNotFound):
        store.events.append("none", "log", {})
    with pytest.raises(CorpusNotFound):
        store.jobs.create(JobKind.MINE, "none", {})


def test_cancel(store: Store) -> None:
    queued, running = (store.jobs.create(JobKind.TRAIN, "c", {}) for _ in range(2))
    store.jobs.start(running.job_id)
    cancelled = store.jobs.request_cancel(queued.job_id)
    assert (cancelled.state, cancelled.cancel_requested) == (State.CANCELLED, True)
    assert cancelled.finished_us is not None
    assert not store.jobs.start(queued.job_id)
    for _ in range(2):
        asked = store.jobs.request_cancel(running.job_id)
        assert (asked.state, asked.cancel_requested) == (State.RUNNING, True)
    store.jobs.finish(running.job_id, State.CANCELLED)
    with pytest.raises(NotRunning, match="already cancelled"):
        store.jobs.request_cancel(running.job_id)


def test_a_corpus_has_one_running_training(store: Store) -> None:
    store.corpora.create("other", "")
    first, second = (store.jobs.create(JobKind.TRAIN, "c", {}) for _ in range(2))
    elsewhere = store.jobs.create(JobKind.TRAIN, "other", {})
    mining = [store.jobs.create(JobKind.MINE, "c", {}) for _ in range(2)]
    assert store.jobs.start(first.job_id)
    with pytest.raises(Conflict, match="Another training"):
        store.jobs.start(second.job_id)
    assert store.jobs.get(second.job_id).state is State.QUEUED
    assert all(store.jobs.start(job.job_id) for job in (first, elsewhere, *mining))
    store.jobs.finish(first.job_id, State.FAILED)
    assert store.jobs.start(second.job_id)


def test_of_two_that_start_at_once_one_wins(store: Store) -> None:
    runs = [store.jobs.create(JobKind.TRAIN, "c", {}).job_id for _ in range(6)]

    def start(job_id: str) -> bool:
        try:
            return store.jobs.start(job_id)
        except Conflict:
            return False

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(start, runs)) == 1
    assert len(store.jobs.list(states=[State.RUNNING])) == 1


def test_lists(store: Store) -> None:
    store.corpora.create("other", "")
    one, two, three = (
        store.jobs.create(kind, corpus_id, {}).job_id
        for kind, corpus_id in ((JobKind.TRAIN, "c"), (JobKind.MINE, "c"), (JobKind.TRAIN, "other"))
    )
    four = store.jobs.create(JobKind.TRAIN, "c", {}).job_id
    store.jobs.start(one)

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
