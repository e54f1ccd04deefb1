"""A/B by client: who sees what, what a search is worth, and that equals are hardly ever called different."""

from __future__ import annotations

import random

from tribrid.evaluation.ab import outcome, side, worth
from tribrid.evaluation.sequential import decided
from tribrid.types import Feedback, Signal, Team


def did(signal: Signal, doc_id: str | None, value: float | None = None) -> Feedback:
    return Feedback("q", signal, doc_id, value, 1)


def test_a_client_sees_the_same_side_always_and_half_of_them_each() -> None:
    names = [f"client {number}" for number in range(2000)]
    one, other = ([side(experiment, name) for name in names] for experiment in ("e1", "e2"))
    assert one == [side("e1", name) for name in names]
    for sides in (one, other):
        assert 900 < sides.count("challenger") < 1100
    assert 900 < sum(a == b for a, b in zip(one, other, strict=True)) < 1100, "another experiment, other coins"
    assert side("e1", "\ud800") in ("champion", "challenger"), "whatever a name is made of"


def test_a_search_is_worth_the_place_of_the_best_document_used() -> None:
    shown = ["a", "b", "c", "d"]
    assert worth(shown, []) == 0
    assert worth(shown, [did(Signal.CLICK, "c"), did(Signal.CLICK, "b")]) == 1 / 2
    assert worth(shown, [did(Signal.CLICK, "a"), did(Signal.DWELL, "a", 2.0)]) == 1 / 2
    assert worth(shown, [did(Signal.CLICK, "a"), did(Signal.THUMBS_DOWN, "a"), did(Signal.COPY, "d")]) == 1 / 4
    assert worth(shown, [did(Signal.THUMBS_DOWN, "a"), did(Signal.THUMBS_UP, None)]) == 0


def test_an_outcome_is_by_the_mean_of_those_before() -> None:
    sides: tuple[Team, Team] = ("challenger", "champion")
    assert [outcome(1.0, 0.0, 0, saw) for saw in sides] == [1, -1]
    assert [outcome(0.4, 1.0, 2, saw) for saw in sides] == [-1, 1]
    assert [outcome(0.5, 1.5, 3, saw) for saw in sides] == [0, 0]


def test_equals_are_called_different_in_few_experiments_however_often_one_looks() -> None:
    """Clients differ much, those who use most come first, and a look follows every one of them."""
    errors, experiments = 0, 300
    for number in range(experiments):
        coins, worths, wins, losses = random.Random(number), 0.0, 0, 0
        for client in range(150):
            uses = coins.betavariate(0.5, 0.5) * (1 - client / 200)
            found = coins.choice((1.0, 0.5, 0.2)) if coins.random() < uses else 0.0
            said = outcome(found, worths, client, side(f"e{number}", f"c{client}"))
            wins, losses, worths = wins + (said > 0), losses + (said < 0), worths + found
            clients = [(1, 0)] * wins + [(0, 1)] * losses
            if decided(wins, losses, clients, 0.05, 20) is not None:
                errors += 1
                break
    assert errors / experiments <= 0.05
