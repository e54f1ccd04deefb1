"""Two training runs side by side: what differs, and what of it may be compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import TypeGuard

from pydantic import JsonValue

from tribrid.answers.difference import RunDifference, ValueDifference
from tribrid.types import State

Json = Mapping[str, JsonValue]

_CAUSES = ("params", "config", "data", "base", "encoder", "retrieval", "reranking", "versions")
"""What a run's metrics follow from."""
_STANDS = {State.FAILED: "failed", State.CANCELLED: "was cancelled"}


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What is known of a training run. `problem`: why it failed; `known`: what `_CAUSES` names, and `metrics`;
    `events`: the data of its metrics events, in order.
    """

    run_id: str
    corpus_id: str
    state: State
    problem: str | None
    known: Json
    events: Sequence[Json]


def run_difference(a: RunFacts, b: RunFacts) -> RunDifference:
    """What differs between two runs."""
    sides = [_flat(_compared(run)) for run in (a, b)]
    names = sorted(sides[0].keys() | sides[1].keys(), key=_place)
    pairs = {name: (sides[0].get(name), sides[1].get(name)) for name in names}
    differences = {name: _side_by_side(*pair) for name, pair in pairs.items() if pair[0] != pair[1]}
    notes = tuple(_notes(a, b, set(differences)))
    return RunDifference(a=a.run_id, b=b.run_id, differences=differences, notes=notes)


def _compared(run: RunFacts) -> Json:
    return {"corpus_id": run.corpus_id, "state": run.state.value, **run.known, "events": _last_values(run.events)}


def _last_values(events: Iterable[Json]) -> dict[str, JsonValue]:
    """The last value of each number told while training. What a stage told at its end is in the metrics."""
    found: dict[str, JsonValue] = {}
    for data in events:
        if "stage" not in data:
            found.update({name: value for name, value in data.items() if _is_number(value)})
    return found


def _side_by_side(a: JsonValue, b: JsonValue) -> ValueDifference:
    return ValueDifference(a=a, b=b, change=b - a if _is_number(a) and _is_number(b) else None)


def _is_number(value: JsonValue) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _place(name: str) -> tuple[int, str]:
    """Causes before what came of them; metrics last but for the events."""
    order = ("corpus_id", "state", *_CAUSES, "metrics", "events")
    section = name.partition(".")[0]
    return (order.index(section) if section in order else len(order), name)


def _notes(a: RunFacts, b: RunFacts, differences: Set[str]) -> Iterator[str]:
    for run in (a, b):
        if run.state is not State.SUCCEEDED:
            stands = _STANDS.get(run.state, "has not ended")
            yield f"{run.run_id} {stands}, so it has no metrics. {run.problem or ''}".strip()
    if "corpus_id" in differences:
        yield "They are of two corpora."
    if "data.sha256" in differences:
        yield (
            "They learned from different triplets, and their held-out queries come from these: their metrics are not "
            "of the same queries. Compare evaluations of the two models on one eval dataset instead."
        )
    causes = {name for name in differences if name.partition(".")[0] in _CAUSES}
    if causes and causes <= {"params.seed", "config.seed"}:
        yield "Only the seed differs, so whatever differs in the metrics is chance."


def _flat(tree: JsonValue | Json, prefix: str = "") -> dict[str, JsonValue]:
    """Values by dotted name; null and empty records are left out."""
    if not isinstance(tree, Mapping):
        return {} if tree is None else {prefix: tree}
    out: dict[str, JsonValue] = {}
    for name, value in tree.items():
        out |= _flat(value, f"{prefix}.{name}" if prefix else str(name))
    return out
