"""Cron expressions of settings: when they are due, in UTC, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from tribrid.config import check_overrides
from tribrid.config.cron import last_due, next_due
from tribrid.errors import InvalidInput

MONDAY = datetime(2026, 11, 30, 18, 40, 30, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "before", "after"),
    [
        ("0 3 * * 1", "2026-11-30T03:00", "2026-12-07T03:00"),
        ("40 18 * * *", "2026-11-30T18:40", "2026-12-01T18:40"),
        ("*/15 * * * *", "2026-11-30T18:30", "2026-11-30T18:45"),
        ("0 0 29 2 *", "2024-02-29T00:00", "2028-02-29T00:00"),
        ("30 4 1,15 * fri", "2026-11-27T04:30", "2026-12-01T04:30"),
    ],
)
def test_when_it_is_due(expression: str, before: str, after: str) -> None:
    last, following = (datetime.fromisoformat(f"{at}+00:00") for at in (before, after))
    assert last_due(expression, MONDAY) == last
    assert next_due(expression, MONDAY) == following
    east = MONDAY.astimezone(timezone(timedelta(hours=9)))
    assert last_due(expression, east) == last, "whatever zone the clock has"


def test_a_time_that_is_now_is_due() -> None:
    assert last_due("40 18 * * *", MONDAY.replace(second=0, microsecond=0)) == MONDAY.replace(second=0, microsecond=0)


@pytest.mark.parametrize(
    "expression",
    ["", "* * * *", "0 0 3 * * *", "60 * * * *", "0 0 30 2 *", "soon", "0 3 * * 8", "@daily", "0 0 31 2,4 *"],
)
def test_what_is_no_expression_is_refused_in_words(expression: str) -> None:
    with pytest.raises(InvalidInput, match=r"^evaluation\.schedule: .* is no cron expression: .*, as in '0 3 \* \* 1'"):
        check_overrides({"evaluation": {"schedule": expression}})


def test_one_that_is_taken_is_kept_in_one_spelling() -> None:
    assert check_overrides({"evaluation": {"schedule": " 0  3 * *\t1 "}})["evaluation"]["schedule"] == "0 3 * * 1"
