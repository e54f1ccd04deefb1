"""The command that compares two models on live searches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import RenderableType
from rich.text import Text

from tribrid.cli.command import Corpus, Session
from tribrid.cli.ids import whole_or_none
from tribrid.cli.library import library
from tribrid.cli.terminal import facts, plain
from tribrid.errors import InvalidInput

if TYPE_CHECKING:
    from tribrid.answers.experiment import ExperimentStatus, ExperimentWaiting

_ORDERS = ("retrieval", "given")
_COLOURS = {"challenger_better": "green", "challenger_worse": "red", "no_difference": "yellow"}


def experiment(
    session: Session,
    action: Annotated[
        Literal["start", "status", "stop"],
        typer.Argument(
            metavar="ACTION",
            help="start: mix the champion's and a challenger's results from now on, or with --ab show each client one "
            "of the two. status: how it stands. stop: show the champion's alone; what was counted is kept.",
        ),
    ],
    corpus: Corpus,
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL_ID",
            help="The challenger; retrieval: no model; given: the order in which documents came to a rerank. Default: "
            "that of the experiment that was stopped, else the newest that is not champion.",
        ),
    ] = None,
    *,
    again: Annotated[
        bool, typer.Option("--again", help="Start anew although the two were compared to the end before.")
    ] = False,
    ab: Annotated[bool, typer.Option("--ab", help="Show each client one of the two, by its client_id.")] = False,
) -> None:
    """Compare two rankings on live searches and reranks: users' feedback tells which of the two is better.

    How many searches, at what error and what happens on a win are the settings reranking.experiment_*.
    """
    from tribrid.answers.experiment import CorpusExperiment

    if action != "start" and (model or again or ab):
        raise InvalidInput(f"MODEL_ID, --again and --ab go with start, not with {action}.")
    with library(session) as tribrid:
        if action == "start":
            model_id = model if model in _ORDERS else whole_or_none(tribrid, "model", model)
            found = tribrid.corpus(corpus).experiment.start(model_id, again=again, design="ab" if ab else None)
        else:
            found = (
                tribrid.corpus(corpus).experiment.stop()
                if action == "stop"
                else tribrid.corpus(corpus).experiment.get()
            )
    session.terminal.result(CorpusExperiment(corpus_id=corpus, experiment=found), *_told(session, corpus, found))


def _told(
    session: Session, corpus_id: str, found: ExperimentStatus | ExperimentWaiting | None
) -> Iterator[RenderableType]:
    from tribrid.answers.experiment import ExperimentWaiting

    if found is None:
        yield "There was no experiment."
        yield Text(f"Start one: {session.typed(f'experiment start {corpus_id}')}", style="dim")
        return
    if isinstance(found, ExperimentWaiting):
        yield plain(found.reason)
        return
    yield facts(_facts(found))
    yield Text(plain(found.reason), style=_COLOURS.get(found.verdict or "", ""))
    if found.not_promoted:
        yield Text(plain(found.not_promoted), style="yellow")
    if found.forecast:
        yield plain(found.forecast)
    if found.waiting:
        yield Text(plain(found.waiting), style="dim")


def _facts(found: ExperimentStatus) -> dict[str, str | None]:
    champion, challenger, seen = found.champion, found.challenger, found.impressions
    per = "client" if found.design == "ab" else "client and day"
    return {
        "Experiment": f"{found.experiment_id}, {found.state}, "
        + ("A/B: a client sees one of the two" if found.design == "ab" else "interleaving"),
        "Champion": f"{champion.model_id}: {seen.losses:,} won, credit {champion.credit:g}",
        "Challenger": f"{challenger.model_id}: {seen.wins:,} won, credit {challenger.credit:g}"
        + (f"; not loaded: {challenger.problem}" if challenger.problem else ""),
        "Outcomes": f"{seen.counted:,} of {seen.budget:,} counted, one a {per}, {seen.ties:,} ties "
        f"({seen.identical:,} the same list twice)",
        "Clients": f"{seen.clients:,} of at least {seen.least_clients:,} told the two apart",
        "Searches": f"{seen.pending:,} waiting for feedback, {seen.repeated:,} more of clients that had counted, "
        f"{seen.nameless:,} without a client_id",
        "Not counted": f"{seen.excluded:,}, the last because: {seen.last_excluded}" if seen.excluded else None,
        "Evidence": f"{found.e_value:.3g}, decided at {found.decided_at:.3g}",
    }
