"""Learning that one client cannot steer: votes by client, the floor of distinct clients, bots, and a corpus of one."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from tribrid.mining.clicks.labels import LogLabels, log_groups
from tribrid.mining.clicks.verdicts import FEW_WEIGHT
from tribrid.mining.clicks.voters import ACTS_PER_MINUTE, DAY_US, FEW_CLIENTS, LISTS_PER_MINUTE, survey
from tribrid.mining.labels import Group
from tribrid.types import Feedback, LoggedList, Signal, Source, Triplet

_numbers = itertools.count()
DOCS = [f"d{rank}" for rank in range(1, 51)]
HOUR_US = 3_600_000_000


def searched(
    client: str | None, query: str, *acts: tuple[str, str], docs: Sequence[str] = DOCS, **fields: Any
) -> LoggedList:
    """A search of an hour of its own, unless said otherwise."""
    number = next(_numbers)
    at_us = fields.get("created_us", (number + 1) * HOUR_US + 1)
    done = [Feedback(f"q{number}", Signal(signal), doc_id, None, at_us) for doc_id, signal in acts]
    made = LoggedList(f"q{number}", query, list(docs), range(1, len(docs) + 1), done, at_us, "search", client)
    return made._replace(**fields)


def crowd(query: str = "xbox live", people: int = 30) -> list[LoggedList]:
    """So many people with a search and a click each: two of three on the first document, the others on the second."""
    return [searched(f"person{n}", query, ("d1" if n % 3 else "d2", "click")) for n in range(people)]


def read(*lists: LoggedList, min_clients: int = 3) -> LogLabels:
    return log_groups(lists, examined_below_click=1, min_clients=min_clients)


def group_of(found: LogLabels, query: str = "xbox live") -> Group:
    return next(group for group in found.groups if group.query == query)


def good(found: LogLabels, query: str = "xbox live") -> dict[str, float]:
    return {positive.doc_id: positive.weight for positive in group_of(found, query).positives}


def mined(query: str, doc_id: str) -> Triplet:
    return Triplet(query, query, (doc_id, 0), ("other", 0), Source.LOGS, 1.0, "")


@pytest.mark.parametrize("signal", ["click", "copy", "cite", "thumbs_up"])
@pytest.mark.parametrize("times", [1, 3, 10, 40])
def test_what_one_client_does_for_a_popular_query_is_no_label(signal: str, times: int) -> None:
    attack = [searched("attacker", "xbox live", ("d40", signal)) for _ in range(times)]
    found = read(*crowd(), *attack)
    assert good(found).keys() == {"d1", "d2"}
    assert found.outnumbered == 1
    assert good(found) == pytest.approx(good(read(*crowd(), attack[0])))


@pytest.mark.parametrize("clients", [3, 5])
def test_a_few_clients_do_not_reach_what_many_agree_on(clients: int) -> None:
    attack = [searched(f"attacker{n}", "xbox live", ("d40", "click")) for n in range(clients)]
    assert good(read(*crowd(people=60), *attack)).keys() == {"d1", "d2"}


def test_another_spelling_or_order_of_a_query_is_the_same_query() -> None:
    spellings = ["Xbox  LIVE", "live xbox", "the xbox live", "xbox, live!", "XBOX live"]
    attack = [searched("attacker", text, ("d40", "click")) for text in spellings]
    found = read(*crowd(), *attack)
    assert all("d40" not in {positive.doc_id for positive in group.positives} for group in found.groups)


def test_queries_in_nearly_the_same_words_are_one_family() -> None:
    words = "red controller for the xbox live console wireless"
    lists = [*crowd(words), searched("attacker", f"{words} black", ("d40", "click"))]
    assert "d40" not in {positive.doc_id for group in read(*lists).groups for positive in group.positives}


def test_lists_of_nobody_count_as_one_client() -> None:
    attack = [searched(None, "xbox live", ("d40", "click")) for _ in range(40)]
    found = read(*crowd(), *attack)
    assert good(found).keys() == {"d1", "d2"}
    assert "40 acted-on lists without a client_id count as one" in found.clients([])["told"]
    assert found.clients([])["anonymous"] == 40


def test_where_nobody_agrees_a_label_counts_less_and_is_not_remembered() -> None:
    rare = searched("somebody", "left handed gamepad", ("d3", "click"))
    found, alone = read(*crowd(), rare), read(*crowd(), rare, min_clients=1)
    (label,) = group_of(found, "left handed gamepad").positives
    assert label.few
    assert label.evidence == f"few clients, impression:{rare.query_id}"
    assert label.weight == pytest.approx(FEW_WEIGHT * good(alone, "left handed gamepad")["d3"])
    assert not any(positive.few for positive in group_of(found).positives)


def test_a_label_of_few_is_remembered_if_others_agree_where_queries_are_alike() -> None:
    alike = [searched(f"player{n}", "left handed gamepad black", ("d3", "click")) for n in range(4)]
    rare = searched("somebody", "left handed gamepad", ("d3", "click"))

    def few(*lists: LoggedList) -> bool:
        found = read(*crowd(), *lists, rare)
        group = group_of(found, "left handed gamepad")
        (label,) = (positive for positive in group.positives if positive.doc_id == "d3")
        assert label.few
        return found.checked(group, label).few

    assert not few(*alike)
    assert few(*alike[:2]), "two others are too few"
    assert few(*alike[:2], searched("somebody", "left handed gamepad black", ("d3", "click"))), "it adds nothing itself"
    assert few(*[item._replace(query="right hand") for item in alike]), "another question"
    others = [searched(f"other{n}", "left handed gamepad black", ("d5", "click")) for n in range(30)]
    assert few(*alike, *others), "others agree on another document"


def test_one_use_where_few_look_says_little() -> None:
    def weight(doc_id: str, signal: str) -> float:
        rare = searched("somebody", "left handed gamepad", (doc_id, signal))
        return good(read(*crowd(), rare), "left handed gamepad")[doc_id]

    for signal in ("click", "thumbs_up"):
        assert weight("d40", signal) == pytest.approx(weight("d10", signal) / 16, rel=0.3)


@pytest.mark.parametrize("people", [1, 2, 3, 20])
def test_one_thumb_does_not_outrank_a_crowd(people: int) -> None:
    lists = [searched(f"person{n}", "halo", ("d1", "click"), docs=DOCS[:3]) for n in range(people)]
    others = [searched(f"other{n}", "fifa", ("d9", "click")) for n in range(30)]
    found = read(*others, *lists, searched("grumbler", "halo", ("d1", "thumbs_down")))
    labelled = {positive.doc_id for group in found.groups if group.query == "halo" for positive in group.positives}
    assert labelled == ({"d1"} if people >= 3 else set())


def test_silence_repeated_talks_nothing_down() -> None:
    silent = [searched("attacker", "xbox live") for _ in range(200)]
    assert good(read(*crowd(), *silent)) == pytest.approx(good(read(*crowd(), silent[0])))
    aimed = [searched("attacker", "xbox live", ("d49", "click")) for _ in range(200)]
    assert good(read(*crowd(), *aimed)) == pytest.approx(good(read(*crowd(), aimed[0])))


def test_a_query_given_up_again_and_again_is_given_up_once() -> None:
    def given_up(times: int) -> dict[str, float]:
        begun = 10 * DAY_US
        lists = []
        for turn in range(times):
            at = begun + turn * HOUR_US
            lists += [
                searched("attacker", "xbox live", created_us=at),
                searched("attacker", "xbox gold", created_us=at + 1),
            ]
        return good(read(*crowd(), *lists))

    assert given_up(30) == pytest.approx(given_up(1))


def test_the_last_word_of_a_client_holds_across_lists() -> None:
    first = searched("ann", "halo", ("d2", "thumbs_up"))
    found = read(first, searched("ann", "halo", ("d2", "thumbs_down")), searched("ann", "halo", ("d3", "click")))
    assert good(found, "halo").keys() == {"d3"}
    assert [known.doc_id for known in group_of(found, "halo").explicit] == ["d2"]


def test_repeats_within_seconds_are_one_also_without_a_client() -> None:
    def weight(gap_us: int) -> float:
        begun = 10 * DAY_US
        lists = [searched(None, "halo", ("d3", "click"), created_us=begun + 1 + turn * gap_us) for turn in range(3)]
        return good(read(*lists), "halo")["d3"]

    assert weight(1_000_000) < weight(HOUR_US)
    # A log that knows only days has all of a day at one time.
    assert weight(0) == weight(HOUR_US)


def test_the_floor_follows_how_many_clients_there_are() -> None:
    def needed(people: int, min_clients: int = 3) -> int:
        return survey(crowd(people=people), min_clients).needed

    assert [needed(n) for n in (0, 1, FEW_CLIENTS - 1, FEW_CLIENTS, 10, 15, 1000)] == [1, 1, 1, 2, 2, 3, 3]
    assert needed(1000, 1) == 1
    assert needed(1000, 20) == 20
    assert needed(40, 20) == 8


def test_a_corpus_of_one_is_learned_from_in_full_and_told_so() -> None:
    for client in ("ann", None):
        found = read(searched(client, "halo", ("d3", "click")))
        (label,) = found.groups[0].positives
        assert not label.few
        assert found.voters.needed == 1
    alone = read(searched("ann", "halo", ("d3", "click"))).clients([mined("halo", "d3")])
    assert "One client acted" in alone["told"]
    assert alone["heaviest_share"] == 1.0
    nobody = read(searched(None, "halo", ("d3", "click"))).clients([mined("halo", "d3")])
    assert "No list has a client_id" in nobody["told"]
    assert nobody["heaviest_share"] is None


def test_the_heaviest_client_s_share_is_that_of_what_clients_taught() -> None:
    found = read(
        searched("ann", "halo", ("d3", "click")),
        searched("bob", "halo", ("d3", "click")),
        searched("ann", "fifa", ("d1", "click")),
    )
    taught = [mined("halo", "d3"), mined("halo", "d3"), mined("fifa", "d1")]
    assert found.clients(taught)["heaviest_share"] == 1.5 / 2
    # However much else there is to learn from, one client has no less of what clients taught.
    others = [replace(mined(f"title {n}", "d3"), source=Source.HEURISTICS) for n in range(100)]
    assert found.clients([*taught, *others])["heaviest_share"] == 1.5 / 2
    assert found.clients(others)["heaviest_share"] is None


def bot(*lists: LoggedList) -> dict[str, int]:
    found = read(*crowd(), *lists)
    assert good(found).keys() == {"d1", "d2"}
    assert found.impressions == len(crowd()) + len(lists)
    return dict(found.clients([])["bots"])


def test_bots_are_known_by_rate_breadth_and_share_and_left_out() -> None:
    begun = 10 * DAY_US + 1
    fast = [searched("b", f"word{n}", created_us=begun + n) for n in range(LISTS_PER_MINUTE + 1)]
    assert bot(*fast) == {"too_fast": 1}
    acts = tuple((doc_id, "click") for doc_id in DOCS[:30])
    busy = [searched("b", f"word{n}", *acts, created_us=begun + n) for n in range(ACTS_PER_MINUTE // 30 + 1)]
    assert bot(*busy) == {"too_fast": 1}
    all_of_it = tuple((doc_id, "click") for doc_id in DOCS)
    assert bot(searched("b", "word", *all_of_it), searched("b", "other", *all_of_it)) == {"acts_on_everything": 1}
    assert bot(*[searched("b", f"word{n}", ("d5", "click")) for n in range(300)]) == {"share_of_all": 1}
    slow = [searched("b", f"word{n}", created_us=begun + n * 60_000_000) for n in range(LISTS_PER_MINUTE + 1)]
    assert bot(*slow) == {}
    days = [searched("b", f"word{n}", created_us=10 * DAY_US) for n in range(LISTS_PER_MINUTE + 1)]
    assert bot(*days) == {}


def test_a_bot_leaves_no_label_behind_and_a_lone_script_is_somebody_trying_things_out() -> None:
    begun = 10 * DAY_US + 1
    script = [searched("me", f"word{n}", ("d5", "click"), created_us=begun + n) for n in range(LISTS_PER_MINUTE + 1)]
    assert {group.query for group in read(*crowd(), *script).groups} == {"xbox live"}
    assert len(read(*script).groups) == len(script)
    assert read(*script).voters.bots == {}


def test_a_log_that_can_be_read_once_only_is_read_all_the_same() -> None:
    lists = [*crowd(), searched("attacker", "xbox live", ("d40", "click"))]
    once = log_groups(iter(lists), examined_below_click=1, min_clients=3)
    assert good(once) == good(read(*lists))
    named = log_groups(iter(lists), examined_below_click=1, min_clients=3, named=iter(lists))
    assert good(named) == good(once)
