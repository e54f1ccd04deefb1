"""On whom a rise rests: which labels are taken for few clients', and which logs cannot say."""

from __future__ import annotations

import pytest

from tribrid.evaluation.risers import Label, against_crowd, few_behind, rising, stands_on, too_few


def label(cluster: str, likeness: float, *clients: str) -> Label:
    return Label(cluster, likeness, frozenset(clients))


def test_what_rises_was_not_among_the_first_ten() -> None:
    before = [f"d{n}" for n in range(20)]
    assert rising(before, ["d15", "d3", "d12", *before]) == ["d15", "d12"]
    assert rising(before, [*before[:10], "d15"]) == [], "the eleventh has not risen"


def test_a_label_of_fewer_clients_is_theirs() -> None:
    few = few_behind([label("same", 1.0, "eve"), label("other", 0.5, "ann", "bob")], 2)
    assert (few.clusters, few.clients) == (frozenset({"same"}), frozenset({"eve"}))
    assert few_behind([label("same", 1.0, "ann", "bob")], 2).clusters == set(), "two agree"
    assert few_behind([label("same", 1.0, "ann", "bob")], 3).clusters == {"same"}
    assert few_behind([label("same", 1.0, "eve")], 1).clusters == set(), "anybody may"


def test_few_clients_are_few_however_many_queries_they_ask() -> None:
    spelled = [label(f"q{n}", 1 - n / 10, "eve") for n in range(5)]
    assert few_behind(spelled, 2).clusters == {f"q{n}" for n in range(5)}


def test_many_clients_with_a_query_each_are_many() -> None:
    """What the likest say is taken away, and the others go on saying it."""
    few = few_behind([label(f"q{n}", 1 - n / 10, f"user {n}") for n in range(5)], 3)
    assert (few.clusters, few.clients) == (frozenset({"q0", "q1"}), frozenset({"user 0", "user 1"}))


def test_what_judges_said_and_what_is_not_known_is_nobody_s_in_particular() -> None:
    assert few_behind([Label("judged", 1.0, None), Label("gone", 1.0, frozenset())], 5).clusters == set()


def test_a_log_of_few_or_of_nameless_clients_cannot_say() -> None:
    assert too_few(10, 0, 100) is None
    assert too_few(10, 50, 100) is None
    assert too_few(1, 0, 100) == (
        "Does not apply: the log has 1 client with a client_id, and few cannot be told from all before there are 10."
    )
    assert "51 of the 100 lists that were used name no client_id" in str(too_few(10, 51, 100))


def test_few_against_a_crowd_are_named_whatever_the_weights_made_of_it() -> None:
    crowd = frozenset(("ann", "bob", "cid"))
    eve = frozenset(("eve",))
    assert against_crowd("bad", {"bad": eve, "good": crowd}, 2) == eve
    assert against_crowd("good", {"bad": eve, "good": crowd}, 2) == frozenset()
    assert against_crowd("bad", {"bad": eve, "good": frozenset(("ann", "bob"))}, 2) == frozenset(), "no crowd yet"
    assert against_crowd("bad", {"bad": None, "good": crowd}, 2) == frozenset(), "a judge said so"
    assert against_crowd("bad", {"good": crowd}, 2) == frozenset(), "nobody was believed"


@pytest.mark.parametrize(("without", "named"), [(None, False), (11, False), (12, False), (13, True), (40, True)])
def test_what_is_nearly_there_by_itself_stands_on_nobody(without: int | None, named: bool) -> None:
    assert stands_on(without) is named
