"""`tribrid evaluations`: the reports there are, one of them, or two compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tribrid.cli.command import Session
from tribrid.cli.differences import evaluation_difference, two_to_compare
from tribrid.cli.ids import whole
from tribrid.cli.library import Library, library
from tribrid.cli.reportfiles import Html, JUnit, ReportFiles
from tribrid.cli.reports import report_view
from tribrid.cli.terminal import moment, table
from tribrid.errors import InvalidInput

if TYPE_CHECKING:
    from tribrid.answers.evaluations import EvaluationRow

_NONE = "There is no evaluation yet. Make one: tribrid evaluate CORPUS"


def evaluations(
    session: Session,
    evaluation: Annotated[
        list[str] | None,
        typer.Argument(metavar="EVALUATION_ID|diff A B", help="Show this one, or what changed between two."),
    ] = None,
    *,
    corpus: Annotated[str | None, typer.Option(help="Only this corpus's.")] = None,
    html: Html = None,
    junit: JUnit = None,
) -> None:
    """List the evaluations; show one, write it as files, or compare two query by query."""
    asked, files = evaluation or [], ReportFiles(html, junit)
    pair = two_to_compare(asked, "evaluations")
    if any(files) and (pair or not asked):
        raise InvalidInput("--html and --junit write one evaluation: tribrid evaluations EVALUATION_ID --html FILE.")
    files.check()
    with library(session) as tribrid:
        if pair:
            found = tribrid.evaluations.diff(*(whole(tribrid, "evaluation", typed) for typed in pair))
            session.terminal.result(found, *evaluation_difference(found))
        elif asked:
            evaluation_id = whole(tribrid, "evaluation", asked[0])
            report = tribrid.evaluations.get(evaluation_id)
            files.write(session, tribrid, evaluation_id)
            session.terminal.result(report, report_view(report))
        else:
            _list(session, tribrid, corpus)


_SHOWN = ("retrieval", "untrained", "champion", "challenger", "local", "cloud")


def _means(row: EvaluationRow) -> str:
    """The systems that serve, or may."""
    shown = [f"{name} {row.systems[name]:.3f}" for name in _SHOWN if name in row.systems]
    return f"{row.measure}: {', '.join(shown)}" if shown else ""


def _list(session: Session, tribrid: Library, corpus_id: str | None) -> None:
    from tribrid.answers.evaluations import EvaluationList

    corpus_ids = [corpus_id] if corpus_id else [one.corpus_id for one in tribrid.corpora()]
    found = [row for name in corpus_ids for row in tribrid.corpus(name).evaluations()]
    rows = [
        [
            row.evaluation_id,
            row.corpus_id,
            moment(row.created_at),
            row.model_id,
            "scheduled" if row.scheduled else row.decision,
            _means(row),
        ]
        for row in found
    ]
    columns = ["Evaluation", "Corpus", "Created", "Model", "Verdict", "Mean by system"]
    session.terminal.result(EvaluationList(evaluations=tuple(found)), table(columns, rows) if rows else _NONE)
