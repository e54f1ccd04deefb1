"""The commands of learning: mine, train, evaluate, promote, roll back, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import typer
from rich.console import RenderableType
from rich.text import Text

from tribrid.answers.report import EvaluationReport
from tribrid.app import Tribrid
from tribrid.cli.command import EXIT_REFUSED, Session
from tribrid.cli.differences import run_difference, two_to_compare
from tribrid.cli.following import follow
from tribrid.cli.judgedfiles import text_of
from tribrid.cli.library import library
from tribrid.cli.reportfiles import ReportFiles
from tribrid.cli.reports import cost_line, report_view
from tribrid.cli.telling import measured, words
from tribrid.cli.terminal import facts, moment, one_line, table
from tribrid.errors import Cancelled, Failed, InvalidInput, RunNotFound, TribridError, from_problem
from tribrid.evaluation.notes import LEARNED_NOTHING, ranks_as_retrieval
from tribrid.types import Job, State

CANCEL_TIMEOUT_S = 20.0


def mine(session: Session, corpus_id: str, *, max_pairs: int | None, sources: Sequence[str] | None, wait: bool) -> None:
    """Mine triplets; see `tribrid mine --help`."""
    _job(
        session,
        lambda tribrid: tribrid.submit_mine(corpus_id, max_pairs=max_pairs, sources=sources or None),
        _mined,
        wait=wait,
    )


def train(session: Session, corpus_id: str, named: Mapping[str, Any], settings: Sequence[str], *, wait: bool) -> None:
    """Train; see `tribrid train --help`.

    Raises:
        InvalidInput: a setting is not NAME=VALUE, or is given twice.
    """
    hyperparameters = {name: value for name, value in named.items() if value is not None}
    for name, value in map(assignment, settings):
        if name in hyperparameters:
            raise InvalidInput(f"{name} is given twice.", setting=name)
        hyperparameters[name] = value
    _job(
        session,
        lambda tribrid: tribrid.submit_train(corpus_id, hyperparameters),
        lambda result: _trained(session, result, corpus_id),
        wait=wait,
    )


class Company(NamedTuple):
    """Who else takes part in an evaluation: other corpora, and arms as NAME=RUN."""

    corpus_ids: Sequence[str] = ()
    arms: Sequence[str] = ()


def _arm(text: str) -> dict[str, Any]:
    """NAME=RUN, NAME=order:RUN or NAME=model:MODEL_ID as the library takes it.

    Raises:
        InvalidInput: it is none of these, or the run cannot be read.
    """
    name, value = assignment(text)
    kind, _, rest = value.partition(":")
    if kind == "model":
        return {"name": name, "model_id": rest}
    restrict = kind == "order"
    return {"name": name, "run": text_of(Path(rest if restrict else value)), "restrict": restrict}


def evaluate(
    session: Session,
    corpus_id: str,
    *,
    model_id: str | None,
    files: ReportFiles,
    gate: bool,
    wait: bool,
    company: Company,
) -> None:
    """Evaluate; see `tribrid evaluate --help`.

    Raises:
        InvalidInput: a file or --gate with --no-wait, or a file that cannot be written.
        typer.Exit: with --gate, code 7 for a verdict to keep.
    """
    if not wait and (any(files) or gate):
        raise InvalidInput("--html, --junit and --gate need the report: leave out --no-wait.")
    files.check()
    arms = [_arm(text) for text in company.arms]
    also = company.corpus_ids
    try:
        done = _job(
            session,
            lambda tribrid: tribrid.submit_evaluate(corpus_id, model_id=model_id, corpus_ids=also, arms=arms),
            lambda report: [report_view(EvaluationReport.model_validate(report))],
            wait=wait,
            then=lambda tribrid, report: files.write(session, tribrid, report["evaluation_id"]),
        )
    except TribridError as error:
        files.write_error(session, corpus_id, error)
        raise
    if gate and done["verdict"]["decision"] != "promote":
        raise typer.Exit(EXIT_REFUSED)


def _job(
    session: Session,
    submit: Callable[[Tribrid], Job],
    view: Callable[[Mapping[str, Any]], Sequence[RenderableType]],
    *,
    wait: bool,
    then: Callable[[Tribrid, Mapping[str, Any]], None] = lambda tribrid, outcome: None,
) -> Mapping[str, Any]:
    """Submit, follow, and show what came out.

    Raises:
        TribridError: the job failed or was cancelled; as its problem says.
    """
    with library(session) as tribrid:
        job = submit(tribrid)
        if not wait:
            queued = {"job_id": job.job_id, "kind": job.kind, "corpus_id": job.corpus_id, "state": job.state}
            session.terminal.result(queued, f"Queued. Wait for it: {session.typed(f'runs {job.job_id} --follow')}")
            return queued
        outcome = follow(session, tribrid, job)
        _check(outcome)
        then(tribrid, outcome)
    session.terminal.result(outcome, *view(outcome))
    return outcome


def _check(outcome: Mapping[str, Any]) -> None:
    """Raise what a job that did not succeed ended with, as the error it was."""
    if outcome["status"] == State.SUCCEEDED:
        return
    if outcome["problem"]:
        raise from_problem(outcome["problem"])
    # Nothing that ends now is without a problem; what was cancelled by an older version may be.
    kind = Cancelled if outcome["status"] == State.CANCELLED else Failed
    raise kind(f"The job ended as {outcome['status']}.", job_id=outcome["job_id"])


def assignment(text: str) -> tuple[str, str]:
    """NAME=VALUE as (name, value); numbers are told from words by the setting they are for.

    Raises:
        InvalidInput: there is no name or no equals sign.
    """
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise InvalidInput(f"{text!r} is not NAME=VALUE.", given=text)
    return name.strip(), value.strip()


def _mined(result: Mapping[str, Any]) -> list[RenderableType]:
    rejected = ", ".join(f"{count:,} {reason.replace('_', ' ')}" for reason, count in _counted(result["rejected"]))
    sources = table(
        ["Source", ("Pairs", "right"), ("Triplets", "right"), ("Queries", "right")],
        [
            [name, *(f"{found.get(part, 0):,}" for part in ("pairs", "triplets", "queries"))]
            for name, found in result["by_source"].items()
        ],
    )
    total = {"Mined": f"{result['pairs']:,} pairs, {result['triplets']:,} triplets of {result['queries']:,} queries"}
    if result.get("remembered"):
        total["Remembered"] = f"{result['remembered']:,} pairs more, past max_pairs: not learned from"
    if result.get("held_back"):
        total["Held back"] = f"{result['held_back']:,} triplets, for review: tribrid triplets CORPUS --status review"
    if made := result.get("generated"):
        asked = f"{made['answered']:,} of {made['asked']:,} questions answered by {one_line(made['model'], 60)}"
        total["Generated"] = f"{made['kept']:,} of {made['queries']:,} queries kept; {asked}"
    return [sources, facts({**total, "Rejected": rejected, "Cost": cost_line(result.get("cost") or {})})]


def _counted(rejected: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Reasons with their counts, whether they are counted by source or over all, most frequent first."""
    totals: dict[str, int] = {}
    for name, value in rejected.items():
        for reason, count in value.items() if isinstance(value, Mapping) else [(name, value)]:
            totals[reason] = totals.get(reason, 0) + count
    return sorted(totals.items(), key=lambda item: -item[1])


def _trained(session: Session, result: Mapping[str, Any], corpus_id: str) -> list[RenderableType]:
    cost = cost_line(result.get("cost") or {})
    shown = {"Run": result["run_id"], "Model": result["model_id"], **words(result.get("metrics") or {}), "Cost": cost}
    told = [Text(LEARNED_NOTHING)] if ranks_as_retrieval(result.get("metrics") or {}) else []
    return [facts(shown), *told, Text(f"Measure it: {session.typed(f'evaluate {corpus_id}')}", style="dim")]


def promote(session: Session, corpus_id: str, model_id: str | None, *, reason: str, force: bool) -> None:
    """Promote by hand; see `tribrid promote --help`."""
    with library(session) as tribrid:
        answer = tribrid.promote(corpus_id, model_id, reason=reason, force=force)
    session.terminal.result(answer, _aliases(answer))


def rollback(session: Session, corpus_id: str, *, reason: str) -> None:
    """Back to the previous model; see `tribrid rollback --help`."""
    with library(session) as tribrid:
        answer = tribrid.rollback(corpus_id, reason=reason)
    session.terminal.result(answer, _aliases(answer))


def _aliases(answer: Mapping[str, Any]) -> RenderableType:
    return facts({name.title(): answer[name] or "none" for name in ("champion", "previous")})


class About(NamedTuple):
    """What `tribrid runs` is asked: of one corpus; follow, cancel or compare one run."""

    corpus: str | None
    follow: bool
    cancel: bool
    diff: str | None


def runs(session: Session, asked: Sequence[str], about: About) -> None:
    """List, show, follow, compare or cancel; see `tribrid runs --help`.

    Raises:
        InvalidInput: what is asked needs a RUN_ID, or is too much.
    """
    run_id = asked[0] if asked else None
    if pair := two_to_compare(asked, "runs"):
        run_id, about = pair[0], about._replace(diff=pair[1])
    with library(session) as tribrid:
        if run_id is None:
            if about.follow or about.cancel or about.diff:
                raise InvalidInput("Name the run: tribrid runs RUN_ID.")
            _list_runs(session, tribrid, about.corpus)
        elif about.diff:
            found = tribrid.run_diff(run_id, about.diff)
            session.terminal.result(found, *run_difference(found))
        elif about.cancel:
            tribrid.cancel(run_id)
            tribrid.supervisor.ensure_worker()  # it is a worker that ends a running job
            tribrid.wait(run_id, timeout_s=CANCEL_TIMEOUT_S)
            ended = tribrid.job(run_id)
            session.terminal.result(ended, _run_view(ended))
        elif about.follow:
            tribrid.supervisor.ensure_worker()
            outcome = follow(session, tribrid, tribrid.wait(run_id, timeout_s=0))
            _check(outcome)
            session.terminal.result(outcome, facts(words(outcome)))
        else:
            shown = _run(tribrid, run_id)
            session.terminal.result(shown, _run_view(shown))


def _run(tribrid: Tribrid, run_id: str) -> dict[str, Any]:
    """A training run, or a job of another kind."""
    try:
        return tribrid.run(run_id)
    except RunNotFound:
        return tribrid.job(run_id)


def _run_view(run: Mapping[str, Any]) -> RenderableType:
    result, problem = run["result"] or {}, run["problem"] or {}
    going = not State(run["state"]).final
    return facts(
        {
            "Run": run["job_id"],
            "Kind": run["kind"],
            "Corpus": run["corpus_id"],
            "State": run["state"] + (", asked to end" if run["cancel_requested"] and going else ""),
            "Parameters": measured(run["params"]),
            "Progress": measured(run["progress"] or {}) if going else None,
            "Created": moment(run["created_at"]),
            "Started": moment(run["started_at"]),
            "Finished": moment(run["finished_at"]),
            "Model": result.get("model_id"),
            "Problem": problem.get("detail"),
            **words(result.get("metrics") or {}),
        }
    )


def _list_runs(session: Session, tribrid: Tribrid, corpus_id: str | None) -> None:
    corpus_ids = [corpus_id] if corpus_id else [row["corpus_id"] for row in tribrid.corpora()]
    found = [run for name in corpus_ids for run in tribrid.runs(name)]
    columns = ["Run", "Corpus", "State", "Created", "Model", "Problem"]
    rows = [
        [
            run["run_id"],
            run["corpus_id"],
            run["state"],
            moment(run["created_at"]),
            run.get("model_id"),
            one_line((run.get("problem") or {}).get("detail", ""), 60),
        ]
        for run in found
    ]
    session.terminal.result({"runs": found}, table(columns, rows) if rows else "There is no training run yet.")
