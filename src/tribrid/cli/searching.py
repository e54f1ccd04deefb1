"""The commands that serve: search, and what users did with the results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from tribrid.cli.command import Session
from tribrid.cli.library import library
from tribrid.cli.terminal import one_line, plain, table
from tribrid.errors import InvalidInput
from tribrid.types import LEGS, Signal

_SNIPPET_CHARS = 160
_TITLE_CHARS = 70


def search(session: Session, corpus_id: str, query: str, *, top_k: int) -> None:
    """Search and log; see `tribrid search --help`."""
    with library(session) as tribrid:
        answer = tribrid.corpus(corpus_id).search(query, top_k)
    session.terminal.result(answer, *_answer(answer))


def _answer(answer: Mapping[str, Any]) -> Iterator[RenderableType]:
    yield results(answer["results"]) if answer["results"] else "Nothing found."
    by = f"reranked by {answer['model_id']}" if answer["reranked"] else "not reranked"
    if answer["fallback_reason"]:
        by = f"not reranked: {answer['fallback_reason']}"
    yield Text(plain(f"query_id {answer['query_id']} · {by} · {answer['took_ms']:.0f} ms"), style="dim")


def results(rows: list[Mapping[str, Any]]) -> Table:
    """Search results: rank, title and snippet, score, and where each leg had it."""
    made = table([("", "right"), "Document", ("Score", "right"), *((leg.title(), "right") for leg in LEGS)], [])
    for row in rows:
        legs = row["first_stage"]["legs"]
        title = one_line(row["title"] or row["doc_id"], _TITLE_CHARS)
        document = Text.assemble(
            (title, "bold"), ("" if title == row["doc_id"] else f"  {one_line(row['doc_id'], 120)}", "dim")
        )
        document.append(f"\n{one_line(row['text'], _SNIPPET_CHARS)}")
        ranks = [f"#{legs[leg]['rank']}" if legs.get(leg) else "–" for leg in LEGS]
        made.add_row(str(row["rank"]), document, f"{row['score']:.3f}", *ranks)
    return made


def feedback(session: Session, query_id: str, doc_id: str | None, *, signal: str, value: float | None) -> None:
    """Log feedback; see `tribrid feedback --help`.

    Raises:
        InvalidInput: there is no such signal.
    """
    if signal not in set(Signal):
        raise InvalidInput(f"There is no signal {signal!r}. There are: {', '.join(Signal)}.", signal=signal)
    with library(session) as tribrid:
        answer = tribrid.feedback(query_id, signal, doc_id=doc_id, value=value)
    about = f" for {plain(doc_id)}" if doc_id else ""
    session.terminal.result(answer, f"Logged {signal}{about}.")
