"""The commands of registry.py and securing.py as they can be typed. Light, as commands.py."""

from __future__ import annotations

from typing import Annotated, Literal

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


def keys(
    session: Session,
    action: Annotated[
        Literal["create", "list", "revoke"], typer.Argument(metavar="ACTION", help="create, list or revoke.")
    ] = "list",
    key_id: Annotated[str | None, typer.Argument(metavar="KEY_ID", help="The key to revoke.")] = None,
    *,
    scope: Annotated[
        list[str] | None,
        typer.Option(help="search, feedback, train, metrics or admin; can be given again. Of a new key."),
    ] = None,
    name: Annotated[str, typer.Option(help="Who it is for. Of a new key.")] = "",
) -> None:
    """Make, list or revoke API keys. A key is shown once, when it is made.

    From the first key on the server answers nobody without one, on loopback too, and may listen beyond it.
    """
    from tribrid.cli import securing

    securing.keys(session, action, key_id, scopes=scope or [], name=name)


def logs(
    session: Session,
    action: Annotated[Literal["prune"], typer.Argument(metavar="ACTION", help="prune.")],
    corpus: Annotated[str | None, typer.Argument(metavar="CORPUS", help="Default: all.")] = None,
    *,
    days: Annotated[
        int | None, typer.Option(min=1, max=36_500, help="Default: the setting logs.retention_days.")
    ] = None,
) -> None:
    """Delete old searches with their feedback. A running worker does it once a day where logs.retention_days is set."""
    from tribrid.cli import securing

    securing.prune(session, corpus, days=days)
