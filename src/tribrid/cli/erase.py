"""`tribrid erase`: take out what may not be kept, and say who had used it; or what was erased before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer
from rich.console import RenderableType

from tribrid import answers
from tribrid.cli.command import Corpus, Session
from tribrid.cli.events import measured
from tribrid.cli.library import library
from tribrid.cli.terminal import facts, indented, moment, table
from tribrid.errors import InvalidInput


def erase(
    session: Session,
    corpus: Corpus,
    *,
    query_id: Annotated[str | None, typer.Option(help="One search: its list and what was done with it.")] = None,
    query: Annotated[str | None, typer.Option(metavar="TEXT", help="A query, whoever asked it.")] = None,
    client_id: Annotated[str | None, typer.Option(help="A user's searches.")] = None,
    doc_id: Annotated[str | None, typer.Option(help="A document and all that names it.")] = None,
    history: Annotated[bool, typer.Option("--history", help="Show what was erased before.")] = False,
) -> None:
    """Erase a query, a user's events or a document, and say which datasets and models had used it.

    Later runs cannot use it. There is no way back.
    """
    wanted = {"query_id": query_id, "query": query, "client_id": client_id, "doc_id": doc_id}
    with library(session) as tribrid:
        if history:
            if any(value is not None for value in wanted.values()):
                raise InvalidInput("--history erases nothing: leave the rest out.")
            found = tribrid.corpus(corpus).erasures()
            rows = [[moment(row.at), row.kind, measured(row.erased), len(row.models)] for row in found]
            shown = table(["At", "What", "Rows", ("Models", "right")], rows) if rows else "Nothing was erased."
            session.terminal.result(answers.erasures.ErasureList(erasures=tuple(found)), shown)
            return
        done = tribrid.corpus(corpus).erase(**wanted)
    session.terminal.result(done, *_erased(done))


def _erased(done: answers.erasures.ErasureDone) -> Iterator[RenderableType]:
    models = [f"{row.model_id} ({', '.join(row.aliases)})" if row.aliases else row.model_id for row in done.models]
    yield facts(
        {
            "Erased": measured(done.erased),
            "Triplet sets": ", ".join(row.triplet_set_id for row in done.triplet_sets),
            "Eval datasets": ", ".join(row.sha256[:12] for row in done.eval_datasets),
            "Models": ", ".join(models),
            "Jobs": ", ".join(f"{row.kind} {row.job_id}" for row in done.jobs),
        }
    )
    yield from (indented(line, "dim") for line in done.advice)
