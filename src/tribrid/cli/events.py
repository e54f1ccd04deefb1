"""A job's events in words: progress as a bar, what a person wants to read as lines above it.

Ctrl-C stops the waiting. A job that is a server's goes on; one that only this command works on stops where it is, and
goes on when somebody works on it again.
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

_DOING = {
    JobKind.MINE: "Mining",
    JobKind.TRAIN: "Training",
    JobKind.EVALUATE: "Evaluating",
    JobKind.JUDGE: "Judging",
}


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
        elif kind == "state" and (line := _of_state(data)):
            self._shown.say(line, "yellow")


def _of_state(data: Mapping[str, Any]) -> str:
    """What a change of state has to say for itself; empty where it is as it should be."""
    if data.get("killed"):
        return str(data["message"])
    if data.get("interrupted"):
        return "Interrupted: its worker stopped. It goes on when there is one again."
    attempt = data.get("attempt", 1)
    return f"Taken up again after an interruption (attempt {attempt})." if attempt > 1 else ""


def follow(session: Session, tribrid: Library, job: Job, *kinds: type[_Result]) -> _Result:
    """The job's outcome when it has ended; its events are told on stderr meanwhile.

    Raises:
        TribridError: the job failed or was cancelled; as its problem says.
        typer.Exit: Ctrl-C; the user is told whether the job goes on, and how to find it again.
    """
    from tribrid.answers.jobs import JobEnd

    try:
        with gauge(session.terminal.err, _DOING[job.kind]) as shown:
            outcome = tribrid.jobs.outcome(tribrid.jobs.wait(job.job_id, on_event=Teller(shown).tell))
    except KeyboardInterrupt:
        _left(session, job, stops=tribrid.supervisor.health().ours)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    if isinstance(outcome, kinds):
        return outcome
    if isinstance(outcome, JobEnd) and outcome.problem:
        raise from_problem(outcome.problem.model_dump())
    # Nothing that ends now is without a problem; what was cancelled by an older version may be.
    error = Cancelled if outcome.status == State.CANCELLED else Failed
    raise error(f"The job ended as {outcome.status}.", job_id=job.job_id)


def _left(session: Session, job: Job, *, stops: bool) -> None:
    """Say what becomes of a job that nobody waits for any more.

    Args:
        stops: its worker was this command's own, so it stops too.
    """
    resume, cancel = (session.typed(f"runs {job.job_id} --{what}") for what in ("follow", "cancel"))
    if session.terminal.as_json:
        left = {"status": "interrupted", "job_id": job.job_id, "goes_on": not stops, "resume": resume, "cancel": cancel}
        session.terminal.json(left)
        return
    terminal = session.terminal
    if stops:
        terminal.note(
            "Interrupted: no server runs, so the job stops too. It goes on when one does, or if you wait again."
        )
    else:
        terminal.note("Stopped waiting. The job goes on: the server's worker has it.")
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
