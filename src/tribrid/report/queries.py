"""The report page's rankings: the biggest wins and losses, each with both rankings side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from markupsafe import Markup

from tribrid.answers.report import EvaluationReport, QueryRow, RelevantDoc, TopDoc
from tribrid.report.quoting import quoted
from tribrid.types import Document

Documents = Mapping[str, Document]
"""doc_id → the document, of those that the page can quote."""

_EXAMPLES = 8
"""Wins shown at most, and losses shown at most."""
_OPEN = 2
"""Of each, how many stand open."""
_QUOTED = 3
"""Documents of each ranking that are quoted; of the others the title is enough. Relevant ones always are."""
_QUOTE_CHARS = 170
_TITLE_CHARS = 90
_MOVES = 6
"""Relevant documents whose move is told in words."""


class Ranked(NamedTuple):
    """A document of a ranking as it is shown. `mark`: its grade, and how it moved; `quote` None: none is shown."""

    rank: int
    doc_id: str
    title: str
    relevant: bool
    mark: str
    score: str
    quote: Markup | None
    unjudged: bool = False


class Move(NamedTuple):
    """A relevant document's ranks. `kind`: gain, loss or same."""

    title: str
    kind: str
    before: int | None
    after: int | None

    @property
    def candidate(self) -> bool:
        return self.before is not None or self.after is not None


class Example(NamedTuple):
    """A query with both rankings. `more`: relevant documents that no move is told of."""

    text: str
    opened: bool
    before: float
    after: float
    change: float
    moves: list[Move]
    more: int
    top_before: list[Ranked]
    top_after: list[Ranked]


def named_documents(report: EvaluationReport, rows: Sequence[QueryRow]) -> set[str]:
    """The doc_ids that the page shows."""
    if not report.delta:
        return set()
    chosen = [row for _, part in _chosen(rows) for row in part]
    listed = {doc.doc_id for row in chosen for doc in (*row.top_before, *row.top_after)}
    return listed | {doc.doc_id for row in chosen for doc in row.relevant[:_MOVES]}


def examples(
    report: EvaluationReport, rows: Sequence[QueryRow], documents: Documents
) -> list[tuple[str, list[Example]]]:
    """The biggest wins and losses under their headings; empty without a comparison."""
    return [
        (title, [_example(report.primary_measure, row, documents, at < _OPEN) for at, row in enumerate(chosen)])
        for title, chosen in _chosen(rows)
        if chosen
    ]


def _chosen(rows: Sequence[QueryRow]) -> list[tuple[str, list[QueryRow]]]:
    """The rows to show, the largest change first."""
    changed = sorted((row for row in rows if row.delta_primary), key=lambda row: -(row.delta_primary or 0.0))
    wins = [row for row in changed if (row.delta_primary or 0.0) > 0][:_EXAMPLES]
    losses = [row for row in reversed(changed) if (row.delta_primary or 0.0) < 0][:_EXAMPLES]
    return [("Biggest wins", wins), ("Biggest losses", losses)]


def _example(key: str, row: QueryRow, documents: Documents, opened: bool) -> Example:
    old_ranks = {doc.doc_id: doc.rank for doc in row.top_before}
    return Example(
        text=row.text,
        opened=opened,
        before=(row.before or {})[key],
        after=(row.after or {})[key],
        change=row.delta_primary or 0.0,
        moves=[_move(move, documents) for move in row.relevant[:_MOVES]],
        more=row.relevant_total - _MOVES,
        top_before=list(_ranked(row.top_before, None, row.text, documents)),
        top_after=list(_ranked(row.top_after, old_ranks, row.text, documents)),
    )


def _move(move: RelevantDoc, documents: Documents) -> Move:
    old, new = move.before, move.after
    kind = "same" if old == new else "gain" if old is None or (new is not None and new < old) else "loss"
    return Move(_title(move.doc_id, documents), kind, old, new)


def _ranked(
    docs: Sequence[TopDoc], old_ranks: Mapping[str, int] | None, query: str, documents: Documents
) -> Iterator[Ranked]:
    for doc in docs:
        document = documents.get(doc.doc_id)
        quote = None
        if document is not None and (doc.relevant or doc.rank <= _QUOTED):
            quote = quoted(document.text, query, _QUOTE_CHARS)
        yield Ranked(
            rank=doc.rank,
            doc_id=doc.doc_id,
            title=_title(doc.doc_id, documents),
            relevant=doc.relevant,
            mark=_grade(doc) + _movement(doc, old_ranks),
            score=f"{doc.score:#.3g}".replace("-", "−"),
            quote=quote,
            unjudged=doc.grade is None,
        )


def _grade(doc: TopDoc) -> str:
    return "?" if doc.grade is None else f"grade {doc.grade}" if doc.relevant else "not relevant"


def _title(doc_id: str, documents: Documents) -> str:
    """What a reader knows the document by."""
    document = documents.get(doc_id)
    title = (" ".join(document.title.split()) if document is not None else "") or doc_id
    return title if title == doc_id or len(title) <= _TITLE_CHARS else title[: _TITLE_CHARS - 1] + "…"


def _movement(doc: TopDoc, old_ranks: Mapping[str, int] | None) -> str:
    """Where an after document stood before, in its top 10; nothing for the before list."""
    if old_ranks is None:
        return ""
    old = old_ranks.get(doc.doc_id)
    if old is None:
        return " · from below 10"
    if old == doc.rank:
        return ""
    return f" · {'↑' if old > doc.rank else '↓'}{abs(old - doc.rank)}"
