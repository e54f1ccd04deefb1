"""One list out of two rankings: fair to both, the same for the same search, and credit for what was used."""

from __future__ import annotations

import random
from collections import Counter
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tribrid.evaluation.interleaving import credit, outcome_of_day, team_draft
from tribrid.evaluation.sequential import verdict
from tribrid.types import Feedback, Signal, Team

DOCUMENTS = "abcdefghij"
TEAMS: list[Team] = ["champion", "challenger", "both", "challenger"]
SHOWN = ["a", "b", "c", "d"]


def done(doc_id: str | None, signal: Signal = Signal.CLICK, value: float | None = None, at_us: int = 0) -> Feedback:
    return Feedback("q", signal, doc_id, value, at_us)


@settings(max_examples=60)
@given(st.permutations("abcdefgh"), st.permutations("abcdefgh"), st.integers(0, 10), st.text(max_size=5))
def test_a_draft_shows_the_best_of_both(a: list[str], b: list[str], length: int, seed: str) -> None:
    draft = team_draft(a, b, length, seed)
    shown, teams = draft.doc_ids, draft.teams
    assert draft == team_draft(a, b, length, seed)
    assert len(shown) == len(set(shown)) == len(teams) == min(length, 8)
    # Whatever one ranking holds to be better than a document it had drafted stands above it.
    for ranking, team in ((a, "champion"), (b, "challenger")):
        own = [doc_id for doc_id, whose in zip(shown, teams, strict=True) if whose in (team, "both")]
        for doc_id in own:
            assert set(ranking[: ranking.index(doc_id)]) <= set(shown[: shown.index(doc_id)])
    picked = Counter(teams)
    assert abs(picked["champion"] - picked["challenger"]) <= 1


def test_rankings_that_agree_have_no_teams() -> None:
    assert team_draft("abcd", "abcd", 3, "q").teams == ["both"] * 3
    assert team_draft("abcd", "abdc", 3, "q").teams[:2] == ["both"] * 2
    assert team_draft("abc", "", 3, "q").doc_ids == ["a", "b", "c"]
    assert team_draft("", "", 3, "q").doc_ids == []


def test_another_search_has_other_coins() -> None:
    firsts = Counter(team_draft("ab", "ba", 2, f"query {number}").teams[0] for number in range(2000))
    assert abs(firsts["champion"] - 1000) < 100


@pytest.mark.parametrize("user", [(0, 1), (0, 4), (3, 5), (0, 2, 3)], ids=str)
def test_whatever_users_do_equal_rankings_win_equally_often(user: tuple[int, ...]) -> None:
    """Users who click by place alone: half of what is decided is the challenger's, for any two rankings."""
    for a, b in list(permutations(["abcdef", "bacdfe", "fedcba", "cbafed"], 2))[:6]:
        outcomes = Counter(
            credit(draft.doc_ids, draft.teams, [done(draft.doc_ids[place]) for place in user]).outcome
            for draft in (team_draft(a, b, 6, f"{number}") for number in range(1000))
        )
        decided = outcomes[1] + outcomes[-1]
        assert abs(outcomes[1] - decided / 2) <= 2.6 * (decided / 4) ** 0.5 + 1


@pytest.mark.parametrize(
    ("feedback", "champion", "challenger"),
    [
        ([], 0, 0),
        ([done("a")], 1, 0),
        ([done("a"), done("a"), done("b"), done("d")], 1, 2),
        ([done("c"), done(None), done("a", Signal.DWELL, 100)], 1, 0),
        ([done("a"), done("a", Signal.DWELL, 3.0), done("b")], 0.5, 1),
        ([done("a"), done("a", Signal.DWELL, 3.0), done("a", Signal.COPY)], 1, 0),
        ([done("a", Signal.DWELL, 3.0)], 0, 0),
        ([done("b"), done("b", Signal.THUMBS_DOWN), done("d", Signal.RATING, 5)], 0, 0),
        ([done("b", Signal.THUMBS_DOWN), done("b", Signal.THUMBS_UP), done("d", Signal.RATING, 3), done("d")], 0, 1),
        ([done("a", Signal.RATING, 1), done("b", Signal.CITE)], -1, 1),
    ],
)
def test_credit(feedback: list[Feedback], champion: float, challenger: float) -> None:
    found = credit(SHOWN, TEAMS, feedback)
    assert (found.champion, found.challenger) == (champion, challenger)
    assert found.outcome == (challenger > champion) - (challenger < champion)


def experiment(seed: str, better: bool, most: int) -> tuple[str | None, int]:
    """How an experiment on simulated users ends, asked after every impression, and after how many.

    One document of ten is good; users look at rank k with a chance of 1 / k, and click half of what is good and a tenth
    of the rest. The challenger has the good one near the top, the champion anywhere; or both have it anywhere.
    """
    rng, wins, losses = random.Random(seed), 0, 0
    for number in range(1, most + 1):
        good, anywhere, challenger = rng.choice(DOCUMENTS), rng.sample(DOCUMENTS, 10), rng.sample(DOCUMENTS, 10)
        if better:
            challenger = sorted(challenger, key=lambda name, good=good: (name != good) + rng.random() * 3)  # type: ignore[misc]
        draft = team_draft(anywhere, challenger, 6, f"{seed} {number}")
        clicks = [
            done(doc_id)
            for rank, doc_id in enumerate(draft.doc_ids, 1)
            if rng.random() < (0.5 if doc_id == good else 0.1) / rank
        ]
        outcome = credit(draft.doc_ids, draft.teams, clicks).outcome
        wins, losses = wins + (outcome > 0), losses + (outcome < 0)
        found = verdict(wins, losses, 0.05) if outcome else None
        if found is not None:
            return found, number
    return None, most


def test_on_simulated_users_the_better_one_is_found_and_equals_are_not_told_apart() -> None:
    equal = [experiment(f"equal {number}", False, 400)[0] for number in range(100)]
    assert sum(found is not None for found in equal) <= 5
    unequal = [experiment(f"better {number}", True, 2000) for number in range(20)]
    assert {found for found, _ in unequal} == {"challenger_better"}
    assert sum(number for _, number in unequal) / len(unequal) < 600


@pytest.mark.parametrize(
    ("searches", "counted"),
    [([0, 0, 1, -1, -1], [0, 1]), ([1] * 13, [1]), ([-1, 1, 1], [-1]), ([0, 0, 0], [0])],
)
def test_of_a_clients_day_the_first_search_that_tells_the_two_apart_counts(
    searches: list[int], counted: list[int]
) -> None:
    day: int | None = None
    added = []
    for outcome in searches:
        came_to = outcome_of_day(day, outcome)
        if came_to is not None:
            day = came_to
            added.append(came_to)
    assert added == counted
