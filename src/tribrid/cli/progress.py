"""Progress on stderr: a live bar with rate and time left on a terminal, a line now and then in a log."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from tribrid.cli.terminal import one_line, seconds

LOG_EVERY_S = 10.0


class Gauge:
    """One piece of work's progress. `update` may be called as often as one likes."""

    def __init__(self, label: str, console: Console, live: Progress | None) -> None:
        self._label = label
        self._console = console
        self._live = live
        self._task: TaskID | None = live.add_task(label, total=None, detail="") if live else None
        self._next_line_at = time.monotonic() + LOG_EVERY_S
        self._last = ""
        self._aside = ""
        self._pace = _Pace()

    def update(self, data: Mapping[str, Any]) -> None:
        """Take a progress event: any of stage, done, total, unit, rate_per_s, eta_s. What it lacks is worked out."""
        done, total = data.get("done"), data.get("total")
        stage = str(data.get("stage") or data.get("source") or "").replace("_", " ")
        label = f"{self._label}: {stage}" if stage else self._label
        detail = ", ".join(part for part in (_detail(self._pace.known(stage, data)), self._aside) if part)
        if self._live is not None and self._task is not None:
            self._live.update(self._task, description=one_line(label, 60), completed=done, total=total, detail=detail)
            return
        line = f"{label} {detail}".rstrip()
        if time.monotonic() >= self._next_line_at and line != self._last:
            self._next_line_at = time.monotonic() + LOG_EVERY_S
            self._last = line
            self.say(line)

    def aside(self, text: str) -> None:
        """What to show beside the bar from now on."""
        self._aside = text
        if self._live is not None and self._task is not None:
            self._live.update(self._task, detail=text)

    def say(self, text: str, style: str = "") -> None:
        """A line above the bar."""
        self._console.print(Text(one_line(text, 2000), style=style), soft_wrap=True)


class _Pace:
    """Works out rate and time left of a stage that tells only how far it is."""

    def __init__(self) -> None:
        self._stage: str | None = None
        self._started = 0.0
        self._first = 0

    def known(self, stage: str, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """The event with `rate_per_s` and `eta_s`, as far as they can be told."""
        done, total = data.get("done"), data.get("total")
        if not isinstance(done, int) or not isinstance(total, int):
            return data
        if stage != self._stage or done < self._first:
            self._stage, self._started, self._first = stage, time.monotonic(), done
        passed_s = time.monotonic() - self._started
        if done <= self._first or passed_s <= 0:
            return data
        rate = (done - self._first) / passed_s
        return {"rate_per_s": rate, "eta_s": (total - done) / rate, **data}


@contextmanager
def gauge(console: Console, label: str) -> Iterator[Gauge]:
    """A gauge for the length of a `with` block; its bar goes away with it."""
    if not console.is_terminal:
        yield Gauge(label, console, None)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        TextColumn("{task.fields[detail]}", markup=False),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as live:
        yield Gauge(label, console, live)


def _detail(data: Mapping[str, Any]) -> str:
    """Count, rate and time left, as far as they are known."""
    rate, left = data.get("rate_per_s"), data.get("eta_s")
    parts = _counted(data)
    if isinstance(rate, (int, float)) and rate > 0:
        parts.append(f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.2g}/s")
    if isinstance(left, (int, float)) and data.get("done") != data.get("total"):
        parts.append(f"{seconds(left)} left")
    return ", ".join(parts)


def _counted(data: Mapping[str, Any]) -> list[str]:
    done, total = data.get("done"), data.get("total")
    unit = f" {data['unit']}" if "unit" in data else ""
    if isinstance(done, int) and isinstance(total, int) and total:
        return [f"{done:,} of {total:,}{unit}", f"{done / total:.0%}"]
    return [f"{done:,}{unit}"] if isinstance(done, int) else []
