"""Jobs in real processes on a real store: order, cancelling, crashes, and kill -9 of whatever there is to kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tribrid.errors import InvalidInput, NotRunning
from tribrid.jobs import Supervisor, cancel, submit, wait, worker_for
from tribrid.jobs.child import Reporter
from tribrid.jobs.execution import MAX_ATTEMPTS
from tribrid.jobs.story import kills
from tribrid.jobs.worker import LEASE_S
from tribrid.store import Store
from tribrid.types import Event, Job, JobKind, State
from waiting import until

HANDLERS = "jobs_handlers:HANDLERS"
TIMEOUT_S = 30
pytestmark = pytest.mark.timeout(90)


def environment() -> dict[str, str]:
    """The tests' own, in which a worker finds the tests' handlers."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}


def supervisor_of(data_dir: Path) -> Supervisor:
    return Supervisor(data_dir, environment(), handlers=HANDLERS)


def open_store(data_dir: Path) -> Store:
    store = Store.open(data_dir)
    for corpus_id in ("a", "b"):
        store.corpora.create(corpus_id, corpus_id)
    return store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store of its own, in tmp_path, without a worker."""
    opened = open_store(tmp_path)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def served_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder whose worker serves all the tests that do not kill it."""
    data_dir = tmp_path_factory.mktemp("served")
    with worker_for(data_dir, environment(), handlers=HANDLERS):
        yield data_dir


@pytest.fixture(scope="module")
def _served(served_dir: Path) -> Iterator[Store]:
    opened = open_store(served_dir)
    yield opened
    opened.close()


@pytest.fixture
def served(_served: Store, served_dir: Path) -> Store:
    for left in ("order", "release"):
        (served_dir / left).unlink(missing_ok=True)
    return _served


def do(store: Store, what: str, name: str = "", corpus_id: str = "a", kind: JobKind = JobKind.TRAIN) -> str:
    return submit(store, kind, corpus_id, {"do": what, "name": name}).job_id


def ended(store: Store, job_id: str) -> Job:
    job = wait(store, job_id, TIMEOUT_S)
    assert job.state.final, f"still {job.state}"
    return job


def problem_of(job: Job) -> dict[str, Any]:
    assert job.problem is not None
    return dict(job.problem)


def logged(store: Store, job_id: str) -> list[dict[str, Any]]:
    """What each start of the job said about itself."""
    return [dict(e.data) for e in store.events.read(job_id) if e.type == "log" and "pid" in e.data]


def started(store: Store, job_id: str, times: int = 1) -> dict[str, Any]:
    """Wait for the job's `times`-th start; what it said."""
    log = until(lambda: found if len(found := logged(store, job_id)) >= times else [])
    return log[-1]


def alive(pid: int) -> bool:
    stat = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(stat.strip()) and not stat.startswith("Z")  # Z: dead, and nobody has asked how it died


def assert_story(store: Store, job_id: str, last: str) -> list[Event]:
    """The events have no gaps, and exactly one end, which is the last."""
    events = store.events.read(job_id)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert [event.type for event in events if event.type in ("complete", "error")] == [last]
    assert events[-1].type == last
    return events


def test_a_job_runs_and_tells_its_story(served: Store) -> None:
    seen: list[Event] = []
    job = wait(served, do(served, "note", "n"), TIMEOUT_S, seen.append)
    assert job.state is State.SUCCEEDED
    assert job.result == {"name": "n", "heavy": False}
    assert seen == assert_story(served, job.job_id, "complete")
    assert [e.data["state"] for e in seen if e.type == "state"] == ["queued", "running", "succeeded"]
    assert seen[-1].data["result"] == job.result


def test_a_corpus_has_its_order_and_does_not_wait_for_another(served: Store, served_dir: Path) -> None:
    first = do(served, "hold", "1")
    ids = [
        do(served, "note", "2", kind=JobKind.EVALUATE),
        do(served, "note", "3", kind=JobKind.MINE),
        do(served, "note", "4"),
        do(served, "note", "5", kind=JobKind.EVALUATE),
    ]
    assert ended(served, do(served, "note", "other", corpus_id="b")).state is State.SUCCEEDED
    assert [served.jobs.get(job_id).state for job_id in ids] == [State.QUEUED] * 4
    until(lambda: served.jobs.get(first).progress == {"done": 1, "total": 2})
    (served_dir / "release").touch()
    assert ended(served, ids[-1]).state is State.SUCCEEDED
    order = (served_dir / "order").read_text().replace("+other -other ", "")
    assert order.split() == ["+1", "-1", "+2", "-2", "+3", "-3", "+4", "-4", "+5", "-5"]


def test_cancel_while_queued_and_while_running(served: Store, served_dir: Path) -> None:
    running, queued = do(served, "hold", "1"), do(served, "note", "2")
    started(served, running)
    assert cancel(served, queued).state is State.CANCELLED
    assert problem_of(served.jobs.get(queued))["code"] == "cancelled"
    assert_story(served, queued, "error")
    assert cancel(served, running).cancel_requested
    job = ended(served, running)
    assert job.state is State.CANCELLED
    assert problem_of(job)["code"] == "cancelled"
    assert any(event.data.get("saw") == "cancelled" for event in assert_story(served, running, "error"))
    with pytest.raises(NotRunning):
        cancel(served, running)
    assert ended(served, do(served, "note", "3")).state is State.SUCCEEDED
    assert (served_dir / "order").read_text() == "+1 +3 -3 "


@pytest.mark.parametrize("handler", ["ignore_cancel", "trip_over_cancel"])
def test_a_handler_that_never_asks_is_interrupted(served: Store, handler: str) -> None:
    job_id = do(served, handler)
    started(served, job_id)
    cancel(served, job_id)
    assert ended(served, job_id).state is State.CANCELLED
    assert_story(served, job_id, "error")


@pytest.mark.parametrize(
    ("what", "kind", "expected"),
    [
        ("refuse", JobKind.TRAIN, {"code": "no_triplets", "status": 409, "corpus_id": "b"}),
        ("die", JobKind.TRAIN, {"code": "training_failed", "signal": "SIGKILL", "stderr_tail": "last words\n"}),
        ("die", JobKind.EVALUATE, {"code": "evaluation_failed", "exit_code": -9}),
        ("leave", JobKind.MINE, {"code": "failed", "exit_code": 3}),
        ("blunder", JobKind.MINE, {"code": "internal", "status": 500}),
        ("unstorable", JobKind.MINE, {"code": "internal"}),
        ("no such function", JobKind.MINE, {"code": "internal"}),
    ],
)
def test_a_job_that_fails_says_why(served: Store, what: str, kind: JobKind, expected: dict[str, Any]) -> None:
    job = ended(served, do(served, what, corpus_id="b", kind=kind))
    assert job.state is State.FAILED
    problem = problem_of(job)
    assert expected.items() <= problem.items()
    assert assert_story(served, job.job_id, "error")[-1].data["problem"] == problem


@pytest.mark.parametrize("killer", ["SIGKILL", "SIGTERM"])
def test_a_job_whose_process_is_killed_is_started_once_more(served: Store, served_dir: Path, killer: str) -> None:
    (served_dir / "died").unlink(missing_ok=True)
    job_id = submit(served, JobKind.TRAIN, "a", {"do": "die_once", "name": "", "signal": killer}).job_id
    assert ended(served, job_id).state is State.SUCCEEDED
    told = [event.data for event in assert_story(served, job_id, "complete") if event.type == "state"]
    assert [data.get("killed") for data in told] == [None, None, killer, None]
    assert "with a smaller batch" in told[2]["message"]
    assert kills(served, job_id) == 1


def test_a_job_whose_process_is_killed_again_fails_in_words(served: Store) -> None:
    job = ended(served, do(served, "die"))
    assert len(logged(served, job.job_id)) == 2
    assert problem_of(job)["detail"] == (
        "The process that ran this train job was killed by SIGKILL, and so was the one that was started in its place. "
        "The system does this when memory runs out. Free some, or lower training.memory_budget_mb, take a smaller "
        "training.base_model, or set training.cross_encoder to false; then train again."
    )


def test_a_job_that_nobody_works_on_says_so(store: Store, tmp_path: Path) -> None:
    with worker_for(tmp_path, environment(), handlers=HANDLERS):
        job_id = do(store, "hold")
        started(store, job_id)
        assert not store.jobs.get(job_id).interrupted
    assert store.jobs.get(job_id).state is State.RUNNING
    assert store.jobs.get(job_id).interrupted
    assert [job.interrupted for job in store.jobs.list("a")] == [True]
    (tmp_path / "release").touch()
    with worker_for(tmp_path, environment(), handlers=HANDLERS):
        assert not ended(store, job_id).interrupted


def test_the_traceback_of_a_bug_is_logged(served: Store) -> None:
    job = ended(served, do(served, "blunder"))
    assert problem_of(job)["detail"].startswith("Unexpected: ZeroDivisionError: division by zero.")
    assert any("in blunder" in event.data.get("traceback", "") for event in served.events.read(job.job_id))


def test_a_job_goes_with_its_corpus(served: Store) -> None:
    served.corpora.create("doomed", "doomed")
    job_id = do(served, "hold", corpus_id="doomed")
    pid = started(served, job_id)["pid"]
    served.corpora.delete("doomed")
    until(lambda: not alive(pid))
    served.corpora.create("doomed", "again")
    assert ended(served, do(served, "note", corpus_id="doomed")).state is State.SUCCEEDED
    served.corpora.delete("doomed")


def test_kill_9_of_the_worker(store: Store, tmp_path: Path) -> None:
    with worker_for(tmp_path, environment(), handlers=HANDLERS) as supervisor:
        job_id, queued = do(store, "hold"), do(store, "note")
        first = started(store, job_id)
        os.kill(first["worker"], signal.SIGKILL)
        killed = time.monotonic()
        second = started(store, job_id, times=2)
        assert time.monotonic() - killed < LEASE_S, "the folder's lock says that the predecessor is dead"
        assert second["worker"] != first["worker"]
        assert not alive(first["pid"])
        health = supervisor.health()
        assert (health.alive, health.restarts) == (True, 1)
        (tmp_path / "release").touch()
        assert ended(store, job_id).state is State.SUCCEEDED
        assert ended(store, queued).state is State.SUCCEEDED
    assert_story(store, job_id, "complete")
    assert not supervisor.health().alive


def test_kill_9_of_the_server(store: Store, tmp_path: Path) -> None:
    program = f"""
import time
from pathlib import Path
from tribrid.jobs import Supervisor
Supervisor(Path({str(tmp_path)!r}), handlers={HANDLERS!r}).ensure_worker()
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", program], env=environment()) as server:
        job_id, queued = do(store, "hold"), do(store, "note")
        first = started(store, job_id)
        server.kill()
    until(lambda: not alive(first["pid"]) and not alive(first["worker"]))
    assert store.jobs.get(job_id).state is State.RUNNING
    (tmp_path / "release").touch()
    with worker_for(tmp_path, environment(), handlers=HANDLERS):
        assert ended(store, queued).state is State.SUCCEEDED
    assert store.jobs.get(job_id).state is State.SUCCEEDED
    assert_story(store, job_id, "complete")


def test_a_machine_that_shuts_down_cancels_nothing(store: Store, tmp_path: Path) -> None:
    """It sends SIGTERM to all processes at once, to the child as to the worker."""
    with worker_for(tmp_path, environment(), handlers=HANDLERS):
        job_id = do(store, "hold")
        first = started(store, job_id)
        os.kill(first["worker"], signal.SIGTERM)
        os.kill(first["pid"], signal.SIGTERM)
        started(store, job_id, times=2)
        (tmp_path / "release").touch()
        assert ended(store, job_id).state is State.SUCCEEDED
    assert any("interrupted" in event.data for event in assert_story(store, job_id, "complete"))


def test_one_worker_for_two_supervisors_and_a_successor(store: Store, tmp_path: Path) -> None:
    one, two = supervisor_of(tmp_path), supervisor_of(tmp_path)
    one.ensure_worker()
    two.ensure_worker()
    try:
        job_id = do(store, "hold")
        worker = started(store, job_id)["worker"]
        assert {one.health().pid, two.health().pid} == {worker}
        one.stop()
        # Whose worker it was is a race: if it was two's, it works on.
        if alive(worker):
            assert two.health().pid == worker
            two.stop()
            two.ensure_worker()
        second = started(store, job_id, times=2)
        assert two.health().pid == second["worker"] != worker
        (tmp_path / "release").touch()
        assert ended(store, job_id).state is State.SUCCEEDED
    finally:
        one.stop()
        two.stop()


def test_what_was_left_behind_is_taken_up(store: Store, tmp_path: Path) -> None:
    """By a worker that was asked to end a job and died, and by submitters that died on the next line."""
    asked, orphan = (store.jobs.create(JobKind.TRAIN, "a", {"do": "note", "name": n}).job_id for n in "12")
    claimed = store.jobs.claim("dead", lease_s=0)
    assert claimed is not None
    assert claimed.job.job_id == asked
    assert store.jobs.request_cancel(asked).cancel_requested
    store.jobs.create(JobKind.EVALUATE, "a", {"do": "note", "name": "3"})
    last = do(store, "note", "4")
    with worker_for(tmp_path, environment(), handlers=HANDLERS):
        assert ended(store, last).state is State.SUCCEEDED
    assert store.jobs.get(asked).state is State.CANCELLED
    assert store.jobs.get(orphan).state is State.SUCCEEDED
    assert (tmp_path / "order").read_text() == "+2 -2 +3 -3 +4 -4 "


def test_a_job_that_kills_its_worker_is_given_up(store: Store, tmp_path: Path) -> None:
    job_id = do(store, "kill_worker")
    for _ in range(1, MAX_ATTEMPTS):
        assert store.jobs.claim("dead", lease_s=0)
        store.jobs.vacate("dead")
    with worker_for(tmp_path, environment(), handlers=HANDLERS):
        job = ended(store, job_id)
    assert len(logged(store, job_id)) == 1
    assert problem_of(job)["code"] == "training_failed"
    assert problem_of(job)["attempts"] == MAX_ATTEMPTS


def test_a_worker_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "tribrid.db").write_bytes(b"not a database" * 100)
    with worker_for(tmp_path, environment(), handlers=HANDLERS) as supervisor:
        until(lambda: supervisor.health().restarts)
        assert "file is not a database" in supervisor.health().detail


@pytest.mark.timeout(30, func_only=True)  # nobody works on the job: without its own end it waits for ever
def test_waiting_ends_in_time(store: Store) -> None:
    job_id = do(store, "note")
    begun = time.monotonic()
    assert wait(store, job_id, 0.3).state is State.QUEUED
    assert time.monotonic() - begun >= 0.3


def test_progress_is_a_gauge(store: Store) -> None:
    job_id = do(store, "note")
    reporter = Reporter(store, job_id)
    for done in range(100):
        reporter.emit("progress", {"done": done})
    until(lambda: store.jobs.get(job_id).progress == {"done": 99})
    assert sum(event.type == "progress" for event in store.events.read(job_id)) <= 3
    with pytest.raises(InvalidInput):
        reporter.emit("complete", {})
    reporter.emit("progress", {"done": 100})
    reporter.close()
    reporter.emit("log", {"message": "too late"})
    assert store.events.read(job_id)[-1].data == {"done": 100}
