"""`tribrid evalset` as it can be typed. What it does stands in evalsets.py, which loads the library; this must not."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tribrid.cli.command import Session


def evalset(
    session: Session,
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[put|show|list|check|export] CORPUS[@VERSION]",
            help="What to do (left out: put if something is given, else show), with which corpus's dataset. VERSION is "
            "a number or the start of a hash.",
        ),
    ],
    *,
    file: Annotated[
        Path | None,
        typer.Option(
            help="Judged queries: JSON as the HTTP route takes it or export wrote it, JSONL, Quepid's CSV, or a BEIR "
            "folder (its test split)."
        ),
    ] = None,
    queries: Annotated[Path | None, typer.Option(help="Query texts: BEIR queries.jsonl, or TREC topics.")] = None,
    qrels: Annotated[Path | None, typer.Option(help="Their judgments: TREC or BEIR qrels.")] = None,
    form: Annotated[
        str | None,
        typer.Option("--format", help="Export as json (everything), jsonl, trec, topics, qrels, run, beir or quepid."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Export to this file, or folder for trec and beir. Default: print."),
    ] = None,
    effect: Annotated[
        float | None, typer.Option(help="check: the change in the primary measure that you hope to see. Default: 0.03.")
    ] = None,
) -> None:
    """Fix the eval dataset that before and after are measured on; show, list, check or export it.

    check ends with exit code 1 if a verdict on the dataset would mislead.
    """
    from tribrid.cli import evalsets

    evalsets.evalset(session, words, evalsets.Given(file, queries, qrels), evalsets.Asked(form, out, effect))
