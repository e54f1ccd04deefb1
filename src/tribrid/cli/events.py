"""A job's events in words: progress as a bar, what a person wants to read as lines above it.

Ctrl-C stops the waiting, not the job: it is durable.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from tribrid.cli.command import EXIT_INTERRUPTED, Session
from tribrid.cli.library import Library
from tribrid.cli.progress import Gauge, gauge
from tribrid.cli.terminal import Verbatim, seconds
from tribrid.errors import Cancelled, Failed, from_problem
from tribrid.types import Event, Job, JobKind, State

if TYPE_CHECKING:
    from tribrid.answers.jobs import JobResult

_DOING = {JobKind.MINE: "Mining", JobKind.TRAIN: "Training", JobKind.EVALUATE: "Evaluating"}


_Result = TypeVar("_Result", bound="JobResult")


class Teller:
    """Tells a job's events: progress as the bar, what a person wants to read as lines above it."""

    def __init__(self, shown: Gauge) -> None:
        self._shown = shown

    def tell(self, event: Event) -> None:
        self.told(event.type, event.data)

    def told(self, kind: str, data: Mapping[str, Any]) -> None:
        if kind == "progress":
            self._shown.update(data)
        elif kind == "log" and data.get("level", "info") != "debug":
            self._shown.say(str(data.get("message", "")), "red" if data.get("level") == "error" else "dim")
        elif kind == "metrics" and "loss" in data:  # of every step: too many to keep
            self._shown.aside(f"loss {data['loss']:.3f}")
        elif kind == "metrics":
            self._shown.say(measured(data), "dim")
        elif kind == "state" and data.get("attempt", 1) > 1:
            self._shown.say(f"Taken up again after an interruption (attempt {data['attempt']}).", "yellow")


def follow(session: Session, tribrid: Library, job: Job, *kinds: type[_Result]) -> _Result:
    """The job's outcome when it has ended; its events are told on stderr meanwhile.

    Raises:
        TribridError: the job failed or was cancelled; as its problem says.
        typer.Exit: Ctrl-C; the job goes on, and the user is told how to find it again.
    """
    from tribrid.answers.jobs import JobEnd

    try:
        with gauge(session.terminal.err, _DOING[job.kind]) as shown:
            outcome = tribrid.jobs.outcome(tribrid.jobs.wait(job.job_id, on_event=Teller(shown).tell))
    except KeyboardInterrupt:
        _left(session, job)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    if isinstance(outcome, kinds):
        return outcome
    if isinstance(outcome, JobEnd) and outcome.problem:
        raise from_problem(outcome.problem.model_dump())
    # Nothing that ends now is without a problem; what was cancelled by an older version may be.
    error = Cancelled if outcome.status == State.CANCELLED else Failed
    raise error(f"The job ended as {outcome.status}.", job_id=job.job_id)


def _left(session: Session, job: Job) -> None:
    """Say what becomes of a job that nobody waits for any more."""
    resume, cancel = (session.typed(f"runs {job.job_id} --{what}") for what in ("follow", "cancel"))
    if session.terminal.as_json:
        left = {"status": "interrupted", "job_id": job.job_id, "resume": resume, "cancel": cancel}
        session.terminal.json(left)
        return
    terminal = session.terminal
    terminal.note(
        "Stopped waiting. The job is kept: it goes on while a server runs, or when somebody waits for it again."
    )
    terminal.note(Verbatim(f"  wait for it  {resume}"))
    terminal.note(Verbatim(f"  end it       {cancel}"))


def measured(data: Mapping[str, Any]) -> str:
    """A metrics event on one line: `step 12 · dev ndcg@10 0.531 · took 38 s`."""
    return " · ".join(f"{name} {value}" for name, value in words(data).items())


def words(data: Mapping[str, Any]) -> dict[str, str]:
    """A record's scalars, durations as people say them; a record within it stands on one line."""
    shown: dict[str, str] = {}
    for name, value in data.items():
        if isinstance(value, Mapping):
            shown[_named(name)] = ", ".join(f"{part} {inner}" for part, inner in words(value).items())
        elif isinstance(value, (int, float)) and name.endswith("_s") and not isinstance(value, bool):
            shown[_named(name.removesuffix("_s"))] = seconds(value)
        elif isinstance(value, (int, float, str)):
            shown[_named(name)] = f"{value:.4g}" if isinstance(value, float) else str(value)
    return {name: value for name, value in shown.items() if value}


def _named(name: str) -> str:
    return name.replace("_", " ")
