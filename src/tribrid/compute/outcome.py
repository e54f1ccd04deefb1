"""What came of a shard, wherever it was done."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from tribrid.errors import TribridError

Work = Callable[[Any], Any]


class Outcome(NamedTuple):
    """A result, or a problem."""

    result: Any
    problem: Mapping[str, object] | None


def outcome(work: Work, shard: object) -> Outcome:
    """Do a shard."""
    try:
        return Outcome(work(shard), None)
    except TribridError as error:
        return Outcome(None, error.problem())
    except Exception as error:  # noqa: BLE001 - the edge of the process: whatever it was, somebody waits for an answer
        traceback.print_exc()
        return Outcome(None, TribridError(f"Unexpected: {type(error).__name__}: {str(error)[:500]}").problem())
