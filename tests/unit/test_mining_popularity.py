"""How much documents are used: by clients, the latest counting most, and never by what a query did for itself."""

from __future__ import annotations

import pytest

from tribrid.mining.clicks.popularity import Popularity, count
from tribrid.mining.clicks.voters import DAY_US
from tribrid.types import Feedback, ImpressionSource, LoggedList, Signal

SHOWN = ("a", "b", "c", "d")


def search(
    query: str,
    client: str | None,
    used: str | None,
    day: float = 0,
    source: ImpressionSource = "search",
    signal: Signal = Signal.CLICK,
) -> LoggedList:
    at_us = int((1000 + day) * DAY_US) + 7
    feedback = [Feedback(f"{query}-{client}-{day}", signal, used, None, at_us)] if used else []
    return LoggedList(f"{query}-{client}-{day}", query, SHOWN, range(1, 5), feedback, at_us, source, client)


def counted(lists: list[LoggedList], half_life_days: float = 1000) -> Popularity:
    named = [logged for logged in lists if logged.client_id]
    return count(lists, named, min_clients=3, examined_below_click=1, half_life_days=half_life_days)


CROWD = [search(f"query {n}", f"client {n}", "b", n / 100) for n in range(20)]


def test_a_client_counts_once_however_often_it_clicks_and_too_few_count_nothing() -> None:
    loud = [search(f"again {n}", "loud", "c", n / 10) for n in range(50)]
    found = counted([*CROWD, *loud])
    tally = found.tally(SHOWN)
    assert tally.used[1] == pytest.approx(20, rel=0.01)
    assert tally.used[[0, 2, 3]].tolist() == [0, 0, 0]
    assert sorted(found.clicks.counts) == ["a", "b", "c"]  # the others of these were looked at
    assert found.clicks.columns(["b"])["clicks_used"] > found.clicks.columns(["c"])["clicks_used"]


def test_what_stood_above_or_next_below_was_looked_at_and_the_rate_tells() -> None:
    tally = counted(CROWD).tally(SHOWN)
    assert tally.looked.tolist() == pytest.approx([20, 20, 20, 0], rel=0.01)
    assert tally.tried.tolist() == pytest.approx([0, 20, 0, 0], rel=0.01)
    rate = tally.columns(1 / 3)["clicks_rate"]
    assert rate[1] > rate[3] > rate[0] == rate[2]


def test_older_uses_count_less() -> None:
    old = [search(f"old {n}", f"old client {n}", "a", -60) for n in range(20)]
    tally = counted([*old, *CROWD], half_life_days=30).tally(SHOWN)
    assert tally.used[0] == pytest.approx(tally.used[1] / 4, rel=0.01)


def test_a_query_is_not_told_what_was_done_for_itself() -> None:
    others = [search("Kettles", f"client {n}", "c", 0.5) for n in range(10)]
    found = counted([*CROWD, *others])
    assert found.tally(["c"]).used[0] == pytest.approx(10, rel=0.01)
    assert found.tally(["c"], ["kettles"]).used[0] == 0
    assert found.tally(["b"], ["kettles", "never asked"]).used[0] == pytest.approx(20, rel=0.01)
    assert "kettles" in found.queries


def test_a_list_that_was_made_up_says_what_was_used_and_not_what_was_looked_at() -> None:
    tally = counted([search(f"q {n}", f"c {n}", "b", 0, "reconstructed") for n in range(9)]).tally(SHOWN)
    assert tally.used[1] == pytest.approx(9)
    assert not tally.tried.any()
    assert not tally.looked.any()


def test_bots_and_bad_ratings_do_not_count_and_few_clients_do_where_there_are_no_more() -> None:
    bot = [search(f"bot {n}", "bot", "d", n / 1e6) for n in range(100)]
    hated = [search(f"hated {n}", f"client {n}", "a", 0.5, signal=Signal.THUMBS_DOWN) for n in range(10)]
    tally = counted([*CROWD, *bot, *hated]).tally(SHOWN)
    assert tally.used[[0, 3]].tolist() == [0, 0]
    alone = counted([search("one", None, "a"), search("two", None, "a")]).tally(SHOWN)
    assert alone.used[0] == pytest.approx(2)
    assert counted([]).clicks.counts == {}
