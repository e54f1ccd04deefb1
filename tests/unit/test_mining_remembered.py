"""Labels past the budget of pairs: remembered, each once, and nothing more."""

from __future__ import annotations

import pytest

from minable import Corpus, numbered, pairs_of, session
from tribrid.mining.mine import Mined
from tribrid.mining.remembered import ELSEWHERE
from tribrid.types import JudgedQuery, Source, Triplet

CORPUS = Corpus(numbered(40, "green tea"))
JUDGED = [JudgedQuery(str(n), f"own{n:02} green tea", {f"d{n:02}": 1}) for n in range(10)]


def past_the_budget(mined: Mined) -> list[Triplet]:
    return [triplet for triplet in mined.triplets if triplet.remembered]


def test_what_finds_no_room_is_remembered() -> None:
    mined = CORPUS.mine(judged=JUDGED, config={"max_pairs": 4})
    remembered = past_the_budget(mined)
    assert mined.counts["pairs"] == 4
    assert mined.counts["remembered"] == len(remembered) == 6
    assert mined.counts["triplets"] == len(mined.triplets) - 6
    assert {(t.query_id, t.positive) for t in remembered} == {(str(n), (f"d{n:02}", 0)) for n in range(4, 10)}
    assert all(t.source is Source.JUDGMENTS and t.reason == f"judged 1; {ELSEWHERE}" for t in remembered)
    assert all(t.negative != t.positive for t in remembered)


def test_it_costs_no_retrieval() -> None:
    corpus = Corpus(numbered(40, "green tea"))
    corpus.mine(judged=JUDGED, config={"max_pairs": 4})
    assert {query for query in corpus.retrieved if query in {own.text for own in JUDGED[4:]}} == set()


def test_nothing_is_remembered_where_there_is_room() -> None:
    mined = CORPUS.mine(judged=JUDGED)
    assert (mined.counts["remembered"], past_the_budget(mined)) == (0, [])


@pytest.mark.parametrize(("most", "found"), [(0, 0), (2, 2), (100, 6)])
def test_no_more_is_remembered_than_is_wanted(most: int, found: int) -> None:
    mined = CORPUS.mine(judged=JUDGED, config={"max_pairs": 4, "max_remembered": most})
    assert mined.counts["remembered"] == found


def test_the_same_labels_are_remembered_alike() -> None:
    one, other = (CORPUS.mine(judged=JUDGED, config={"max_pairs": 4}) for _ in range(2))
    assert one.triplets == other.triplets


def test_a_second_positive_past_the_budget_belongs_to_its_query() -> None:
    judged = [JudgedQuery("1", "green tea own1", {"d01": 2, "d02": 1}), JudgedQuery("2", "green tea own9", {"d09": 1})]
    mined = CORPUS.mine(judged=judged, config={"max_pairs": 2})
    (left,) = past_the_budget(mined)
    assert (left.query_id, left.positive[0]) == ("1", "d02")
    assert left.negative[0] != "d01"


def test_what_was_judged_bad_is_the_negative() -> None:
    judged = [*JUDGED[:1], JudgedQuery("x", "green tea own7", {"d07": 1, "d08": 0})]
    (left,) = past_the_budget(CORPUS.mine(judged=judged, config={"max_pairs": 1}))
    assert (left.positive[0], left.negative[0]) == ("d07", "d08")


def test_neither_the_eval_datasets_queries_nor_what_is_disputed_is_remembered() -> None:
    logged = [session(JUDGED[7].text, ["d30", "d07"], ("d07", "rating", 1.0), ("d30", "rating", 5.0))]
    mined = CORPUS.mine(
        judged=JUDGED,
        impressions=logged,
        eval_queries=[JUDGED[9].text],
        config={"max_pairs": 1},
    )
    positives = {(query, positive) for query, positive, _ in pairs_of(mined)}
    assert (JUDGED[9].text, "d09") not in positives
    assert (JUDGED[7].text, "d07") not in positives
    assert (JUDGED[6].text, "d06") in positives


def test_only_sources_that_are_mined_are_remembered() -> None:
    logged = [session(f"own{n:02} green tea", [f"d{n:02}", "d30"], (f"d{n:02}", "click")) for n in range(20, 25)]
    mined = CORPUS.mine(judged=JUDGED, impressions=logged, sources=[Source.LOGS], config={"max_pairs": 2})
    assert {triplet.source for triplet in mined.triplets} == {Source.LOGS}
    assert mined.counts["remembered"] == 3


def test_what_too_few_clients_found_good_is_not_remembered() -> None:
    agreed = [session("own20 green tea", ["d20"], ("d20", "click"))._replace(client_id=f"person{n}") for n in range(9)]
    lone = [
        session(f"own{n} green tea", [f"d{n}"], (f"d{n}", "click"))._replace(client_id=f"one{n}") for n in range(21, 25)
    ]
    mined = CORPUS.mine(judged=JUDGED[:1], impressions=[*agreed, *lone], config={"max_pairs": 1})
    taken = {t.positive[0] for t in mined.triplets if not t.remembered}
    assert {t.positive[0] for t in past_the_budget(mined)} == {"d20", "d00"} - taken
    assert mined.counts["rejected"]["too_few_clients"] == len({"d21", "d22", "d23", "d24"} - taken)
    assert mined.counts["clients"]["needed"] == 2
    off = CORPUS.mine(impressions=[*agreed, *lone], config={"max_pairs": 1, "min_clients": 1})
    assert len(past_the_budget(off)) == 4


def test_a_lone_label_has_nothing_to_stand_beside() -> None:
    alone = Corpus({"a": "green tea"})
    assert alone.mine(judged=[JudgedQuery("1", "green", {"a": 1})], config={"max_pairs": 1}).triplets == []
