"""The commands of registry.py as they can be typed. Light, as commands.py."""

from __future__ import annotations

from typing import Annotated

import typer

from tribrid.cli.command import Session


def models(
    session: Session,
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="CORPUS | show MODEL_ID | export MODEL_ID FOLDER",
            help="A corpus's models; one model's record; or a folder with the model and its card.",
        ),
    ],
) -> None:
    """List a corpus's trained models, and which serves; show all that is kept of one; or export it.

    An export loads in onnxruntime, and its cross-encoder, if it has one, in sentence-transformers.
    """
    from tribrid.cli import registry

    registry.models(session, words)


def erase(
    session: Session,
    corpus: Annotated[str, typer.Argument(metavar="CORPUS", help="The corpus's id.")],
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
    from tribrid.cli import registry

    wanted = {"query_id": query_id, "query": query, "client_id": client_id, "doc_id": doc_id}
    registry.erase(session, corpus, wanted, history=history)
