"""The commands that are jobs: mine, train, evaluate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.console import RenderableType
from rich.text import Text

from tribrid.cli.assignments import assignment
from tribrid.cli.command import EXIT_REFUSED, Corpus, Session
from tribrid.cli.events import follow, words
from tribrid.cli.ids import whole, whole_or_none
from tribrid.cli.judgedfiles import text_of
from tribrid.cli.library import Library, library
from tribrid.cli.reportfiles import Html, JUnit, ReportFiles
from tribrid.cli.reports import cost_line, report_view
from tribrid.cli.terminal import facts, one_line, table
from tribrid.errors import InvalidInput, TribridError
from tribrid.types import Job

if TYPE_CHECKING:
    from tribrid.answers.jobs import EvaluationResult, MiningClients, MiningResult, TrainingResult
    from tribrid.answers.judging import JudgingResult

NoWait = Annotated[bool, typer.Option("--no-wait", help="Queue the job and return; a running server works on it.")]
Also = Annotated[
    list[str] | None,
    typer.Option(metavar="CORPUS", help="Another corpus: is the gain the same there? Can be given again."),
]
Arm = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=RUN",
        help="Another engine by its TREC run file, judged as it is; NAME=order:RUN judges only its order of the "
        "candidates; NAME=model:MODEL_ID is another version. Can be given again.",
    ),
]


_Result = TypeVar("_Result", "MiningResult", "TrainingResult", "EvaluationResult", "JudgingResult")


def mine(
    session: Session,
    corpus: Corpus,
    *,
    max_pairs: Annotated[int | None, typer.Option(help="Most (query, positive) pairs.")] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(help="logs, judgments, judge or heuristics; can be given again. Default: all there is."),
    ] = None,
    no_wait: NoWait = False,
) -> None:
    """Mine training triplets from logs, judgments and the documents themselves."""
    from tribrid.answers.jobs import MiningResult

    run_job(
        session,
        lambda tribrid: tribrid.corpus(corpus).submit_mine(max_pairs=max_pairs, sources=source or None),
        MiningResult,
        _mined,
        wait=not no_wait,
    )


def train(
    session: Session,
    corpus: Corpus,
    *,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training queries.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Queries per step.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Any other hyperparameter; can be given again."),
    ] = None,
    no_wait: NoWait = False,
) -> None:
    """Train a reranker on the mined triplets.

    While a server runs, Ctrl-C only stops the watching. Without one the training stops too, and goes on from its last
    checkpoint once you say `tribrid runs RUN_ID --follow` or start a server.
    """
    from tribrid.answers.jobs import TrainingResult

    named = {"epochs": epochs, "batch_size": batch_size}
    hyperparameters: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
    for name, value in map(assignment, settings or []):
        if name in hyperparameters:
            raise InvalidInput(f"{name} is given twice.", setting=name)
        hyperparameters[name] = value
    run_job(
        session,
        lambda tribrid: tribrid.corpus(corpus).submit_train(hyperparameters),
        TrainingResult,
        lambda result: _trained(session, result, corpus),
        wait=not no_wait,
    )


def _arm(tribrid: Library, text: str) -> dict[str, Any]:
    """NAME=RUN, NAME=order:RUN or NAME=model:MODEL_ID as the library takes it.

    Raises:
        InvalidInput: it is none of these, or the run cannot be read.
    """
    name, value = assignment(text)
    kind, _, rest = value.partition(":")
    if kind == "model":
        return {"name": name, "model_id": whole(tribrid, "model", rest)}
    restrict = kind == "order"
    return {"name": name, "run": text_of(Path(rest if restrict else value)), "restrict": restrict}


def evaluate(  # noqa: PLR0913 - a command's options are its parameters
    session: Session,
    corpus: Corpus,
    *,
    model: Annotated[str | None, typer.Option(help="A model_id. Default: the newest.")] = None,
    also: Also = None,
    arm: Arm = None,
    html: Html = None,
    junit: JUnit = None,
    gate: Annotated[
        bool, typer.Option("--gate", help="Exit code 7 unless the verdict is to promote; errors keep their own codes.")
    ] = False,
    no_wait: NoWait = False,
) -> None:
    """Measure before against after on the eval dataset, and promote what is better for certain."""
    from tribrid.answers.jobs import EvaluationResult

    files = ReportFiles(html, junit)
    if no_wait and (any(files) or gate):
        raise InvalidInput("--html, --junit and --gate need the report: leave out --no-wait.")
    files.check()
    try:
        done = run_job(
            session,
            lambda tribrid: tribrid.corpus(corpus).submit_evaluate(
                model_id=whole_or_none(tribrid, "model", model),
                corpus_ids=also or [],
                arms=[_arm(tribrid, text) for text in arm or []],
            ),
            EvaluationResult,
            lambda report: [report_view(report)],
            wait=not no_wait,
            then=lambda tribrid, report: files.write(session, tribrid, report.job_id),
        )
    except TribridError as error:
        files.write_error(session, corpus, error)
        raise
    if gate and done is not None and done.verdict.decision != "promote":
        raise typer.Exit(EXIT_REFUSED)


def run_job(
    session: Session,
    submit: Callable[[Library], Job],
    kind: type[_Result],
    view: Callable[[_Result], Sequence[RenderableType]],
    *,
    wait: bool,
    then: Callable[[Library, _Result], None] = lambda tribrid, outcome: None,
) -> _Result | None:
    """Submit, follow, and show what came out; None where nobody waits for it.

    Raises:
        TribridError: the job failed or was cancelled; as its problem says.
    """
    from tribrid.answers.jobs import JobQueued

    with library(session) as tribrid:
        job = submit(tribrid)
        if not wait:
            queued = JobQueued(job_id=job.job_id, kind=job.kind, corpus_id=job.corpus_id, state=job.state)
            session.terminal.result(queued, f"Queued. Wait for it: {session.typed(f'runs {job.job_id} --follow')}")
            return None
        outcome = follow(session, tribrid, job, kind)
        then(tribrid, outcome)
    session.terminal.result(outcome, *view(outcome))
    return outcome


def _mined(found: MiningResult) -> list[RenderableType]:
    rejected = ", ".join(f"{count:,} {reason.replace('_', ' ')}" for reason, count in _counted(found))
    sources = table(
        ["Source", ("Pairs", "right"), ("Triplets", "right"), ("Queries", "right")],
        [[name, f"{of.pairs:,}", f"{of.triplets:,}", f"{of.queries:,}"] for name, of in found.by_source.items()],
    )
    total = {"Mined": f"{found.pairs:,} pairs, {found.triplets:,} triplets of {found.queries:,} queries"}
    if found.remembered:
        total["Remembered"] = f"{found.remembered:,} pairs more, past max_pairs: not learned from"
    if found.held_back:
        total["Held back"] = f"{found.held_back:,} triplets, for review: tribrid triplets CORPUS --status review"
    total.update(_clients(found.clients))
    if judged := found.judge:
        total["Judge"] = f"{judged.labels:,} labels of {one_line(judged.judge, 60)}, which count {judged.weight:g}"
    if made := found.generated:
        asked = f"{made.answered:,} of {made.asked:,} questions answered by {one_line(made.model, 60)}"
        total["Generated"] = f"{made.kept:,} of {made.queries:,} queries kept; {asked}"
    return [sources, facts({**total, "Rejected": rejected, "Cost": cost_line(found.cost)})]


def _clients(found: MiningClients | None) -> dict[str, str]:
    """Who was behind the log."""
    if found is None:
        return {}
    shown = {"Clients": found.told}
    if found.heaviest_share is not None:
        shown["Heaviest client"] = f"{found.heaviest_share:.1%} of what clients taught"
    if found.bots:
        why = ", ".join(f"{count:,} {reason.replace('_', ' ')}" for reason, count in found.bots.items())
        shown["Left out as bots"] = f"{why}; {found.bot_lists:,} lists"
    return shown


def _counted(found: MiningResult) -> list[tuple[str, int]]:
    """Reasons with their counts, whether they are counted by source or over all, most frequent first."""
    totals: dict[str, int] = {}
    for name, value in found.rejected.items():
        for reason, count in value.items() if isinstance(value, dict) else [(name, value)]:
            totals[reason] = totals.get(reason, 0) + count
    return sorted(totals.items(), key=lambda item: -item[1])


def _trained(session: Session, found: TrainingResult, corpus_id: str) -> list[RenderableType]:
    # Slow to import (see tribrid.cli).
    from tribrid.evaluation.notes import LEARNED_NOTHING, ranks_as_retrieval

    shown = {"Run": found.run_id, "Model": found.model_id, **words(found.metrics), "Cost": cost_line(found.cost)}
    told = [Text(LEARNED_NOTHING)] if ranks_as_retrieval(found.metrics) else []
    return [facts(shown), *told, Text(f"Measure it: {session.typed(f'evaluate {corpus_id}')}", style="dim")]
