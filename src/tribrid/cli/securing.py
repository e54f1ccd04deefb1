"""The commands that decide who may call and what is kept: keys, logs."""

from __future__ import annotations

from collections.abc import Sequence

from tribrid.cli.command import Session
from tribrid.cli.library import library
from tribrid.cli.progress import gauge
from tribrid.cli.terminal import Verbatim, moment, table
from tribrid.errors import InvalidInput


def keys(session: Session, action: str, key_id: str | None, *, scopes: Sequence[str], name: str) -> None:
    """Make, list or revoke API keys; see `tribrid keys --help`.

    Raises:
        InvalidInput: what was given does not go with the action.
        KeyNotFound: there is no such key.
    """
    if action != "create" and (scopes or name):
        raise InvalidInput("--scope and --name are for `tribrid keys create`.", action=action)
    if (action == "revoke") != (key_id is not None):
        raise InvalidInput("`tribrid keys revoke KEY_ID` takes the key's id, and nothing else does.", action=action)
    with library(session) as tribrid:
        if key_id is not None:
            ended = tribrid.keys.revoke(key_id)
            session.terminal.result(ended, f"{key_id} is revoked; a running server refuses it within two seconds.")
        elif action == "create":
            made = tribrid.keys.create(name, scopes)
            session.terminal.result(made, Verbatim(made["key"]))
            session.terminal.note("This key is shown once and stored nowhere: keep it now.")
        else:
            found = tribrid.keys.list()
            rows = [
                (
                    key["key_id"],
                    key["name"],
                    ", ".join(key["scopes"]),
                    moment(key["created_at"]),
                    moment(key["revoked_at"]) or "–",
                )
                for key in found
            ]
            made_table = table(["Key", "Name", "Scopes", "Made", "Revoked"], rows)
            session.terminal.result({"keys": found}, made_table if rows else "There are no API keys.")


def prune(session: Session, corpus_id: str | None, *, days: int | None) -> None:
    """Delete old searches; see `tribrid logs --help`.

    Raises:
        CorpusNotFound: there is no such corpus.
    """
    with library(session) as tribrid, gauge(session.terminal.err, "Pruning") as shown:
        prune = tribrid.prune_logs if corpus_id is None else tribrid.corpus(corpus_id).logs.prune
        done = prune(days=days, emit=lambda _, data: shown.update(data))
    if not done["corpora"]:
        said = "Nothing to do: logs.retention_days is not set. Set it, or give --days."
    else:
        said = f"Deleted {done['deleted']} searches in {len(done['corpora'])} corpora."
    session.terminal.result(done, said)
