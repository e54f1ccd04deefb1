"""What differs between two runs or two evaluations, as tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from tribrid.cli.reports import change_style, probability
from tribrid.cli.terminal import facts, indented, one_line, table
from tribrid.corpus.jsonlines import text_fault
from tribrid.errors import InvalidInput

if TYPE_CHECKING:
    from tribrid.answers.difference import Common, ComparedReport, EvaluationDifference, QueryDifference, RunDifference

_DIFF = "diff"
_WIDTH = 60
_MOVERS = 10


def two_to_compare(asked: Sequence[str], command: str) -> tuple[str, str] | None:
    """The two ids of `diff A B`; None where something else is asked, at most one id.

    Raises:
        InvalidInput: it is neither, or an id is not valid text.
    """
    for given in asked:
        if fault := text_fault(given):
            raise InvalidInput(f"An id {fault}.")
    if asked and asked[0] == _DIFF:
        if len(asked) != 3:
            raise InvalidInput(f"Name the two to compare: tribrid {command} diff A B.")
        return asked[1], asked[2]
    if len(asked) > 1:
        raise InvalidInput(f"Name one, or compare two: tribrid {command} diff A B.")
    return None


def run_difference(found: RunDifference) -> Iterator[RenderableType]:
    """The answer of `run_diff`."""
    rows = [
        [name, _shown(of.a), _shown(of.b), "" if of.change is None else f"{of.change:+.4g}"]
        for name, of in found.differences.items()
    ]
    yield table(["", found.a, found.b, ("Change", "right")], rows) if rows else "They do not differ."
    yield from _notes(found.notes)
    if all(found.evaluations.values()) and found.a != found.b:
        both = " ".join(map(str, found.evaluations.values()))
        yield Text(f"Their evaluations query by query: tribrid evaluations diff {both}", style="dim")


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return one_line("" if value is None else value, _WIDTH)


def evaluation_difference(found: EvaluationDifference) -> Iterator[RenderableType]:
    """The answer of `evaluation_diff`: measures, then the queries that moved most."""
    yield facts({"a": _about(found.a), "b": _about(found.b), "Queries": _common(found.common)})
    yield Text()
    yield _measures(found)
    yield from _notes(found.notes)
    movers = [row for row in found.queries if row.delta_primary][:_MOVERS]
    if movers:
        key = found.primary_measure
        yield Text()
        yield table(
            ["Query", ("a", "right"), ("b", "right"), (f"Change of {key}", "right")],
            [_mover(row, key) for row in movers],
        )


def _about(side: ComparedReport) -> str:
    model = f", model {side.model_id}" if side.model_id else ""
    return f"{side.evaluation_id}: {side.system}{model}, eval dataset {side.eval_dataset.sha256[:12]}"


def _common(common: Common) -> str:
    left_out = {
        "judged differently": common.judged_differently,
        "only in a": common.only_a,
        "only in b": common.only_b,
    }
    rest = ", ".join(f"{count:,} {why}" for why, count in left_out.items() if count)
    return f"{common.queries:,} compared" + (f"; left out: {rest}" if rest else "")


def _measures(found: EvaluationDifference) -> Table:
    made = table(
        [
            "Measure",
            ("a", "right"),
            ("b", "right"),
            ("Change", "right"),
            ("95 % interval", "right"),
            ("p (Holm)", "right"),
            ("Better/worse/same", "right"),
        ],
        [],
    )
    for key, entry in sorted(found.measures.items(), key=lambda item: item[0] != found.primary_measure):
        delta = entry.delta
        low, high = delta.ci95
        made.add_row(
            Text(key, style="bold" if key == found.primary_measure else ""),
            Text(f"{entry.a:.3f}"),
            Text(f"{entry.b:.3f}", style="bold"),
            Text(f"{delta.mean:+.3f}", style=change_style(delta)),
            Text(f"[{low:+.3f}, {high:+.3f}]"),
            Text(probability(delta)),
            Text(f"{delta.wins}/{delta.losses}/{delta.ties}"),
        )
    return made


def _mover(row: QueryDifference, key: str) -> list[object]:
    change = row.delta_primary
    style = "green" if change > 0 else "red"
    return [one_line(row.text, 80), f"{row.a[key]:.3f}", f"{row.b[key]:.3f}", Text(f"{change:+.3f}", style)]


def _notes(notes: Iterable[str]) -> Iterator[RenderableType]:
    yield from (indented(f"Note: {note}", "dim") for note in notes)
