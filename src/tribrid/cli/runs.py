"""`tribrid runs`: the training runs there are; one of them shown, followed, cancelled, or compared with another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType

from tribrid.cli import events
from tribrid.cli.assignments import assignable
from tribrid.cli.command import Session
from tribrid.cli.differences import run_difference, two_to_compare
from tribrid.cli.ids import whole_or_none
from tribrid.cli.library import Library, library
from tribrid.cli.spoken import spoken
from tribrid.cli.terminal import facts, moment, one_line, table
from tribrid.errors import InvalidInput, RunNotFound

if TYPE_CHECKING:
    from tribrid.answers.jobs import JobStatus

CANCEL_TIMEOUT_S = 20.0


def runs(
    session: Session,
    run: Annotated[
        list[str] | None, typer.Argument(metavar="RUN_ID|diff A B", help="Show this one, or what differs between two.")
    ] = None,
    *,
    corpus: Annotated[str | None, typer.Option(help="Only this corpus's.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait for its end.")] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="End it.")] = False,
    diff: Annotated[str | None, typer.Option(metavar="RUN_ID", help="What differs from this other run.")] = None,
) -> None:
    """List the training runs; show, follow, compare or cancel one."""
    from tribrid.answers.jobs import EvaluationResult, MiningResult, TrainingResult

    asked = run or []
    run_id = asked[0] if asked else None
    if pair := two_to_compare(asked, "runs"):
        run_id, diff = pair
    with library(session) as tribrid:
        run_id, diff = whole_or_none(tribrid, "job", run_id), whole_or_none(tribrid, "job", diff)
        if run_id is None:
            if follow or cancel or diff:
                raise InvalidInput("Name the run: tribrid runs RUN_ID.")
            _list_runs(session, tribrid, corpus)
        elif diff:
            found = tribrid.runs.diff(run_id, diff)
            session.terminal.result(found, *run_difference(found))
        elif cancel:
            tribrid.jobs.cancel(run_id)
            tribrid.supervisor.ensure_worker()  # it is a worker that ends a running job
            tribrid.jobs.wait(run_id, timeout_s=CANCEL_TIMEOUT_S)
            ended = tribrid.jobs.get(run_id)
            session.terminal.result(ended, _run_view(ended))
        elif follow:
            tribrid.supervisor.ensure_worker()
            job = tribrid.jobs.wait(run_id, timeout_s=0)
            outcome = events.follow(session, tribrid, job, MiningResult, TrainingResult, EvaluationResult)
            session.terminal.result(outcome, facts(events.words(outcome.model_dump(mode="json"))))
        else:
            shown = _run(tribrid, run_id)
            session.terminal.result(shown, _run_view(shown))


def _run(tribrid: Library, run_id: str) -> JobStatus:
    """A training run, or a job of another kind."""
    try:
        return tribrid.runs.get(run_id)
    except RunNotFound:
        return tribrid.jobs.get(run_id)


def _state(run: JobStatus) -> str:
    return "interrupted: goes on when a server runs, or with --follow" if run.interrupted else run.state


def _run_view(run: JobStatus) -> RenderableType:
    from tribrid.answers.jobs import EvaluationResult, TrainingResult

    made = run.result if isinstance(run.result, TrainingResult | EvaluationResult) else None
    going = not run.state.final
    return facts(
        {
            "Run": run.job_id,
            "Kind": run.kind,
            "Corpus": run.corpus_id,
            "State": _state(run) + (", asked to end" if run.cancel_requested and going else ""),
            "Parameters": "\n".join(f"{name}={value}" for name, value in assignable(run.params)),
            "Progress": events.measured(run.progress or {}) if going else None,
            "Created": moment(run.created_at),
            "Started": moment(run.started_at),
            "Finished": moment(run.finished_at),
            "Model": made.model_id if made else None,
            "Problem": spoken(run.problem.detail) if run.problem else None,
            **events.words(made.metrics if isinstance(made, TrainingResult) else {}),
        }
    )


def _list_runs(session: Session, tribrid: Library, corpus_id: str | None) -> None:
    from tribrid.answers.jobs import RunList

    corpus_ids = [corpus_id] if corpus_id else [one.corpus_id for one in tribrid.corpora()]
    found = [run for name in corpus_ids for run in tribrid.corpus(name).runs()]
    columns = ["Run", "Corpus", "State", "Created", "Model", "Problem"]
    rows = [
        [
            run.run_id,
            run.corpus_id,
            "interrupted" if run.interrupted else run.state,
            moment(run.created_at),
            run.model_id,
            one_line(spoken(run.problem.detail) if run.problem else "", 60),
        ]
        for run in found
    ]
    shown = table(columns, rows) if rows else "There is no training run yet."
    session.terminal.result(RunList(runs=tuple(found)), shown)
