"""`tribrid logs`: how long searches are kept."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from tribrid.cli.command import Session
from tribrid.cli.library import library
from tribrid.cli.progress import gauge


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
    with library(session) as tribrid, gauge(session.terminal.err, "Pruning") as shown:
        prune = tribrid.prune_logs if corpus is None else tribrid.corpus(corpus).logs.prune
        done = prune(days=days, emit=lambda _, data: shown.update(data))
    if not done.corpora:
        said = "Nothing to do: logs.retention_days is not set. Set it, or give --days."
    else:
        said = f"Deleted {done.deleted} searches in {len(done.corpora)} corpora."
    session.terminal.result(done, said)
