"""Which two queries of a report to show: its biggest win, and a loss like most of its losses, if it has one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tribrid.answers.report import QueryRow, TopDoc


@dataclass(frozen=True, slots=True)
class Example:
    """A report's row and what it stands for."""

    title: str
    row: QueryRow


def choose(rows: Sequence[QueryRow]) -> list[Example]:
    """The biggest win and the median loss; where nothing was lost, the two biggest wins. Empty without a comparison."""
    changed = [(row.delta_primary, row) for row in rows if row.delta_primary]
    # Of equal changes the longer query says more.
    changed.sort(key=lambda found: (-found[0], -len(found[1].text), found[1].query_id))
    wins = [row for change, row in changed if change > 0]
    losses = [row for change, row in changed if change < 0]
    shown = [Example("The biggest win", row) for row in wins[:1]]
    if losses:
        return [*shown, Example("A typical loss", losses[len(losses) // 2])]
    return [*shown, *(Example("The next", row) for row in wins[1:2])]


def relevant_rank(ranking: Sequence[TopDoc]) -> int | None:
    """The rank of the first relevant document; None if it is not among those listed."""
    return next((doc.rank for doc in ranking if doc.relevant), None)
