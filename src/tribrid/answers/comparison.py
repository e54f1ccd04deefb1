"""Any number of systems measured on the same judged queries, each pair of them tested."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from tribrid.answers.answer import Answer
from tribrid.answers.changes import Delta, Interval, Means, SlicePart
from tribrid.errors import MissingExtra

Table = Literal["systems", "pairs", "slices", "queries"]


class ComparedSystem(Answer):
    """What one system's rankings are worth."""

    means: Means
    ci95: dict[str, Interval] = Field(description="95 % interval of each mean, by report key.")
    missing: int = Field(description="Queries for which it found nothing: they count as 0.")


class PairDelta(Answer):
    """One measure's change from a to b."""

    measure: str = Field(description="Report key.")
    a: str
    b: str
    delta: Delta = Field(description="b - a; `p_holm` is corrected for all pairs in all measures of quality.")


class PairSlice(SlicePart):
    """The primary measure's change from a to b (before, after) on some of the queries."""

    a: str
    b: str


class QueryValues(Answer):
    """What each system's ranking of one query is worth."""

    query_id: str
    text: str
    values: dict[str, Means] = Field(description="By system.")


class SystemComparison(Answer):
    """See the module. Systems are in the order in which they were given."""

    primary_measure: str = Field(description="Report key of the first measure asked for that says how good it is.")
    measures: tuple[str, ...]
    queries: int = Field(description="With a relevant document: what every mean is of.")
    excluded: int = Field(description="Without one: no measure has a value for them.")
    systems: dict[str, ComparedSystem]
    pairs: tuple[PairDelta, ...]
    slices: tuple[PairSlice, ...]
    notes: tuple[str, ...] = Field(description="What may mislead.")
    rows: tuple[QueryValues, ...]

    def pair(self, a: str, b: str, measure: str | None = None) -> Delta:
        """The change from a to b in a measure (report key; default: the primary one).

        Raises:
            KeyError: there is no such system or measure.
        """
        key = measure or self.primary_measure
        for found in self.pairs:
            if found.measure == key and {found.a, found.b} == {a, b}:
                return found.delta if found.a == a else _reversed(found.delta)
        raise KeyError(f"{a!r} and {b!r} were not compared in {key!r}: {list(self.systems)} in {list(self.measures)}")

    def records(self, of: Table = "systems") -> list[dict[str, Any]]:
        """One of the tables as plain rows: the systems' means, the pairs' changes, those on slices, or every query's
        values of every system.
        """
        tables = {"systems": self._systems, "pairs": self._pairs, "slices": self._slices, "queries": self._queries}
        return tables[of]()

    def _systems(self) -> list[dict[str, Any]]:
        return [{"system": name, **system.means} for name, system in self.systems.items()]

    def _pairs(self) -> list[dict[str, Any]]:
        return [{"measure": p.measure, "a": p.a, "b": p.b, **_change(p.delta)} for p in self.pairs]

    def _slices(self) -> list[dict[str, Any]]:
        told = ("slice", "queries", "a", "b", "before", "after")
        return [{name: getattr(part, name) for name in told} | _change(part.delta) for part in self.slices]

    def _queries(self) -> list[dict[str, Any]]:
        return [
            {"query_id": row.query_id, "system": name, **values, "text": row.text}
            for row in self.rows
            for name, values in row.values.items()
        ]

    def to_frame(self, of: Table = "systems") -> Any:
        """`records` as a pandas.DataFrame.

        Raises:
            MissingExtra: pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise MissingExtra("pandas", "notebooks", "A table as a DataFrame") from error
        return pandas.DataFrame.from_records(self.records(of))

    def __str__(self) -> str:
        key = self.primary_measure
        lines = [f"{key} on {self.queries:,} queries"]
        for name, system in self.systems.items():
            low, high = system.ci95[key]
            lines.append(f"  {name}: {system.means[key]:.3f} [{low:.3f}, {high:.3f}]")
        for found in self.pairs:
            if found.measure == key:
                low, high = found.delta.ci95
                lines.append(
                    f"  {found.b} - {found.a}: {found.delta.mean:+.3f} [{low:+.3f}, {high:+.3f}], p {found.delta.p:.4f}"
                )
        return "\n".join([*lines, *(f"  Note: {note}" for note in self.notes)])


def _change(delta: Delta | None) -> dict[str, Any]:
    if delta is None:
        return {}
    low, high = delta.ci95
    told = {"change": delta.mean, "low": low, "high": high, "p_value": delta.p_value, "p_holm": delta.p_holm}
    return {**told, "wins": delta.wins, "losses": delta.losses, "ties": delta.ties}


def _reversed(delta: Delta) -> Delta:
    """The change the other way round."""
    turned = {name: (-getattr(delta, name)[1], -getattr(delta, name)[0]) for name in ("ci95", "ci")}
    return delta.model_copy(
        update={"mean": -delta.mean, "wins": delta.losses, "losses": delta.wins, **turned},
    )
