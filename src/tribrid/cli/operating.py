"""The commands that look after an installation: serve, mcp, doctor."""

from __future__ import annotations

import signal
from typing import Annotated

import typer
from rich.text import Text

from tribrid.cli.command import Session
from tribrid.cli.library import library
from tribrid.cli.terminal import seconds, table
from tribrid.errors import Unavailable

_FOR_EVER_S = 3600.0


def serve(
    session: Session,
    *,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on. Beyond loopback only with an API key.")
    ] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Default: TRIBRID_PORT, else 8000.")] = None,
    worker: Annotated[
        bool, typer.Option(help="Run the jobs here too; without, `tribrid worker` runs them on other machines.")
    ] = True,
    # The server ends with this process, which must be its parent.
    parent_pid: Annotated[int | None, typer.Option("--parent-pid", hidden=True)] = None,
) -> None:
    """Serve the studio and the HTTP API, and run the jobs."""
    # Slow to import (see tribrid.cli); the parent is followed before the rest is loaded.
    from tribrid.jobs.processes import follow_parent

    if parent_pid is not None:
        follow_parent(parent_pid, signal.SIGTERM)
    from tribrid import studio

    with library(session) as tribrid:
        if not worker:
            tribrid.supervisor.leave_to_others()
        host, port = host or tribrid.environment.host, port or tribrid.environment.port
        url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        if tribrid.environment.log_format == "text":  # else stderr is for programs
            session.terminal.note(
                f"Starting with {tribrid.environment.data_dir}. Open {url} for the studio; docs of the API are at "
                f"{url}/docs. Ctrl-C stops it."
            )
        studio.serve(tribrid, host, port)
        session.terminal.result({"served": url})


def worker(session: Session) -> None:
    """Run jobs and serve nothing, beside servers on other machines that share the database and the object store."""
    from tribrid.jobs.processes import StopSignal

    with library(session) as tribrid:
        stopping = StopSignal()
        tribrid.supervisor.ensure_worker()
        session.terminal.note(f"Running jobs with {tribrid.environment.data_dir}. Ctrl-C stops it.")
        while not stopping.wait(_FOR_EVER_S):
            pass
    session.terminal.result({"stopped": True})


def mcp(session: Session) -> None:
    """Serve agents over the Model Context Protocol, on standard input and output; they start it themselves. It only
    reads, unless TRIBRID_MCP_KEY holds a key whose scopes say more.
    """
    from tribrid import mcp as served

    with library(session) as tribrid:
        served.serve(tribrid)


def doctor(session: Session) -> None:
    """Say what works on this machine, by doing it."""
    from tribrid.answers.status import Diagnosis

    with library(session) as tribrid:
        checks = tribrid.doctor()
    failed = [check for check in checks if check.needed and not check.ok]
    made = table(["", "Check", "Detail", ("Took", "right")], [])
    for check in checks:
        mark = Text("ok", "green") if check.ok else Text("no", "bold red" if check in failed else "yellow")
        made.add_row(mark, check.check, Text(check.detail), seconds(check.took_s))
    session.terminal.result(Diagnosis(ok=not failed, checks=tuple(checks)), made)
    if failed:
        raise typer.Exit(Unavailable.exit_code)
