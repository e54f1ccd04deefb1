"""`tribrid import`: logs from elsewhere, by files or from an engine that keeps them."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Literal

import typer
from rich.console import RenderableType
from rich.text import Text

from tribrid.cli.command import Corpus, Session
from tribrid.cli.judgedfiles import open_file
from tribrid.cli.library import Library, library
from tribrid.cli.progress import gauge
from tribrid.cli.sources import STDIN
from tribrid.cli.terminal import Verbatim, facts, plain, seconds, table
from tribrid.cli.watching import tried
from tribrid.errors import InvalidInput
from tribrid.types import EventType

if TYPE_CHECKING:
    from tribrid.answers.logs import LogImport, PulledLogs

_BLOCK_BYTES = 1 << 16
EVERY_S = 60.0


def import_(
    session: Session,
    corpus: Corpus,
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE",
            help="NDJSON (clicks also CSV); several are read as one. `-` reads standard input. Or the address of an "
            "OpenSearch that keeps a log by User Behavior Insights: opensearch+https://host:9200, its key in "
            "TRIBRID_PULL_KEY.",
        ),
    ],
    *,
    form: Annotated[
        Literal["native", "ubi", "clicks"] | None,
        typer.Option(
            "--format",
            help="ubi: OpenSearch User Behavior Insights 1.3. clicks: query, document and time of each click alone. "
            "Default: native, and of an address ubi.",
        ),
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Of an address: only records of this time or later, ISO 8601.")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Of an address: once a minute, until Ctrl-C.")] = False,
) -> None:
    """Import search logs: queries with what was shown, and what users did. What is there already is left as it is."""
    if any("://" in name for name in files):
        if len(files) > 1 or form not in (None, "ubi"):
            raise InvalidInput("An address stands alone, and its log is ubi.")
        with library(session) as tribrid:
            _pull(session, tribrid, corpus, files[0], since, watch=watch)
        return
    if since is not None or watch:
        raise InvalidInput("--since and --watch are of an address: a file is imported whole.")
    _add(session, corpus, files, form or "native")


def _add(session: Session, corpus: str, files: Sequence[str], form: str) -> None:
    with library(session) as tribrid, ExitStack() as opened:
        streams = [sys.stdin.buffer if name == STDIN else opened.enter_context(open_file(name)) for name in files]
        with gauge(session.terminal.err, "Importing") as shown:

            def emit(kind: EventType, data: Mapping[str, Any]) -> None:
                if kind == "progress":
                    shown.update(data)

            counts = tribrid.corpus(corpus).logs.add(_joined(streams), format=form, emit=emit)
    session.terminal.result(counts, *_imported(counts))


def _pull(session: Session, tribrid: Library, corpus: str, source: str, since: str | None, *, watch: bool) -> None:
    """Import what an engine keeps; with `watch` again and again, each time from where the last ended.

    A later round that fails is told, and does not end it.
    """
    if watch and session.terminal.as_json:
        raise InvalidInput("--watch does not go with --json: it has no one end to tell.")
    logs = tribrid.corpus(corpus).logs
    found = logs.pull(source, since=since)
    session.terminal.result(found, *_imported(found), *_next(found))
    if not watch:
        return
    session.terminal.note("Watching. Ctrl-C stops it.")

    def again() -> None:
        nonlocal found
        found = logs.pull(source, since=found.since)
        if found.impressions or found.feedback:
            session.terminal.note(f"{found.impressions:,} new impressions, {found.feedback:,} of feedback.")

    try:
        while True:
            time.sleep(EVERY_S)
            tried(session, again)
    except KeyboardInterrupt:
        session.terminal.note("Stopped watching.")
        for line in _next(found):
            session.terminal.note(line)


def _next(found: PulledLogs) -> Sequence[Verbatim]:
    return [Verbatim(f"What comes from now on: --since {found.since}")] if found.since else []


def _imported(counts: LogImport) -> Iterator[RenderableType]:
    rate = counts.join_rate
    unknown, named = counts.unknown_document, ", ".join(map(plain, counts.unknown_documents))
    known = f", {counts.known_feedback:,} known before" if counts.known_feedback else ""
    queries = "" if counts.queries is None else f" for {counts.queries:,} queries"
    yield facts(
        {
            "Corpus": counts.corpus_id,
            "Records": f"{counts.records:,} in {seconds(counts.took_s)}, {counts.rate_per_s:,.0f}/s",
            "Impressions": f"{counts.impressions:,} new{queries}",
            "Feedback": f"{counts.feedback:,} new{known}",
            "Joined": None if rate is None else f"{rate:.1%} of the events; {counts.unjoined:,} did not",
            "Not in corpus": Text(f"{unknown:,} events: {named}", style="yellow") if unknown else None,
        }
    )
    if counts.reasons:
        yield table(
            ["Not taken", ("Count", "right"), ("First on line", "right"), "Document"],
            [
                [entry.reason, f"{entry.count:,}", str(entry.example.line), entry.example.doc_id]
                for entry in counts.reasons
            ],
        )


def _joined(streams: Sequence[BinaryIO]) -> Iterator[bytes]:
    """The streams one after the other, with a line break where one ends without."""
    for stream in streams:
        last = b"\n"
        while block := stream.read(_BLOCK_BYTES):
            yield block
            last = block
        if not last.endswith(b"\n"):
            yield b"\n"
