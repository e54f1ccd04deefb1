"""What a score means: numbers that can be checked by hand, and what is said where judgments are few."""

from __future__ import annotations

import numpy as np
import pytest

from tribrid.evaluation.calibration import calibrate
from tribrid.types import JudgedQuery, ScoredDoc

Scored = dict[str, dict[str, float]]


def run_of(scored: Scored) -> dict[str, list[ScoredDoc]]:
    return {query_id: [ScoredDoc(*pair) for pair in docs.items()] for query_id, docs in scored.items()}


def judged(grades: dict[str, dict[str, int]]) -> list[JudgedQuery]:
    return [JudgedQuery(query_id, query_id, found) for query_id, found in grades.items()]


def simulated(queries: int, seed: int, *, clustered: bool = False) -> tuple[Scored, list[JudgedQuery]]:
    """20 documents a query, all judged, relevant with probability 1/(1 + exp(-score))."""
    generator = np.random.default_rng(seed)
    scored: Scored = {}
    grades: dict[str, dict[str, int]] = {}
    for at in range(queries):
        scores = generator.normal(-1, 2, size=20)
        if clustered:
            scores[:] = scores[0]
        chance = 1 / (1 + np.exp(-scores))
        hit = np.full(20, generator.random() < chance[0]) if clustered else generator.random(20) < chance
        scores = scores + generator.normal(0, 1e-6, size=20)
        scored[f"q{at}"] = {f"d{n}": float(score) for n, score in enumerate(scores)}
        grades[f"q{at}"] = {f"d{n}": int(one) for n, one in enumerate(hit)} | {"elsewhere": 1}
    return scored, judged(grades)


def test_shares_precision_and_recall_by_hand() -> None:
    scored = {"a": {"x": 3.0, "y": 2.0, "z": 0.0}, "b": {"x": 2.5, "y": 1.0, "z": -1.0}}
    queries = judged({"a": {"x": 1, "y": 0}, "b": {"y": 2, "elsewhere": 1, "z": 0}})
    found = calibrate("x", run_of(scored), [*queries, JudgedQuery("c", "no positive", {"x": 0})], threshold=2.0)
    assert found is not None
    assert {
        name: getattr(found, name) for name in ("queries", "pairs", "judged", "relevant", "relevant_not_candidates")
    } == {
        "queries": 2,
        "pairs": 6,
        "judged": 4,
        "relevant": 2,
        "relevant_not_candidates": 1,
    }
    chosen = found.chosen
    # Kept: 3.0 (relevant), 2.5 (unjudged), 2.0 (judged not relevant). Three documents are relevant in all.
    assert (chosen.by, chosen.held_out, chosen.threshold) == ("setting", False, 2.0)
    assert chosen.precision == pytest.approx(1 / 3)
    assert chosen.precision_of_judged == pytest.approx(1 / 2)
    assert chosen.recall == pytest.approx(1 / 3)
    assert chosen.kept_per_query == 1.5
    assert chosen.queries_with_none == 0
    # In a the relevant one is first (1.0); in b it is second of three (0.5). Of all 8 pairs of kinds 6 are right.
    assert found.order.within_queries == pytest.approx(0.75)
    assert found.order.across_queries == pytest.approx(6 / 8)
    assert found.bins == (found.bins[0],)
    assert found.bins[0].share == pytest.approx(2 / 6)
    assert [entry.threshold for entry in found.thresholds] == [1.0, 3.0]


def test_the_shares_are_those_that_the_scores_were_drawn_with() -> None:
    scored, queries = simulated(400, 5)
    found = calibrate("x", run_of(scored), queries)
    assert found is not None
    assert len(found.bins) > 5
    assert sum(entry.pairs for entry in found.bins) == found.pairs == 8000
    assert sum(entry.relevant for entry in found.bins) == found.relevant
    for low in found.bins:
        inside = [score for of in scored.values() for score in of.values() if low.low <= score <= low.high]
        expected = float(np.mean(1 / (1 + np.exp(-np.array(inside)))))
        # One of nine intervals may miss by chance; none may miss by much.
        assert low.ci95 is not None
        assert low.ci95[0] - 0.03 < expected < low.ci95[1] + 0.03
        assert low.share_of_judged == low.share
    assert found.notes == ()


def test_pairs_of_one_query_are_not_independent() -> None:
    """2,000 pairs in 100 queries whose documents are relevant together are worth 100, not 2,000."""
    scored, queries = simulated(100, 6, clustered=True)
    found = calibrate("x", run_of(scored), queries, threshold=-100.0)
    assert found is not None
    precision = found.chosen.precision
    assert precision is not None
    assert found.chosen.precision_ci95 is not None
    low, high = found.chosen.precision_ci95
    alone = 1.96 * np.sqrt(precision * (1 - precision) / 100)
    assert high - low == pytest.approx(2 * alone, rel=0.1)


def test_a_share_of_nothing_is_not_certain() -> None:
    scored = {f"q{at}": {"good": 1.0, **{f"bad{n}": -float(n) for n in range(40)}} for at in range(30)}
    found = calibrate("x", run_of(scored), judged({query_id: {"good": 1} for query_id in scored}))
    assert found is not None
    last = found.bins[-1]
    assert last.share == 0
    assert last.ci95 is not None
    assert 0.05 < last.ci95[1] < 0.2
    assert "lower bound" in found.notes[0]
    assert last.share_of_judged is None, "where only relevant ones were judged, 100 % would say nothing"


def test_the_threshold_is_measured_on_queries_that_did_not_choose_it() -> None:
    """Without any signal the best threshold of one half is luck, which the other half does not share."""
    generator = np.random.default_rng(8)
    scored = {f"q{at}": {f"d{n}": float(generator.random()) for n in range(5)} for at in range(60)}
    queries = judged({query_id: {"d0": 1} for query_id in scored})
    found = calibrate("x", run_of(scored), queries)
    assert found is not None
    chosen = found.chosen
    assert (chosen.by, chosen.held_out) == ("best F1", True)
    flattered = calibrate("x", run_of(scored), queries, threshold=chosen.threshold)
    assert flattered is not None
    assert chosen.precision is not None
    assert flattered.chosen.precision is not None
    assert chosen.precision < flattered.chosen.precision

    def f1(threshold: float) -> float:
        kept = [(query_id, doc) for query_id, of in scored.items() for doc, score in of.items() if score >= threshold]
        return 2 * sum(doc == "d0" for _, doc in kept) / (len(kept) + len(queries))

    best = max((score for of in scored.values() for score in of.values()), key=f1)
    assert f1(chosen.threshold) == pytest.approx(f1(best))


def test_scores_that_only_order_within_a_query_are_called_that() -> None:
    """Each query has an offset of its own: perfect lists, and no threshold for all."""
    generator = np.random.default_rng(9)
    offsets = generator.normal(0, 20, size=50)
    scored = {f"q{at}": {"good": offset + 1.0, "bad": offset} for at, offset in enumerate(offsets.tolist())}
    found = calibrate("x", run_of(scored), judged({query_id: {"good": 1, "bad": 0} for query_id in scored}))
    assert found is not None
    assert found.order.within_queries == 1
    assert found.order.across_queries is not None
    assert found.order.across_queries < 0.6
    assert any("one threshold for all queries" in note for note in found.notes)


@pytest.mark.parametrize(
    "scored", [{}, {"a": {"y": 1.0}}, {"a": {"x": 1.0, "y": 1.0}}], ids=["no run", "no relevant", "one score"]
)
def test_where_nothing_can_be_read_there_is_nothing(scored: Scored) -> None:
    assert calibrate("x", run_of(scored), judged({"a": {"x": 1, "y": 0}})) is None
