"""`tribrid keys`: who may call a server."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import RenderableType

from tribrid.cli.command import Session
from tribrid.cli.ids import whole
from tribrid.cli.library import Library, library
from tribrid.cli.searching import as_filter
from tribrid.cli.terminal import Verbatim, moment, table
from tribrid.errors import InvalidInput

if TYPE_CHECKING:
    from tribrid.answers.keys import KeyFacts, KeyList


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
    corpus: Annotated[
        list[str] | None,
        typer.Option(help="The only corpus that it is for; can be given again. Default: all. Of a new key."),
    ] = None,
    filter_: Annotated[
        str | None,
        typer.Option(
            "--filter",
            metavar="JSON",
            help='Only what it finds, such as \'{"team": "a"}\'; with scopes search and feedback. Of a new key.',
        ),
    ] = None,
    name: Annotated[str, typer.Option(help="Who it is for. Of a new key.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before the first key. Of a new key.")] = False,
) -> None:
    """Make, list or revoke API keys. A key is shown once, when it is made.

    From the first key on the server answers nobody without one, on loopback too, and may listen beyond it.
    """
    from tribrid.answers.keys import KeyList

    if action != "create" and any((scope, corpus, filter_, name, yes)):
        raise InvalidInput("Options are for `tribrid keys create`.", action=action)
    if (action == "revoke") != (key_id is not None):
        raise InvalidInput("`tribrid keys revoke KEY_ID` takes the key's id, and nothing else does.", action=action)
    with library(session) as tribrid:
        if key_id is not None:
            ended = tribrid.keys.revoke(whole(tribrid, "key", key_id))
            session.terminal.result(ended, f"{ended.key_id} is revoked; running servers refuse it within two seconds.")
        elif action == "create":
            _warn(session, tribrid, scope or [], yes=yes)
            made = tribrid.keys.create(name, scope or [], corpus, as_filter(filter_))
            session.terminal.result(made, Verbatim(made.key))
            session.terminal.note("This key is shown once and stored nowhere: keep it now.")
        else:
            found = KeyList(keys=tuple(tribrid.keys.list()))
            session.terminal.result(found, _listed(found))


_HEADS = ["Key", "Name", "Scopes", "Corpora", "Filter", "Made", "Revoked"]


def _listed(found: KeyList) -> RenderableType:
    return table(_HEADS, map(_row, found.keys)) if found.keys else "There are no API keys."


def _row(key: KeyFacts) -> Sequence[str]:
    corpora = "all" if key.corpora is None else ", ".join(key.corpora)
    only = "–" if key.filter is None else json.dumps(key.filter)
    ended = moment(key.revoked_at) or "–"
    return key.key_id, key.name, ", ".join(key.scopes), corpora, only, moment(key.created_at), ended


def _warn(session: Session, tribrid: Library, scopes: Sequence[str], *, yes: bool) -> None:
    """Say what the first key does to all who have none, and ask where a server may be running.

    Raises:
        InvalidInput: the answer is no, or there is nobody to ask.
    """
    if not tribrid.keys.first:
        return
    session.terminal.note("This is the first key. From now on a server answers nobody without one, on loopback too.")
    if "admin" not in scopes:
        session.terminal.note("Over HTTP nobody could administer it then: --scope admin lets this key, too.")
    if tribrid.keys.may_be_served:
        session.terminal.confirm(
            "A server may be running, and would refuse all who call it now. Make the key?",
            yes=yes,
            refused="No key was made.",
        )
