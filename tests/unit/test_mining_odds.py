"""How likely each document is good, which queries have evidence enough, and what no training may read."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from minable import Corpus, numbered
from tribrid.errors import NotEnoughEvidence
from tribrid.mining.clicks.odds import QueryOdds, log_odds
from tribrid.mining.from_logs import FEWEST_QUERIES, choose, query_id_of
from tribrid.mining.holdout import HeldOut, measured_with
from tribrid.types import Feedback, LoggedList, Signal

DAY_US = 86_400_000_000
DOCS = [f"d{n}" for n in range(8)]
CLIENTS = ("ann", "ben", "cat", "dan", "eve", "fay")


def listed(query: str, client: str | None, *clicked: str, at_us: int = DAY_US, source: str = "search") -> LoggedList:
    name = f"{query} {client} {at_us} {clicked}"
    acts = [Feedback(name, Signal.CLICK, doc_id, None, at_us) for doc_id in clicked]
    return LoggedList(name, query, DOCS, range(1, len(DOCS) + 1), acts, at_us, source, client)  # type: ignore[arg-type]


def odds(lists: Iterable[LoggedList], query: str) -> QueryOdds:
    found = log_odds(list(lists), examined_below_click=1, min_clients=3)
    return next(one for one in found.queries if one.text == query)


def minutes(number: int) -> int:
    return DAY_US + 60_000_000 * number


def test_what_many_use_is_likely_and_what_all_pass_over_is_not() -> None:
    found = odds((listed("soup", f"c{n}", "d2", at_us=minutes(n)) for n in range(20)), "soup")
    assert found.clients == 20
    assert found.good["d2"] > 0.9 > 0.2 > found.good["d0"]
    assert found.log_odds["d2"] > 0 > found.log_odds["d0"]
    assert found.good.keys() == found.log_odds.keys() == set(DOCS)
    # Few look that far down: silence there says less than silence at the top.
    assert found.log_odds["d0"] < found.log_odds["d7"] <= 0


def test_clients_are_counted_and_not_their_clicks() -> None:
    once = [listed("soup", client, "d3", at_us=minutes(n)) for n, client in enumerate(CLIENTS)]
    again = [listed("soup", "ann", "d3", at_us=minutes(100 + n)) for n in range(30)]
    assert odds(once, "soup") == odds([*once, *again], "soup")
    assert odds(once, "soup").clients == len(CLIENTS)


def test_bots_are_left_out() -> None:
    people = [listed("soup", client, "d3", at_us=minutes(n)) for n, client in enumerate(CLIENTS)]
    bot = [listed("soup", "bot", *DOCS, at_us=minutes(200 + n)) for n in range(20)]
    found = log_odds([*people, *bot], examined_below_click=1, min_clients=3)
    assert (found.clients, found.bot_lists) == (len(CLIENTS), 20)
    assert found.queries[0].good["d0"] < 0.5


def test_a_list_that_nobody_recorded_says_nothing_of_what_was_not_clicked() -> None:
    found = odds(
        (listed("soup", c, "d3", at_us=minutes(n), source="reconstructed") for n, c in enumerate(CLIENTS)), "soup"
    )
    assert found.good.keys() == {"d3"}
    assert found.log_odds == {}


def test_without_clients_uses_are_counted() -> None:
    assert odds((listed("soup", None, "d3", at_us=minutes(n)) for n in range(4)), "soup").clients == 4


def searches(queries: int, clients: Iterable[str] = CLIENTS) -> list[LoggedList]:
    return [
        listed(f"word{at} thing{at}", client, "d1", at_us=minutes(at * 10 + n))
        for at in range(queries)
        for n, client in enumerate(clients)
    ]


def test_queries_with_evidence_enough_are_taken_once() -> None:
    lists = [*searches(FEWEST_QUERIES), *[listed("thing0 word0", "ann", "d1", at_us=minutes(9000))]]
    chosen = choose(log_odds(lists, examined_below_click=1, min_clients=3), DOCS[:4], 14)
    assert len(chosen.queries) == FEWEST_QUERIES
    query = next(query for query in chosen.queries if query.text == "word1 thing1")
    assert query.query_id == query_id_of("Word1  thing1")
    assert query.judgments == {"d0": 0, "d1": 1, "d2": 0, "d3": 0}  # the corpus holds no other
    assert chosen.good[query.query_id]["d1"] > 0.5
    assert chosen.log_odds.keys() == chosen.good.keys() == {query.query_id for query in chosen.queries}


def test_too_little_evidence_says_how_much_more_is_needed() -> None:
    lists = [*searches(10), *[listed("rare", "ann", "d1", at_us=minutes(9000))]]
    with pytest.raises(NotEnoughEvidence, match=r"10 queries .* so 20 are missing. 1 more .* some 42 days") as raised:
        choose(log_odds(lists, examined_below_click=1, min_clients=3), DOCS, 14)
    assert raised.value.facts["missing"] == FEWEST_QUERIES - 10
    assert raised.value.facts["days_needed"] == 42
    with pytest.raises(NotEnoughEvidence, match="client_id and feedback"):
        choose(log_odds([], examined_below_click=1, min_clients=3), DOCS, 14)


def test_who_came_back_is_dealt_and_who_is_new_is_measured_with() -> None:
    names = [f"client{n}" for n in range(200)]
    assert all(measured_with(name, earlier=False) for name in names)
    assert 70 < sum(measured_with(name, earlier=True) for name in names) < 130


def test_mining_reads_neither_the_span_nor_the_clients_that_are_measured_with() -> None:
    texts = numbered(20, "soup")
    lists = [
        LoggedList(f"{query}{client}{at_us}", query, list(texts)[:5], range(1, 6), [], at_us, "search", client)
        for at_us, clients in ((DAY_US, ("ann", "ben")), (9 * DAY_US, ("ann", "cat")))
        for client in clients
        for query in ("own3", "own4")
    ]
    lists = [one._replace(feedback=[Feedback(one.query_id, Signal.CLICK, "d03", None, 1)]) for one in lists]
    held = HeldOut(8 * DAY_US, 10 * DAY_US, frozenset({"ann"}))
    mined = Corpus(texts).mine(impressions=lists, named=lists, held_out=held)
    assert mined.counts["impressions"] == 2  # ben's, from before the span
    assert mined.counts["held_out"] == {"since_us": 8 * DAY_US, "until_us": 10 * DAY_US}
    assert Corpus(texts).mine(impressions=lists, named=lists).counts["impressions"] == 8


def test_what_one_client_clicks_is_no_measure() -> None:
    def log(clients: int) -> list[LoggedList]:
        at = [(f"word{n} thing{n}", f"c{n % clients}", minutes(30 * n)) for n in range(FEWEST_QUERIES + 5)]
        return [listed(query, client, "d1", at_us=when) for query, client, when in at]

    with pytest.raises(NotEnoughEvidence, match="of 4 known clients were acted on, 5 clients are needed"):
        choose(log_odds(log(4), examined_below_click=1, min_clients=1), DOCS, 14)
    assert len(choose(log_odds(log(5), examined_below_click=1, min_clients=1), DOCS, 14).queries) > FEWEST_QUERIES
