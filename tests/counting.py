"""Work in calls rather than in seconds: as many on a busy machine as on an idle one."""

from __future__ import annotations

import cProfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def calls_of(work: Callable[[], T]) -> tuple[T, Counter[str]]:
    """What the work returns, and how often it called each function: by `module.name`, those written in C by repr."""
    profile = cProfile.Profile()
    result = profile.runcall(work)
    calls: Counter[str] = Counter()
    for entry in profile.getstats():
        code = entry.code
        calls[code if isinstance(code, str) else f"{Path(code.co_filename).stem}.{code.co_name}"] += entry.callcount
    return result, calls
