"""A training that is killed goes on where it was and ends as if nothing had happened; one that is cancelled ends."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import learnable
from tribrid.answers.jobs import JobEnd
from tribrid.app import Tribrid
from tribrid.errors import Cancelled, NotRunning
from tribrid.types import Event, Job, State
from waiting import until

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(240)]
TIMEOUT_S = 120
TRAINING = {
    "folds": 2,
    "epochs": 14,
    "patience": 0,
    "keep_cross_encoder": True,  # with so few queries none would be tried
    "batch_size": 4,
    "checkpoint_every_steps": 3,
    "learning_rate": 1e-3,
    "cross_encoder_depth": 10,
    "passage_tokens": 64,
    "query_tokens": 16,
}


@pytest.fixture(scope="module")
def tribrid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tribrid]:
    with Tribrid(tmp_path_factory.mktemp("data")) as opened:
        opened.patch_settings({"training": TRAINING, "mining": {"negatives_per_pair": 10}})
        opened.create_corpus("c")
        opened.corpus("c").documents.add(learnable.documents())
        opened.corpus("c").judgments.put(learnable.queries("train", 24, seed=2))
        opened.corpus("c").mine(sources=["judgments"])
        yield opened


def events(tribrid: Tribrid, run_id: str) -> list[Event]:
    return tribrid.runs.events(run_id, limit=100_000)


def steps(tribrid: Tribrid, run_id: str) -> list[int]:
    return [e.data["step"] for e in events(tribrid, run_id) if e.type == "metrics" and "loss" in e.data]


def losses(tribrid: Tribrid, run_id: str) -> dict[int, float]:
    return {e.data["step"]: e.data["loss"] for e in events(tribrid, run_id) if e.type == "metrics" and "loss" in e.data}


def ended(tribrid: Tribrid, run_id: str) -> Job:
    job = tribrid.jobs.wait(run_id, timeout_s=TIMEOUT_S)
    assert job.state.final, f"still {job.state}"
    return job


def metrics(job: Job) -> dict[str, Any]:
    assert job.state is State.SUCCEEDED, job.problem
    assert job.result is not None
    found: dict[str, Any] = dict(job.result["metrics"])
    assert found["cross_encoder"]["trained"]
    return {name: found[name] for name in ("blend", "cross_encoder", "queries", "teaching_queries")}


def test_killed_in_mid_training_it_ends_as_if_it_had_not_been(tribrid: Tribrid) -> None:
    undisturbed = tribrid.corpus("c").submit_train().job_id
    expected = metrics(ended(tribrid, undisturbed))

    run_id = tribrid.corpus("c").submit_train().job_id
    until(lambda: any(e.data.get("message") == "checkpoint" and e.data["step"] >= 9 for e in events(tribrid, run_id)))
    worker = tribrid.supervisor.health().pid
    assert worker is not None
    os.kill(worker, signal.SIGKILL)
    job = ended(tribrid, run_id)

    told = events(tribrid, run_id)
    attempts = [e.data["attempt"] for e in told if e.type == "state" and "attempt" in e.data]
    resumed = [e.data["step"] for e in told if e.data.get("message") == "resumed from a checkpoint"]
    assert attempts == [1, 2]
    assert len(resumed) == 1
    assert resumed[0] >= 9
    after = [e.data["step"] for e in told if e.type == "metrics" and "loss" in e.data and e.seq > told_at(told)]
    assert after == list(range(resumed[0] + 1, expected["cross_encoder"]["steps"] + 1))
    assert [event.seq for event in told] == list(range(1, len(told) + 1))
    assert metrics(job) == expected
    assert losses(tribrid, run_id) == losses(tribrid, undisturbed)


def test_its_own_process_killed_it_goes_on_once_with_a_smaller_batch(tribrid: Tribrid) -> None:
    run_id = tribrid.corpus("c").submit_train({"epochs": 5}).job_id
    until(lambda: any(e.data.get("message") == "checkpoint" and e.data["step"] >= 9 for e in events(tribrid, run_id)))
    kill_child(tribrid, run_id)
    job = ended(tribrid, run_id)
    assert metrics(job)["cross_encoder"]["trained"]
    assert job.result is not None
    assert job.result["metrics"]["times_killed"] == 1

    told = events(tribrid, run_id)
    resumed = [e.data["step"] for e in told if e.data.get("message") == "resumed from a checkpoint"]
    assert len(resumed) == 1
    assert resumed[0] >= 9
    assert [e.data["killed"] for e in told if "killed" in e.data] == ["SIGKILL"]
    first, second = (e.data["micro_tokens"] for e in told if "micro_tokens" in e.data)
    assert second <= first / 2
    assert any("half the memory for a batch" in str(e.data.get("message")) for e in told)


def test_killed_a_second_time_it_fails_in_words(tribrid: Tribrid) -> None:
    run_id = tribrid.corpus("c").submit_train({"epochs": 50}).job_id
    until(lambda: len(steps(tribrid, run_id)) >= 4)
    kill_child(tribrid, run_id)
    until(lambda: any(e.data.get("message") == "resumed from a checkpoint" for e in events(tribrid, run_id)))
    kill_child(tribrid, run_id)
    job = ended(tribrid, run_id)
    assert job.problem is not None
    assert job.problem["code"] == "training_failed"
    assert "training.memory_budget_mb" in job.problem["detail"]


def kill_child(tribrid: Tribrid, run_id: str) -> None:
    """Kill the process of the worker's that works: the spare waits, and has no time to its name."""
    worker = tribrid.supervisor.health().pid
    listed = subprocess.run(["ps", "-o", "pid=,time=,ppid=", "-e"], capture_output=True, text=True, check=True).stdout
    children = [line.split() for line in listed.splitlines() if line.split()[2] == str(worker)]
    os.kill(int(max(children, key=lambda child: child[1])[0]), signal.SIGKILL)


def test_a_worker_that_is_told_to_stop_leaves_a_checkpoint_of_this_step(tribrid: Tribrid) -> None:
    """As Ctrl-C does where no server runs: until the first checkpoint all was lost."""
    run_id = tribrid.corpus("c").submit_train({"checkpoint_every_steps": 10_000, "epochs": 5}).job_id
    until(lambda: len(steps(tribrid, run_id)) >= 4)
    tribrid.supervisor.stop()
    done = steps(tribrid, run_id)[-1]
    assert tribrid.jobs.get(run_id).interrupted
    tribrid.supervisor.ensure_worker()
    ended(tribrid, run_id)
    resumed = [e.data["step"] for e in events(tribrid, run_id) if e.data.get("message") == "resumed from a checkpoint"]
    assert resumed in ([done], [done + 1])
    assert steps(tribrid, run_id) == list(range(1, len(steps(tribrid, run_id)) + 1))


def told_at(told: list[Event]) -> int:
    """Where the story tells of the resumption."""
    return next(e.seq for e in told if e.data.get("message") == "resumed from a checkpoint")


def test_a_running_training_is_cancelled_and_the_next_one_runs(tribrid: Tribrid) -> None:
    first = tribrid.corpus("c").submit_train({"epochs": 50}).job_id
    second = tribrid.corpus("c").submit_train({"cross_encoder": False}).job_id
    until(lambda: steps(tribrid, first))
    assert tribrid.store.jobs.get(second).state is State.QUEUED  # one training of a corpus at a time
    tribrid.jobs.cancel(first)
    job = ended(tribrid, first)
    assert job.state is State.CANCELLED
    assert job.result is None
    outcome = tribrid.jobs.outcome(job)
    assert isinstance(outcome, JobEnd)
    assert outcome.problem is not None
    assert outcome.problem.code == Cancelled.code
    assert [e.type for e in events(tribrid, first)][-1] == "error"
    assert ended(tribrid, second).state is State.SUCCEEDED
    assert first not in {model.run_id for model in tribrid.corpus("c").models().models}
    with pytest.raises(NotRunning):
        tribrid.jobs.cancel(first)


def test_a_queued_training_is_cancelled_at_once(tribrid: Tribrid) -> None:
    running = tribrid.corpus("c").submit_train({"epochs": 50}).job_id
    queued = tribrid.corpus("c").submit_train().job_id
    assert tribrid.jobs.cancel(queued).state is State.CANCELLED
    until(lambda: tribrid.store.jobs.get(running).state is State.RUNNING)
    tribrid.jobs.cancel(running)
    assert ended(tribrid, running).state is State.CANCELLED
    assert steps(tribrid, queued) == []


def test_nothing_of_a_finished_training_is_left_running_or_lying_about(tribrid: Tribrid) -> None:
    runs = tribrid.corpus("c").runs()
    finished = {run.run_id for run in runs}
    assert {run.state for run in runs} == {State.SUCCEEDED, State.CANCELLED, State.FAILED}
    folder = tribrid.environment.data_dir / "runs"
    assert finished
    until(lambda: not finished & {path.name for path in folder.iterdir()})  # gone a moment after the end is told
    assert list((Path(tribrid.environment.data_dir) / "artifacts" / "staging").iterdir()) == []
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    busy = [
        line
        for line in listed.splitlines()
        if "tribrid.jobs.child" in line and str(tribrid.environment.data_dir) in line
    ]
    assert len(busy) <= 2  # the spare, and the next one while it starts
