"""The report on a terminal: what it says of the model that won."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

import reports
from tribrid.cli.reports import verdict_view


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"promoted": True}, "serves from the next search on"),
        ({"promoted": True, "mode": "learning"}, "serves from the next search on"),
        ({"promoted": True, "mode": "cloud"}, "It is the champion; searches use mode cloud."),
        ({"promoted": False, "mode": "learning"}, None),
    ],
)
def test_it_is_not_said_to_serve_where_another_mode_does(changes: dict[str, Any], said: str | None) -> None:
    console = Console(width=200)
    with console.capture() as shown:
        console.print(verdict_view(reports.report(verdict={"decision": "promote", "reasons": ["better"]}, **changes)))
    assert "better" in shown.get()
    assert (said or "better") in shown.get()
    assert ("search" in shown.get()) == (said is not None)
