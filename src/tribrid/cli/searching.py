"""The commands that serve: search, and what users did with the results."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from tribrid.cli.command import Corpus, Session
from tribrid.cli.library import library
from tribrid.cli.terminal import one_line, plain, table
from tribrid.errors import InvalidInput
from tribrid.types import GRAPH, LEGS, Signal

if TYPE_CHECKING:
    from tribrid.answers.search import SearchAnswer, SearchResult

_SNIPPET_CHARS = 160
_TITLE_CHARS = 70


def search(
    session: Session,
    corpus: Corpus,
    query: Annotated[str, typer.Argument(metavar="QUERY", help="What to look for.")],
    *,
    top_k: Annotated[int, typer.Option("--top-k", "-k", min=1, max=1000, help="Most results.")] = 10,
    offset: Annotated[int, typer.Option(min=0, max=999, help="Results to leave out at the start.")] = 0,
    filter_: Annotated[
        str | None,
        typer.Option(
            "--filter",
            metavar="JSON",
            help='What alone is searched, such as \'{"lang": "de", "year": {"$gte": 2020}}\'.',
        ),
    ] = None,
    per: Annotated[
        Literal["doc", "passage"], typer.Option(help="Each document once, or the best passages of all.")
    ] = "doc",
    facet: Annotated[
        list[str] | None,
        typer.Option(help="A field of the metadata, to count documents by its values; can be given again."),
    ] = None,
) -> None:
    """Search a corpus. What was shown is logged under the query_id it prints."""
    wanted = as_filter(filter_)
    with library(session) as tribrid:
        answer = tribrid.corpus(corpus).search(query, top_k, filter=wanted, offset=offset, per=per, facets=facet or [])
    session.terminal.result(answer, *_answer(answer))


def as_filter(given: str | None) -> dict[str, Any] | None:
    """A filter as it was typed; None for none.

    Raises:
        InvalidInput: it is not JSON.
    """
    if given is None:
        return None
    try:
        found: dict[str, Any] = json.loads(given)
    except ValueError as error:
        raise InvalidInput(
            f'--filter: it is not JSON: {error}. In most shells it wants single quotes: \'{{"lang": "de"}}\'.'
        ) from error
    return found


def _answer(answer: SearchAnswer) -> Iterator[RenderableType]:
    yield results(answer.results) if answer.results else "Nothing found."
    for name, values in answer.facets.items():
        told = ", ".join(f"{value.value} ({value.documents:,})" for value in values)
        yield Text(plain(f"{name}: {told or 'no document has it'}"))
    by = f"reranked by {answer.model_id}" if answer.reranked else "not reranked"
    if answer.fallback_reason:
        by = f"not reranked: {answer.fallback_reason}"
    yield Text(plain(f"query_id {answer.query_id} · {by} · {answer.took_ms:.0f} ms"), style="dim")


def results(rows: Iterable[SearchResult]) -> Table:
    """Search results: rank, title and snippet, score, and where each leg had it."""
    found = list(rows)
    shown = _legs(found)
    made = table([("", "right"), "Document", ("Score", "right"), *((leg.title(), "right") for leg in shown)], [])
    for row in found:
        legs = row.first_stage.legs
        title = one_line(row.title or row.doc_id, _TITLE_CHARS)
        document = Text.assemble(
            (title, "bold"), ("" if title == row.doc_id else f"  {one_line(row.doc_id, 120)}", "dim")
        )
        if where := _where(row):
            document.append(f"\n{one_line(where, _SNIPPET_CHARS)}", style="dim")
        document.append(f"\n{one_line(row.text, _SNIPPET_CHARS)}")
        ranks = [f"#{leg.rank}" if leg else "–" for leg in (getattr(legs, name) for name in shown)]
        made.add_row(str(row.rank), document, f"{row.score:.3f}", *ranks)
    return made


def _legs(rows: Sequence[SearchResult]) -> list[str]:
    """Those that have a column: that of the graph only where it had a part."""
    return [*LEGS, *([GRAPH] if any(row.first_stage.legs.graph for row in rows) else [])]


def _where(row: SearchResult) -> str:
    """Where a passage stands in its document."""
    headings = [" > ".join(row.headings)] if row.headings else []
    page = [] if row.page is None else [f"page {row.page}"]
    lines = [] if row.lines is None else [f"lines {row.lines.first} to {row.lines.last}"]
    return " · ".join(headings + page + lines)


def feedback(
    session: Session,
    query_id: Annotated[str, typer.Argument(metavar="QUERY_ID", help="As `tribrid search` printed it.")],
    doc_id: Annotated[
        str | None, typer.Argument(metavar="DOC_ID", help="Left out: it is about the whole list.")
    ] = None,
    *,
    signal: Annotated[str, typer.Option(help="click, dwell, copy, cite, thumbs_up, thumbs_down or rating.")],
    value: Annotated[float | None, typer.Option(help="Of dwell: seconds. Of rating: 1 to 5.")] = None,
) -> None:
    """Say what a user did with a result."""
    if signal not in set(Signal):
        raise InvalidInput(f"There is no signal {signal!r}. There are: {', '.join(Signal)}.", signal=signal)
    with library(session) as tribrid:
        answer = tribrid.feedback(query_id, signal, doc_id=doc_id, value=value)
    about = f" for {plain(doc_id)}" if doc_id else ""
    session.terminal.result(answer, f"Logged {signal}{about}.")
