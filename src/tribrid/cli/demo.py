"""`tribrid demo`: the whole loop on a collection that comes with Python."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tribrid.cli.command import EXIT_INTERRUPTED, Session
from tribrid.errors import InvalidInput

FOLDER = Path(".tribrid-demo")


def demo(
    session: Session,
    *,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget the last demo and start over.")] = False,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Default: 8000, or another if it is taken.")
    ] = None,
) -> None:
    """Run the whole loop on the source of Python's standard library and show before against after.

    Keeps its state in .tribrid-demo: a second run shows the saved result at once, an interrupted one goes on.
    """
    # Slow to import (see tribrid.cli).
    from tribrid.cli.demo_screen import run
    from tribrid.config import read_environment

    environment = read_environment()
    elsewhere = {"TRIBRID_DATABASE_URL": environment.database_url, "TRIBRID_STORAGE_URL": environment.storage_url}
    for variable in (name for name, value in elsewhere.items() if value is not None):
        raise InvalidInput(f"The demo keeps everything in a folder of its own: run it with {variable} unset.")
    try:
        run(session, session.data_dir or FOLDER, environment.api_key, fresh=fresh, port=port)
    except KeyboardInterrupt:
        session.terminal.note("Stopped. Run it again to go on from here.")
        raise typer.Exit(EXIT_INTERRUPTED) from None
