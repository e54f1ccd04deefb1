"""The commands that look after an installation: serve, config, doctor."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from tribrid.cli.command import Session
from tribrid.cli.learning import assignment
from tribrid.cli.library import library
from tribrid.cli.terminal import seconds, table
from tribrid.errors import InvalidInput, Unavailable

if TYPE_CHECKING:
    from tribrid.answers.settings import Setting


def serve(
    session: Session,
    *,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on. Beyond loopback only with an API key.")
    ] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Default: TRIBRID_PORT, else 8000.")] = None,
    # The server ends with this process, which must be its parent.
    parent_pid: Annotated[int | None, typer.Option("--parent-pid", hidden=True)] = None,
) -> None:
    """Serve the studio and the HTTP API, and run their jobs."""
    # Slow to import (see tribrid.cli); the parent is followed before the rest is loaded.
    from tribrid.jobs.processes import follow_parent

    if parent_pid is not None:
        follow_parent(parent_pid, signal.SIGTERM)
    from tribrid import studio

    with library(session) as tribrid:
        host, port = host or tribrid.environment.host, port or tribrid.environment.port
        url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        if tribrid.environment.log_format == "text":  # else stderr is for programs
            session.terminal.note(
                f"Starting with {tribrid.environment.data_dir}. Open {url} for the studio; docs of the API are at "
                f"{url}/docs. Ctrl-C stops it."
            )
        studio.serve(tribrid, host, port)
        session.terminal.result({"served": url})


def mcp(session: Session) -> None:
    """Serve agents over the Model Context Protocol, on standard input and output; they start it themselves. It only
    reads, unless TRIBRID_MCP_KEY holds a key whose scopes say more.
    """
    from tribrid import mcp as served

    with library(session) as tribrid:
        served.serve(tribrid)


def config(
    session: Session,
    settings: Annotated[
        list[str] | None,
        typer.Argument(metavar="CORPUS|SECTION.FIELD=VALUE", help="A corpus (else all), and what to set."),
    ] = None,
    *,
    unset: Annotated[
        list[str] | None, typer.Option(metavar="SECTION.FIELD", help="Back to the value it had; can be given again.")
    ] = None,
) -> None:
    """Show or change the settings: each with its value and where that comes from."""
    given = settings or []
    names = [text for text in given if "=" not in text]
    if len(names) > 1:
        raise InvalidInput(f"{names[1]!r} is neither the one corpus nor SECTION.FIELD=VALUE.", given=names[1])
    corpus_id = names[0] if names else None
    overrides: dict[str, dict[str, Any]] = {}
    for name, value in (assignment(text) for text in given if "=" in text):
        _put(overrides, name, None if value == "null" else value)
    for name in unset or []:
        _put(overrides, name, None)
    with library(session) as tribrid:
        whose = tribrid if corpus_id is None else tribrid.corpus(corpus_id)
        found = whose.patch_settings(overrides) if overrides else whose.settings()
    changed = {(section, field) for section, fields in overrides.items() for field in fields}
    session.terminal.result(found, _settings(found.settings, changed))


def _put(overrides: dict[str, dict[str, Any]], name: str, value: str | None) -> None:
    section, dot, field = name.partition(".")
    if not dot or not section or not field:
        raise InvalidInput(f"{name!r} is not SECTION.FIELD: `tribrid config` lists every setting.", setting=name)
    if field in overrides.setdefault(section, {}):
        raise InvalidInput(f"{name} is given twice.", setting=name)
    overrides[section][field] = value


def _settings(settings: Mapping[str, Mapping[str, Setting]], changed: set[tuple[str, str]]) -> Table:
    """Every setting, or those just changed, with what is not the default in bold."""
    made = table(["Setting", "Value", "From", "Meaning"], [])
    for section, fields in settings.items():
        for field, entry in fields.items():
            if changed and (section, field) not in changed:
                continue
            style = "" if entry.origin == "default" else "bold"
            value = "none" if entry.value is None else str(entry.value)
            made.add_row(f"{section}.{field}", Text(value, style=style), entry.origin, entry.description)
    return made


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
