"""The click model, on logs of simulated users of whom everything is known."""

from __future__ import annotations

import numpy as np
import pytest

from tribrid.mining.clicks.labels import log_groups
from tribrid.mining.clicks.model import ClickModel, Counts, fit, harvest, prior_examination
from tribrid.types import Feedback, LoggedList, Signal

RANKS = 8
# Not the prior: flatter at the top, steeper below.
CURVE = np.array([1.0, 0.8, 0.6, 0.35, 0.25, 0.15, 0.1, 0.05])


def simulated(
    queries: int, times: int, *, rankings: int, curve: np.ndarray = CURVE, good: float = 0.7, other: float = 0.07
) -> tuple[list[LoggedList], dict[str, str]]:
    """Lists of position-based users, and the one good document of each query, which stands high more often than not.

    Every query is answered `times` times by each of `rankings` rankings.
    """
    rng = np.random.default_rng(5)
    lists: list[LoggedList] = []
    answers: dict[str, str] = {}
    for query in range(queries):
        docs = [f"{query}.{n}" for n in range(RANKS)]
        answers[f"query {query}"] = docs[0]
        for _ in range(rankings):
            order = sorted(docs, key=lambda doc: rng.normal(-2.0 if doc == docs[0] else 0.0, 1.5))
            for _ in range(times):
                chance = curve * [good if doc == docs[0] else other for doc in order]
                clicked = [doc for doc, use in zip(order, rng.random(RANKS) < chance, strict=True) if use]
                query_id = f"i{len(lists)}"
                done = [Feedback(query_id, Signal.CLICK, doc, None, len(lists)) for doc in clicked]
                lists.append(LoggedList(query_id, f"query {query}", order, range(1, RANKS + 1), done))
    return lists, answers


def learned(lists: list[LoggedList]) -> ClickModel:
    return log_groups(lists, examined_below_click=1).model


def test_examination_and_attraction_are_recovered_from_several_rankings() -> None:
    model = learned(simulated(300, 8, rankings=4)[0])
    assert model.examination[:RANKS] == pytest.approx(CURVE, abs=0.08)
    assert (model.good, model.other) == pytest.approx((0.7, 0.07), abs=0.1)
    assert model.harvested > 1000


def test_without_a_second_ranking_the_model_stays_near_its_prior_and_still_tells_the_kinds_apart() -> None:
    model = learned(simulated(150, 8, rankings=1, curve=prior_examination(RANKS))[0])
    assert model.harvested == 0
    assert model.examination[:RANKS] == pytest.approx(prior_examination(RANKS), abs=0.1)
    assert (model.good, model.other) == pytest.approx((0.7, 0.07), abs=0.1)


def test_ranks_are_compared_on_the_same_documents() -> None:
    """Good documents at the top and bad ones below would make any curve look steep: harvesting must not see that."""
    lists = simulated(600, 6, rankings=3)[0]
    pairs: dict[tuple[str, str], int] = {}
    cells: dict[tuple[int, int], list[int]] = {}
    for logged in lists:
        clicked = {item.doc_id for item in logged.feedback}
        for rank, doc_id in zip(logged.ranks, logged.doc_ids, strict=True):
            pair = pairs.setdefault((logged.query, doc_id), len(pairs))
            cell = cells.setdefault((pair, rank), [0, 0])
            cell[0] += 1
            cell[1] += doc_id in clicked
    keys = sorted(cells)
    shown, used = (np.array([cells[key][column] for key in keys], dtype=float) for column in (0, 1))
    counts = Counts(np.array([pair for pair, _ in keys]), np.array([rank for _, rank in keys]), shown, used)
    curve, clicks = harvest(counts, RANKS)
    assert curve == pytest.approx(CURVE, abs=0.1)
    assert 0 < clicks <= used.sum()


def test_nothing_to_learn_from_is_the_prior() -> None:
    empty = np.empty(0, np.int64)
    model = fit(Counts(empty, empty, np.empty(0), np.empty(0)))
    assert model.examined(np.array([1, 5])).tolist() == [1.0, 1.0]
    few = learned(simulated(1, 1, rankings=1)[0])
    assert few.examination == pytest.approx(prior_examination(RANKS), abs=0.05)


def test_clicks_of_two_thousand_noisy_sessions_make_better_labels_than_clicked_or_not() -> None:
    """One click in ten is a mistake; naive labels take all of them, and what stands first unclicked, at their word."""
    lists, answers = simulated(500, 4, rankings=1, curve=prior_examination(RANKS), good=1.0, other=0.1)
    clicked = {(shown.query, item.doc_id) for shown in lists for item in shown.feedback}
    naive = [doc_id == answers[query] for query, doc_id in clicked]
    labels = log_groups(lists, examined_below_click=1)
    weights = np.array([(p.weight, p.doc_id == answers[g.query]) for g in labels.groups for p in g.positives])
    right = weights[weights[:, 1] == 1, 0].sum()
    assert np.mean(naive) < 0.55
    assert right / weights[:, 0].sum() > 0.8
    assert right > 0.75 * sum(naive)
    # A weight is the chance of being right.
    for low, high in ((0.05, 0.35), (0.35, 0.75), (0.95, 1.01)):
        band = weights[(weights[:, 0] >= low) & (weights[:, 0] < high)]
        assert low - 0.1 < band[:, 1].mean() < high + 0.1
    worse = [
        (known.weight, known.doc_id == answers[g.query])
        for g in labels.groups
        for p in g.positives
        for known in g.known_negatives(p)
    ]
    assert sum(weight for weight, good in worse if good) < 0.02 * sum(weight for weight, _ in worse)


def test_the_same_log_gives_the_same_labels() -> None:
    lists = simulated(40, 3, rankings=2)[0]
    first, again = (log_groups(iter(lists), examined_below_click=1) for _ in range(2))
    assert [(g.query, g.positives, [g.known_negatives(p) for p in g.positives]) for g in first.groups] == [
        (g.query, g.positives, [g.known_negatives(p) for p in g.positives]) for g in again.groups
    ]
