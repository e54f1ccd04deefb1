"""The commands about reports as they can be typed. Light, as commands.py is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tribrid.cli.command import Session

Html = Annotated[Path | None, typer.Option(metavar="FILE", help="Also write the report as a web page.")]
JUnit = Annotated[
    Path | None, typer.Option("--junit", metavar="FILE", help="Also write its checks as JUnit XML, for CI.")
]


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
    from tribrid.cli import evaluations as asked
    from tribrid.cli import reportfiles

    asked.evaluations(session, evaluation or [], corpus, reportfiles.ReportFiles(html, junit))
