"""Several workers on one database, each with a data folder of its own as on a machine of its own."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from tribrid.jobs import submit, wait
from tribrid.store import Store
from tribrid.types import Job, JobKind, State
from waiting import until

HANDLERS_FOLDER = Path(__file__).parents[1] / "journey"
TIMEOUT_S = 60
pytestmark = pytest.mark.timeout(150)

# Long enough that a worker on a busy machine renews its leases in time; others wait for it to run out.
LEASE_S = 3.0
Start = Callable[[str], "subprocess.Popen[bytes]"]


@pytest.fixture
def start(store: Store, database_url: str, tmp_path: Path) -> Iterator[Start]:
    """Start a worker in the folder of this name and wait until it is ready."""
    path = os.pathsep.join([str(HANDLERS_FOLDER), *sys.path])
    environment = {**os.environ, "TRIBRID_DATABASE_URL": database_url, "PYTHONPATH": path}
    running = []

    def start_one(name: str) -> subprocess.Popen[bytes]:
        folder = tmp_path / name
        folder.mkdir()
        command = [sys.executable, "-P", "-m", "tribrid.jobs.worker", "--data-dir", str(folder)]
        command += ["--lease-s", str(LEASE_S), "--handlers", "jobs_handlers:HANDLERS", "--parent-pid", str(os.getpid())]
        running.append(subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL))
        until((folder / "worker.id").exists)
        return running[-1]

    yield start_one
    for worker in running:
        worker.kill()
        worker.wait()


def do(store: Store, what: str, corpus_id: str = "c") -> str:
    return submit(store, JobKind.MINE, corpus_id, {"do": what}).job_id


def starts(store: Store, job_id: str) -> list[dict[str, Any]]:
    return [dict(event.data) for event in store.events.read(job_id) if "pid" in event.data]


def started(store: Store, job_id: str, times: int = 1) -> dict[str, Any]:
    return until(lambda: found[-1] if len(found := starts(store, job_id)) >= times else {})


def ended(store: Store, job_id: str) -> Job:
    job = wait(store, job_id, TIMEOUT_S)
    assert job.state is State.SUCCEEDED
    return job


def dead(pid: int) -> bool:
    stat = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return not stat.strip() or stat.startswith("Z")  # Z: nobody has asked yet how it died


def freeze(store: Store, worker: subprocess.Popen[bytes]) -> None:
    """Stop a worker where it holds no lock: in the middle of a transaction it would keep it for as long as it is away.
    Its child goes on.
    """

    def frozen() -> bool:
        worker.send_signal(signal.SIGSTOP)
        for _ in range(50):
            if not is_locked(store):
                return True
            time.sleep(0.02)
        worker.send_signal(signal.SIGCONT)
        return False

    until(frozen)


def is_locked(store: Store) -> bool:
    """Whether somebody else is in a transaction; of SQLite's, in one that writes."""
    file = store.database.file
    if file is None:
        others = "datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL"
        with store.database.read() as connection:
            counted = sa.text(f"SELECT count(*) FROM pg_stat_activity WHERE {others}")
            return int(connection.execute(counted).scalar_one()) > 0
    with closing(sqlite3.connect(file, timeout=0, isolation_level=None)) as own:
        try:
            own.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return True
        own.execute("ROLLBACK")
    return False


def test_no_job_twice_and_no_two_of_a_corpus_at_once(store: Store, start: Start) -> None:
    for corpus_id in ("a", "b"):
        store.corpora.create(corpus_id, "")
    start("one")
    start("two")
    ids = [do(store, "note", corpus_id) for _ in range(4) for corpus_id in ("a", "b", "c")]
    jobs = [ended(store, job_id) for job_id in ids]
    assert [len(starts(store, job_id)) for job_id in ids] == [1] * len(ids)
    assert len(Counter(starts(store, job_id)[0]["worker"] for job_id in ids)) == 2, "both had work"
    for corpus_id in ("a", "b", "c"):
        own = [job for job in jobs if job.corpus_id == corpus_id]
        times = [at or 0 for job in own for at in (job.started_us, job.finished_us)]
        assert times == sorted(times), "in the order of their submission, one after the other"


def test_who_was_away_does_not_finish_over_its_successors_head(store: Store, start: Start, tmp_path: Path) -> None:
    one = start("one")
    job_id = do(store, "hold_quietly")
    first = started(store, job_id)
    freeze(store, one)
    start("two")
    second = started(store, job_id, times=2)
    assert second["worker"] != first["worker"] == one.pid
    (tmp_path / "one" / "release").touch()
    until(lambda: dead(first["pid"]))
    assert store.jobs.get(job_id).state is State.RUNNING
    one.send_signal(signal.SIGCONT)
    (tmp_path / "two" / "release").touch()
    ended(store, job_id)
    events = store.events.read(job_id)
    assert [event.data["state"] for event in events if event.type == "state"] == [
        "queued",
        "running",
        "running",
        "succeeded",
    ]
    assert events[-1].type == "complete"
    (tmp_path / "one" / "release").unlink()
    assert one.poll() is None
    assert len(starts(store, ended(store, do(store, "note")).job_id)) == 1, "the queue goes on"


def test_who_comes_back_ends_what_is_not_its_own_any_more(store: Store, start: Start, tmp_path: Path) -> None:
    one = start("one")
    job_id = do(store, "hold_quietly")
    first = started(store, job_id)
    freeze(store, one)
    start("two")
    started(store, job_id, times=2)
    assert not dead(first["pid"])
    one.send_signal(signal.SIGCONT)
    until(lambda: dead(first["pid"]))
    (tmp_path / "two" / "release").touch()
    ended(store, job_id)


def test_a_job_of_a_worker_that_does_not_come_back_is_taken_over(store: Store, start: Start, tmp_path: Path) -> None:
    one = start("one")
    job_id, queued = do(store, "hold"), do(store, "note")
    first = started(store, job_id)
    two = start("two")
    one.kill()
    second = started(store, job_id, times=2)
    assert second["worker"] == two.pid != first["worker"]
    (tmp_path / "two" / "release").touch()
    ended(store, job_id)
    ended(store, queued)
    assert [event.data["attempt"] for event in store.events.read(job_id) if "attempt" in event.data] == [1, 2]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_database_that_restarts_stops_no_job(
    store: Store, start: Start, postgres_socket: Path, tmp_path: Path
) -> None:
    start("one")
    job_id = do(store, "hold_quietly")
    first = started(store, job_id)
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'postgres'"
    with psycopg.connect(f"host={postgres_socket} user=postgres dbname=template1", autocommit=True) as connection:
        connection.execute("ALTER DATABASE postgres ALLOW_CONNECTIONS false")
        try:
            connection.execute(others)
            time.sleep(LEASE_S)  # looks and renewals fail meanwhile
        finally:
            connection.execute("ALTER DATABASE postgres ALLOW_CONNECTIONS true")
    assert not dead(first["pid"])
    (tmp_path / "one" / "release").touch()
    ended(store, job_id)
    assert len(starts(store, job_id)) == 1
