"""The commands that look before a training: is there enough to train on, and what exactly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import RenderableType
from rich.text import Text

from tribrid.cli.command import Corpus, Session
from tribrid.cli.ids import whole
from tribrid.cli.library import library
from tribrid.cli.terminal import facts, one_line, table
from tribrid.types import TripletStatus

if TYPE_CHECKING:
    from tribrid.answers.readiness import LabelCounts, Readiness
    from tribrid.answers.triplets import MinedTriplet, TripletPage, TripletSide

_QUERY_CHARS, _TEXT_CHARS = 60, 90
_COLOURS = {"yes": "green", "perhaps": "yellow", "no": "red"}


def readiness(session: Session, corpus: Corpus) -> None:
    """Say whether there is enough data to train, and what is missing."""
    with library(session) as tribrid:
        found = tribrid.corpus(corpus).readiness()
    session.terminal.result(found, *_readiness(found))


def _readiness(found: Readiness) -> Iterator[RenderableType]:
    yield Text(found.summary, style=_COLOURS[found.answer])
    gain, coverage, labels = found.expected_gain, found.coverage, found.labels
    retrieved = f"not measured: {coverage.reason}"
    if coverage.share is not None:
        deep = f"sampled positives in the first {coverage.depth}"
        retrieved = f"{coverage.share:.0%} of {coverage.positives:,} {deep}"
    yield facts(
        {
            "Documents": f"{found.documents:,}, {found.passages:,} passages indexed",
            "Logs": _labels(labels.logs),
            "Judgments": _labels(labels.judgments),
            "Heuristics": f"about {labels.heuristics.queries:,} queries that documents ask of themselves",
            "Retrieved": retrieved,
            "Eval dataset": "none" if found.eval_queries is None else found.standing,
            "Gain to expect": f"{gain.low:.3f} to {gain.high:.3f} in {gain.measure}: {gain.basis}",
        }
    )


def _labels(labels: LabelCounts) -> str:
    least = "at least " if labels.at_least else ""
    left = f"; {labels.in_eval_dataset:,} more are the eval dataset's" if labels.in_eval_dataset else ""
    return f"{least}{labels.queries:,} queries, {labels.positives:,} positives{left}"


def triplets(
    session: Session,
    corpus: Corpus,
    *,
    status: Annotated[
        str | None, typer.Option(help="active, review, accepted, flipped or dropped. Default: all.")
    ] = None,
    source: Annotated[str | None, typer.Option(help="logs, judgments or heuristics. Default: all.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Most triplets to show.")] = 20,
    offset: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Triplets to leave out at the start.")] = 0,
) -> None:
    """Show what was mined. With --status review: what waits for a decision of `tribrid review`."""
    with library(session) as tribrid:
        found = tribrid.corpus(corpus).triplets(source=source, status=status, offset=offset, limit=limit)
    session.terminal.result(found, *_page(session, found))


def _page(session: Session, found: TripletPage) -> Iterator[RenderableType]:
    rows = found.triplets
    yield _rows(rows) if rows else "There is none."
    yield Text(f"{len(rows):,} of {found.total:,}", style="dim")
    if any(row.status is TripletStatus.REVIEW for row in rows):
        yield Text(f"Decide: {session.typed('review')} accept|flip|drop TRIPLET_ID...", style="dim")


def review(
    session: Session,
    decision: Annotated[
        Literal["accept", "flip", "drop"],
        typer.Argument(
            metavar="DECISION",
            help="accept: a true negative, train on it. flip: a positive of the query. drop: neither.",
        ),
    ],
    triplet_ids: Annotated[
        list[str], typer.Argument(metavar="TRIPLET_ID", help="As `tribrid triplets CORPUS --status review` shows it.")
    ],
) -> None:
    """Decide on triplets whose negative may be relevant itself. It holds for this mining and all later ones."""
    from tribrid.answers.triplets import DecidedTriplets

    with library(session) as tribrid:
        these = [whole(tribrid, "triplet", typed) for typed in triplet_ids]  # all, before the first is decided on
        decided = tuple(tribrid.review(triplet_id, decision) for triplet_id in these)
    session.terminal.result(DecidedTriplets(decided=decided), _rows(decided))


def _rows(rows: Sequence[MinedTriplet]) -> RenderableType:
    return table(
        ["Triplet", "Status", "Source", ("Weight", "right"), "Query", "Positive", "Negative", "Why"],
        [
            [
                row.triplet_id,
                row.status,
                row.source,
                f"{row.weight:.2f}",
                one_line(row.query, _QUERY_CHARS),
                _side(row.positive),
                _side(row.negative),
                row.reason,
            ]
            for row in rows
        ],
    )


def _side(side: TripletSide) -> str:
    return one_line(f"{side.doc_id}: {side.text or 'gone'}", _TEXT_CHARS)
