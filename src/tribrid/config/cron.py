"""When a cron expression is due: five fields (minute, hour, day of month, month, day of week), read in UTC.

Cron's own rules, as Debian's: lists, ranges, steps and names; where day of month and day of week are both restricted,
either will do.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

_FIELDS = 5
_SOME_DAY = datetime(2024, 1, 1, tzinfo=UTC)  # any


def _checked(expression: str) -> str:
    """The expression with single blanks.

    Raises:
        PydanticCustomError: it is none, or no time is ever due.
    """
    fields = expression.split()
    try:
        if len(fields) != _FIELDS:
            raise CronSimError(f"it has {len(fields)} fields")
        next_due(" ".join(fields), _SOME_DAY)
    except (CronSimError, StopIteration) as error:
        why = str(error) or "no time is ever due"
        raise PydanticCustomError(
            "cron",
            "{expression} is no cron expression: {why}. Five fields are: minute, hour, day of month, month, day of "
            "week, as in '0 3 * * 1', Mondays at 03:00 UTC.",
            {"expression": repr(expression[:100]), "why": why[:1].lower() + why[1:]},
        ) from None
    return " ".join(fields)


CronExpression = Annotated[str, AfterValidator(_checked)]
"""Of a setting."""


def last_due(expression: str, at: datetime) -> datetime:
    """The last time at or before this one at which an expression is due.

    Args:
        expression: one that was checked.
        at: with its time zone.
    """
    minute = at.astimezone(UTC).replace(second=0, microsecond=0)
    return next(CronSim(expression, minute + timedelta(minutes=1), reverse=True))


def next_due(expression: str, at: datetime) -> datetime:
    """The first time after this one at which it is due."""
    return next(CronSim(expression, at.astimezone(UTC)))
