"""What is found wrong with an eval dataset, and how small a change it is said to show."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tribrid.answers.readiness import Soundness
from tribrid.evaluation.comparison import sign_flip_p
from tribrid.evaluation.soundness import Facts, check
from tribrid.types import JudgedQuery


def facts(queries: list[JudgedQuery], **changes: Any) -> Facts:
    judged = {doc_id for query in queries for doc_id in query.judgments}
    defaults: dict[str, Any] = {
        "clusters": [query.query_id for query in queries],
        "known": judged,
        "measure": "nDCG@10",
        "effect": 0.05,
        "spread": 0.2,
        "basis": "assumed",
    }
    return Facts(queries=queries, **(defaults | changes))


def judged(count: int) -> list[JudgedQuery]:
    return [JudgedQuery(f"q{at:03}", f"text {at}", {f"d{at}": 1}) for at in range(count)]


def codes(found: Soundness) -> dict[str, str]:
    return {problem.code: problem.severity for problem in found.problems}


def test_a_sound_dataset_has_no_problem() -> None:
    found = check(facts(judged(200)))
    assert (found.ok, found.problems) == (True, ())
    assert (found.queries, found.evaluable, found.grades) == (200, 200, {"1": 200})


def test_too_few_queries_says_how_many_it_takes() -> None:
    found = check(facts(judged(50)))
    assert codes(found) == {"too_few_queries": "error"}
    assert found.power.detectable == pytest.approx(2.8 * 0.2 / 50**0.5, abs=1e-4)
    assert found.power.queries_needed == 126
    assert check(facts(judged(126))).ok


def test_the_detectable_change_is_found_four_times_out_of_five() -> None:
    """By the very test that decides, at 5 %, on simulated queries."""
    found = check(facts(judged(150)))
    gain, generator = found.power.detectable or 0.0, np.random.default_rng(1)
    p_values = sign_flip_p(generator.normal(gain, 0.2, (150, 400)), resamples=500, seed=2)
    assert 0.72 <= (p_values < 0.05).mean() <= 0.88


def test_near_duplicates_are_no_further_evidence_and_may_contradict() -> None:
    queries = judged(130)
    clusters = ["same" if at < 10 else query.query_id for at, query in enumerate(queries)]
    found = check(facts(queries, clusters=clusters))
    assert codes(found) == {"duplicate_queries": "warning", "too_few_queries": "error"}
    assert found.power.independent_queries == 121
    assert found.problems[0].examples == (tuple(f"q{at:03}" for at in range(10)),)
    torn = [JudgedQuery("a", "tea", {"d": 1}), JudgedQuery("b", "teas", {"d": 0, "e": 1})]
    assert codes(check(facts(torn, clusters=["x", "x"])))["contradictory_judgments"] == "error"


def test_documents_that_are_not_there() -> None:
    queries = judged(200)
    known = {f"d{at}" for at in range(5, 200)}
    found = check(facts(queries, known=known))
    assert codes(found) == {"unknown_documents": "warning", "unanswerable_queries": "warning"}
    assert found.problems[1].examples == tuple(f"q{at:03}" for at in range(5))
    assert codes(check(facts(queries, known=set())))["unanswerable_queries"] == "error"


def test_overlap_with_training() -> None:
    found = check(facts(judged(200), trained_on=["q001"], in_judgments=["q001", "q002"]))
    assert codes(found) == {"training_overlap": "error", "judgments_overlap": "warning"}
    assert "1 query also stand" in found.problems[0].detail


def test_nothing_relevant() -> None:
    found = check(facts([JudgedQuery("q", "text", {"d": 0})]))
    assert codes(found) == {"nothing_relevant": "error"}
    assert found.power.detectable is None
    some = check(facts([*judged(200), JudgedQuery("none", "text", {})]))
    assert codes(some) == {"without_positive": "warning"}
