"""What this machine can give a training: memory that is free, and the time that is left."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tribrid.types import Emit

MIB = 1024 * 1024
_CGROUP = Path("/sys/fs/cgroup")
_FALLBACK_MIB = 2048
READING_SHARE = 0.4
"""Of the time budget, what reading the queries' candidates may take; what is not read by then is not learned from."""


def free_mib(
    meminfo: Path = Path("/proc/meminfo"), cgroup: Path = _CGROUP, own: Path = Path("/proc/self/cgroup")
) -> int:
    """Memory that can be had without swapping, MiB, within the limits of the container or the service, if any.

    Args:
        own: says in which control group this process is.
    """
    free = _meminfo_mib(meminfo)
    for group in _groups(cgroup, own):
        limit, used = _number(group / "memory.max"), _number(group / "memory.current")
        if limit is not None and used is not None:
            # Files that were read count as used, and are given up for whoever needs the room.
            free = min(free, max(0, limit - used + _reclaimable(group / "memory.stat")) // MIB)
    return free


def _groups(root: Path, own: Path) -> list[Path]:
    """The control groups whose limits hold for this process: its own and those around it, up to the root."""
    try:
        named = next((line[3:] for line in own.read_text("utf-8").splitlines() if line.startswith("0::")), "/")
    except OSError:
        named = "/"
    inner = root / named.strip("/")
    return [inner, *(folder for folder in inner.parents if folder.is_relative_to(root))]


def _reclaimable(stat: Path) -> int:
    try:
        lines = dict(line.split() for line in stat.read_text("ascii").splitlines())
    except (OSError, ValueError):
        return 0
    return int(lines.get("inactive_file", 0))


def _meminfo_mib(meminfo: Path) -> int:
    if meminfo.is_file():
        for line in meminfo.read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) // 1024
    try:  # no Linux: half of what is installed is taken to be free
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // MIB // 2
    except (OSError, ValueError):
        return _FALLBACK_MIB


def _number(path: Path) -> int | None:
    """A control group's figure; None where there is no such file, or no limit in it ("max")."""
    try:
        text = path.read_text("ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None


class Pace:
    """How fast a training goes and what time it has. All figures are seconds."""

    def __init__(self, budget_s: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        """Starts counting.

        Args:
            budget_s: the longest that may pass; None: no limit.
            clock: seconds, from any start.
        """
        self._budget_s, self._clock = budget_s, clock
        self._before_s, self._started = 0.0, clock()
        self.step_s = 0.0
        self.evaluation_s = 0.0
        self.reserve_s = 0.0
        self._steps = 0

    def resume(self, spent_s: float, evaluation_s: float) -> None:
        """Count what an interrupted attempt had spent, too."""
        self._before_s = spent_s
        self.evaluation_s = evaluation_s

    @property
    def spent_s(self) -> float:
        return self._before_s + self._clock() - self._started

    def took_step(self, seconds: float) -> None:
        """Note a step; the mean is over all, and a probe counts as one."""
        self._steps += 1
        self.step_s += (seconds - self.step_s) / self._steps

    def left_s(self, steps: int, evaluations: int) -> float:
        """What so many steps and evaluations will take."""
        return steps * self.step_s + evaluations * self.evaluation_s

    def allows(self, seconds: float) -> bool:
        """Whether so many seconds more are within the budget, with `reserve_s` left for what comes afterwards."""
        return self._budget_s is None or self.spent_s + seconds + self.reserve_s <= self._budget_s

    @property
    def left_budget_s(self) -> float:
        """What is left of the budget; infinite where there is none."""
        return math.inf if self._budget_s is None else self._budget_s - self.spent_s - self.reserve_s

    def within(self, share: float) -> bool:
        """Whether at most this share of the budget, 0..1, is spent."""
        return self._budget_s is None or self.spent_s <= share * self._budget_s


@dataclass(frozen=True, slots=True)
class Run:
    """What one training works with besides its data.

    Attributes:
        folder: keeps the checkpoint.
        emit: takes its events.
        cancelled: whether it is to stop.
        pace: its clock.
        kills: how often its process was killed before; each time it goes on in half the memory.
    """

    folder: Path
    emit: Emit
    cancelled: Callable[[], bool]
    pace: Pace
    kills: int = 0
