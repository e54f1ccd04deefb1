"""What one user's acts with one document say, once for mining and for experiments on live searches."""

from __future__ import annotations

import itertools

import pytest

from tribrid.evaluation.interleaving import credit
from tribrid.mining.clicks.evidence import evidence
from tribrid.mining.clicks.feedback import SATISFIED_DWELL_S, opinion
from tribrid.types import Feedback, LoggedList, Signal

LONG, SHORT = SATISFIED_DWELL_S, SATISFIED_DWELL_S - 1


def act(signal: Signal, value: float | None = None, at_us: int = 0) -> Feedback:
    return Feedback("q", signal, "a", value, at_us)


ACTS = [
    act(Signal.CLICK),
    act(Signal.DWELL, SHORT),
    act(Signal.DWELL, LONG),
    act(Signal.COPY),
    act(Signal.CITE),
    act(Signal.THUMBS_UP, at_us=2),
    act(Signal.THUMBS_DOWN, at_us=1),
    *(act(Signal.RATING, value, at_us=3) for value in (1, 2, 3, 4, 5)),
]


def test_mining_and_experiments_read_the_same() -> None:
    for acts in (*itertools.permutations(ACTS, 1), *itertools.permutations(ACTS, 3)):
        mined = evidence(LoggedList("q", "words", ["a"], range(1, 2), list(acts))).opinions["a"]
        credited = credit(["a"], ["challenger"], acts).challenger
        assert (mined.strength > 0, mined.strength < 0) == (credited > 0, credited < 0), acts
        assert credited == opinion(acts).use, acts


@pytest.mark.parametrize(
    ("acts", "use"),
    [
        ([act(Signal.CLICK)], 1),
        ([act(Signal.CLICK), act(Signal.DWELL, SHORT)], 0.5),
        ([act(Signal.CLICK), act(Signal.DWELL, SHORT), act(Signal.DWELL, LONG)], 1),
        ([act(Signal.DWELL, SHORT)], 0),
        ([act(Signal.DWELL)], 0),
        ([act(Signal.DWELL, LONG), act(Signal.CITE)], 1),
        ([act(Signal.RATING, 4)], 1),
        ([act(Signal.RATING, 3), act(Signal.CLICK)], 0),
        ([act(Signal.RATING, 2), act(Signal.CLICK)], -1),
        # The last word holds, in whatever order the rows come.
        ([act(Signal.THUMBS_UP, at_us=2), act(Signal.THUMBS_DOWN, at_us=1)], 1),
        ([act(Signal.THUMBS_DOWN, at_us=1), act(Signal.THUMBS_UP, at_us=2)], 1),
    ],
)
def test_what_a_document_was_worth(acts: list[Feedback], use: float) -> None:
    assert opinion(acts).use == use
