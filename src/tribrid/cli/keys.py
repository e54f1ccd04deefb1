"""`tribrid keys`: who may call a server."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from tribrid import answers
from tribrid.cli.command import Session
from tribrid.cli.library import library
from tribrid.cli.terminal import Verbatim, moment, table
from tribrid.errors import InvalidInput


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
    if action != "create" and (scope or name):
        raise InvalidInput("--scope and --name are for `tribrid keys create`.", action=action)
    if (action == "revoke") != (key_id is not None):
        raise InvalidInput("`tribrid keys revoke KEY_ID` takes the key's id, and nothing else does.", action=action)
    with library(session) as tribrid:
        if key_id is not None:
            ended = tribrid.keys.revoke(key_id)
            session.terminal.result(ended, f"{key_id} is revoked; a running server refuses it within two seconds.")
        elif action == "create":
            made = tribrid.keys.create(name, scope or [])
            session.terminal.result(made, Verbatim(made.key))
            session.terminal.note("This key is shown once and stored nowhere: keep it now.")
        else:
            found = tribrid.keys.list()
            rows = [
                (
                    key.key_id,
                    key.name,
                    ", ".join(key.scopes),
                    moment(key.created_at),
                    moment(key.revoked_at) or "–",
                )
                for key in found
            ]
            made_table = table(["Key", "Name", "Scopes", "Made", "Revoked"], rows)
            session.terminal.result(
                answers.keys.KeyList(keys=tuple(found)), made_table if rows else "There are no API keys."
            )
