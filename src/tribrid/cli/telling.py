"""A job's events in words: progress as a bar, what a person wants to read as lines above it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tribrid.cli.progress import Gauge
from tribrid.cli.terminal import seconds
from tribrid.types import Event


class Teller:
    """Tells a job's events: progress as the bar, what a person wants to read as lines above it."""

    def __init__(self, shown: Gauge) -> None:
        self._shown = shown

    def tell(self, event: Event) -> None:
        self.told(event.type, event.data)

    def told(self, kind: str, data: Mapping[str, Any]) -> None:
        if kind == "progress":
            self._shown.update(data)
        elif kind == "log" and data.get("level", "info") != "debug":
            self._shown.say(str(data.get("message", "")), "red" if data.get("level") == "error" else "dim")
        elif kind == "metrics" and "loss" in data:  # of every step: too many to keep
            self._shown.aside(f"loss {data['loss']:.3f}")
        elif kind == "metrics":
            self._shown.say(measured(data), "dim")
        elif kind == "state" and data.get("attempt", 1) > 1:
            self._shown.say(f"Taken up again after an interruption (attempt {data['attempt']}).", "yellow")


def measured(data: Mapping[str, Any]) -> str:
    """A metrics event on one line: `step 12 · dev ndcg@10 0.531 · took 38 s`."""
    return " · ".join(f"{name} {value}" for name, value in words(data).items())


def words(data: Mapping[str, Any]) -> dict[str, str]:
    """A record's scalars, durations as people say them; a record within it stands on one line."""
    shown: dict[str, str] = {}
    for name, value in data.items():
        if isinstance(value, Mapping):
            shown[_named(name)] = ", ".join(f"{part} {inner}" for part, inner in words(value).items())
        elif isinstance(value, (int, float)) and name.endswith("_s") and not isinstance(value, bool):
            shown[_named(name.removesuffix("_s"))] = seconds(value)
        elif isinstance(value, (int, float, str)):
            shown[_named(name)] = f"{value:.4g}" if isinstance(value, float) else str(value)
    return {name: value for name, value in shown.items() if value}


def _named(name: str) -> str:
    return name.replace("_", " ")
