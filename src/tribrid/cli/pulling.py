"""`tribrid pull`: other engines' records into a corpus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tribrid.cli.assignments import assignment
from tribrid.cli.command import Corpus, Session
from tribrid.cli.content import ensure, indexed, lines_skipped
from tribrid.cli.library import library
from tribrid.cli.progress import gauge
from tribrid.cli.terminal import Verbatim
from tribrid.types import EventType

if TYPE_CHECKING:
    from tribrid.answers.documents import PulledDocuments

Source = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="postgresql://host/database, opensearch+https://host:9200, elasticsearch+https://host:9200 or "
        "qdrant+https://host:6333; +http where there is no certificate. Without a password: that is PGPASSWORD or "
        "~/.pgpass for PostgreSQL, TRIBRID_PULL_KEY for the others.",
    ),
]
Maps = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        metavar="FIELD=SOURCE_FIELD",
        help="What a document's doc_id, text, title, uri or metadata.NAME is; a field given again is a further "
        "paragraph. Default: the field of the same name, and the engine's id.",
    ),
]


def pull(  # noqa: PLR0913 - a command's options are its parameters
    session: Session,
    corpus: Corpus,
    source: Source,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="The table, index or collection to read.")] = None,
    *,
    maps: Maps = None,
    query: Annotated[
        str | None, typer.Option(metavar="SQL", help="PostgreSQL: a SELECT in the place of the table.")
    ] = None,
    changed: Annotated[
        str | None,
        typer.Option(metavar="SOURCE_FIELD", help="When a record was last changed; the latest is told at the end."),
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="VALUE", help="Only records that were changed then or later.")
    ] = None,
    mirror: Annotated[
        bool, typer.Option("--mirror", help="Delete all documents that are not in SOURCE, wherever they came from.")
    ] = False,
) -> None:
    """Index what another engine holds: new and changed documents are embedded, unchanged ones are not. Creates the
    corpus if need be. Nothing is written to the engine.
    """
    from tribrid.engines.source import source_at

    mapping: dict[str, list[str]] = {}
    for field, of in map(assignment, maps or []):
        mapping.setdefault(field, []).append(of)
    with library(session) as tribrid:
        source_at(tribrid.environment, source, name, query, changed, since)  # a wrong one makes no corpus
        ensure(tribrid, corpus)
        with gauge(session.terminal.err, "Pulling") as shown:

            def emit(kind: EventType, data: Mapping[str, Any]) -> None:
                if kind == "progress":
                    shown.update(data)

            report = tribrid.corpus(corpus).documents.pull(
                source, name, mapping=mapping, query=query, changed=changed, since=since, mirror=mirror, emit=emit
            )
    session.terminal.result(report, indexed(report), *_next(report))
    lines_skipped(session, report)


def _next(report: PulledDocuments) -> Sequence[Verbatim]:
    return [Verbatim(f"What changes from now on: --since {report.newest!r}")] if report.newest else []
