"""What the jobs of test_jobs.py do, in real child processes: `params["do"]` names one of the functions here."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tribrid.errors import Cancelled, NoTriplets
from tribrid.types import Emit, Job, JobKind


class Call(NamedTuple):
    job: Job
    data_dir: Path
    emit: Emit
    cancelled: Callable[[], bool]


def note(call: Call) -> dict[str, Any]:
    return {}


def hold(call: Call) -> dict[str, Any]:
    """Last until the test writes the file `release`, or the job is cancelled."""
    while not (call.data_dir / "release").exists():
        if call.cancelled():
            call.emit("log", {"saw": "cancelled"})
            raise Cancelled("Seen.")
        call.emit("progress", {"done": 1, "total": 2})
        time.sleep(0.02)
    return {}


def hold_quietly(call: Call) -> dict[str, Any]:
    """Last until the test writes the file `release`, and tell nobody."""
    while not (call.data_dir / "release").exists():
        time.sleep(0.02)
    return {}


def ignore_cancel(call: Call) -> dict[str, Any]:
    time.sleep(60)
    return {}


def trip_over_cancel(call: Call) -> dict[str, Any]:
    """As a half-imported library does when it is interrupted: it raises an error of its own."""
    try:
        time.sleep(60)
    except Cancelled as error:
        raise ImportError("initialization failed") from error
    return {}


def die(call: Call) -> dict[str, Any]:
    sys.stderr.write("last words\n")
    sys.stderr.flush()
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def die_once(call: Call) -> dict[str, Any]:
    """As the system ends it when memory runs out, and not again."""
    mark = call.data_dir / "died"
    if mark.exists():
        return {}
    mark.touch()
    os.kill(os.getpid(), getattr(signal, str(call.job.params["signal"])))
    time.sleep(60)
    return {}


def leave(call: Call) -> dict[str, Any]:
    sys.exit(3)


def refuse(call: Call) -> dict[str, Any]:
    raise NoTriplets("There is nothing to train on.", corpus_id=call.job.corpus_id)


def blunder(call: Call) -> dict[str, Any]:
    return {"value": 1 / 0}


def unstorable(call: Call) -> dict[str, Any]:
    return {"value": float("nan")}


def kill_worker(call: Call) -> dict[str, Any]:
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)
    return {}


def act(job: Job, data_dir: Path, emit: Emit, cancelled: Callable[[], bool]) -> Mapping[str, Any]:
    name = job.params.get("name", "")
    emit("log", {"name": name, "pid": os.getpid(), "worker": os.getppid()})
    with (data_dir / "order").open("a") as order:
        order.write(f"+{name} ")
    result = globals()[str(job.params["do"])](Call(job, data_dir, emit, cancelled))
    with (data_dir / "order").open("a") as order:
        order.write(f"-{name} ")
    return {"name": name, "heavy": "torch" in sys.modules, **result}


HANDLERS = dict.fromkeys(JobKind, act)
