"""The durable queue on both databases: order, and a worker's kill -9 in mid-job."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tribrid.jobs import submit, wait, worker_for
from tribrid.store import Store
from tribrid.types import JobKind, State

HANDLERS_FOLDER = Path(__file__).parents[1] / "journey"
TIMEOUT_S = 30


def starts(store: Store, job_id: str) -> list[dict[str, Any]]:
    return [dict(event.data) for event in store.events.read(job_id) if "pid" in event.data]


@pytest.mark.timeout(90)
def test_a_killed_worker_loses_nothing(store: Store, database_url: str, tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    environment = {
        **os.environ,
        "TRIBRID_DATABASE_URL": database_url,
        "PYTHONPATH": os.pathsep.join([str(HANDLERS_FOLDER), *sys.path]),
    }
    with worker_for(data_dir, environment, handlers="jobs_handlers:HANDLERS"):
        held = submit(store, JobKind.TRAIN, "c", {"do": "hold", "name": "1"}).job_id
        queued = submit(store, JobKind.EVALUATE, "c", {"do": "note", "name": "2"}).job_id
        for times in (1, 2):
            deadline = time.monotonic() + TIMEOUT_S
            while len(starts(store, held)) < times:
                assert time.monotonic() < deadline, "the job was not started"
                time.sleep(0.05)
            if times == 1:
                os.kill(starts(store, held)[0]["worker"], signal.SIGKILL)
        (data_dir / "release").touch()
        assert wait(store, queued, TIMEOUT_S).state is State.SUCCEEDED
    assert store.jobs.get(held).state is State.SUCCEEDED
    assert (data_dir / "order").read_text() == "+1 +1 -1 +2 -2 "
