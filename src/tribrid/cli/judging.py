"""`tribrid judge`: let a model grade documents, and hear how well it agrees with people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from tribrid.cli.command import Corpus, Session
from tribrid.cli.learning import NoWait, run_job
from tribrid.cli.reports import cost_line
from tribrid.cli.terminal import facts, one_line

if TYPE_CHECKING:
    from tribrid.answers.judging import JudgingResult


def judge(
    session: Session,
    corpus: Corpus,
    *,
    queries: Annotated[int | None, typer.Option(help="Most queries of each kind. Default: 50.")] = None,
    of: Annotated[
        str | None,
        typer.Option(
            help="people: what people judged, to see whether the model agrees; log: frequent queries that nobody "
            "judged, to learn from. Default: both."
        ),
    ] = None,
    no_wait: NoWait = False,
) -> None:
    """Let the model of the settings `judging` grade documents. Only what is not answered yet is asked."""
    from tribrid.answers.judging import JudgingResult

    run_job(
        session,
        lambda tribrid: tribrid.corpus(corpus).submit_judge(queries=queries, of=of),
        JudgingResult,
        lambda result: list(_judged(result)),
        wait=not no_wait,
    )


def _judged(found: JudgingResult) -> Iterator[RenderableType]:
    standing = found.standing
    same = "" if standing.same_grade is None else f", {standing.same_grade:.0%} the same in both orders"
    shown: dict[str, object] = {
        "Judge": one_line(standing.judge or "", 60),
        "Asked": f"{found.answered:,} of {found.asked:,} questions answered, on {found.documents:,} documents of "
        f"{found.queries:,} queries",
        "Labels": f"{standing.labels:,}{same}",
        "Left over": f"{found.left_over:,} questions: judge again" if found.left_over else None,
        "Stopped by": found.stopped,
        "Last failure": found.trouble,
        "Cost": cost_line(found.cost),
    }
    yield facts(shown)
    yield Text(standing.told)
