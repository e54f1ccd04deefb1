"""Waits for a job with its progress on stderr. Ctrl-C stops the waiting, not the job: it is durable."""

from __future__ import annotations

from typing import Any

import typer

from tribrid.app import Tribrid
from tribrid.cli.command import EXIT_INTERRUPTED, Session
from tribrid.cli.progress import gauge
from tribrid.cli.telling import Teller
from tribrid.cli.terminal import Verbatim
from tribrid.types import Job, JobKind

_DOING = {JobKind.MINE: "Mining", JobKind.TRAIN: "Training", JobKind.EVALUATE: "Evaluating"}


def follow(session: Session, tribrid: Tribrid, job: Job) -> dict[str, Any]:
    """The job's outcome when it has ended; its events are told on stderr meanwhile.

    Raises:
        typer.Exit: Ctrl-C; the job goes on, and the user is told how to find it again.
    """
    try:
        with gauge(session.terminal.err, _DOING[job.kind]) as shown:
            return tribrid.jobs.outcome(tribrid.jobs.wait(job.job_id, on_event=Teller(shown).tell))
    except KeyboardInterrupt:
        _left(session, job)
        raise typer.Exit(EXIT_INTERRUPTED) from None


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
