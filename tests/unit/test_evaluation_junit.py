"""JUnit XML that a CI's parser can read, and that fails where the gate does."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

import reports
from tribrid.answers.report import EvaluationReport
from tribrid.report.junit import render_junit, render_junit_error


def delta(mean: float, low: float, high: float, p_value: float, **more: Any) -> dict[str, Any]:
    known = {"mean": mean, "ci95": [low, high], "p_value": p_value, "wins": 3, "losses": 1, "ties": 9}
    return {**known, "ci": [low, high], "confidence": 0.95, **more}


def report(**changes: Any) -> EvaluationReport:
    measures = ["ndcg@10", "map", "judged@10"]
    known = {
        "corpus_id": "wiki",
        "evaluation_id": "e1",
        "model_id": "m1",
        "created_at": "2023-11-14T22:13:20+00:00",
        "primary_measure": "map",
        "measures": measures,
        "before": dict.fromkeys(measures, 0.5),
        "after": dict.fromkeys(measures, 0.6),
        "delta": {
            "ndcg@10": delta(0.1, 0.05, 0.15, 0.001),
            "map": delta(0.1, 0.05, 0.15, 0.001),
            "judged@10": delta(-0.2, -0.3, -0.1, 0.001),
        },
        "verdict": {"decision": "promote", "reasons": ["map rises."]},
        "failed": {},
        "fallbacks": {"count": 0, "reasons": {}},
        "leakage": {"overlapping": []},
    }
    return reports.report(**(known | changes))


def outcomes(document: str) -> dict[str, str]:
    """suite.test → how it came out; the counts must agree with it."""
    root = ElementTree.fromstring(document)
    assert root.tag == "testsuites"
    found: dict[str, str] = {}
    for suite in root.iter("testsuite"):
        cases = suite.findall("testcase")
        kinds = [next((c.tag for c in case if c.tag != "system-out"), "passed") for case in cases]
        assert suite.get("tests") == str(len(cases))
        for attribute, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert suite.get(attribute) == str(kinds.count(kind))
        found |= {f"{suite.get('name')}.{case.get('name')}": kind for case, kind in zip(cases, kinds, strict=True)}
        assert {case.get("classname") for case in cases} == {f"tribrid.wiki.{suite.get('name')}"}
    assert root.get("tests") == str(len(found))
    return found


def test_a_promotion_passes() -> None:
    document = render_junit(report())
    found = outcomes(document)
    assert set(found.values()) == {"passed"}
    assert list(found)[-3:] == ["measures.map", "measures.ndcg@10", "measures.judged@10"], "the one that decides first"
    suite = ElementTree.fromstring(document).find("testsuite")
    assert suite is not None
    assert suite.get("timestamp") == "2023-11-14T22:13:20"
    properties = {entry.get("name"): entry.get("value") for entry in suite.iter("property")}
    assert properties["evaluation_id"] == "e1"
    assert "champion_id" not in properties


def test_each_check_has_its_own_test() -> None:
    guards = [
        {"name": "latency", "passed": False, "detail": "p95 is 90 ms."},
        {"name": "worst slice", "passed": True, "detail": "None falls."},
        {"name": "seeds", "passed": None, "detail": "One seed."},
        {"name": "seeds", "passed": False, "detail": "They scatter."},
    ]
    found = outcomes(
        render_junit(
            report(
                verdict={"decision": "keep", "reasons": ["p95 is 90 ms.", "x failed"]},
                gate={"minimum_effect": 0.01, "guards": guards},
                failed={"champion": "it is gone"},
                fallbacks={"count": 2, "reasons": {"timeout": 2}},
                leakage=None,
            )
        )
    )
    assert found == {
        "gate.verdict": "failure",
        "gate.latency": "failure",
        "gate.worst slice": "passed",
        "gate.seeds": "skipped",
        "gate.seeds (2)": "failure",
        "conditions.every system ran": "error",
        "conditions.no fallback": "failure",
        "conditions.no leakage": "skipped",
        "measures.map": "passed",
        "measures.ndcg@10": "passed",
        "measures.judged@10": "passed",
    }


@pytest.mark.parametrize(
    ("entry", "outcome"),
    [
        (delta(-0.1, -0.2, -0.05, 0.001), "failure"),
        (delta(-0.1, -0.2, 0.05, 0.3), "passed"),
        (delta(-0.1, -0.2, -0.05, 0.02, p_holm=0.08), "passed"),
    ],
)
def test_a_measure_fails_only_beyond_chance(entry: dict[str, Any], outcome: str) -> None:
    same = delta(0.1, 0.05, 0.15, 0.001)
    changed = report(delta={"ndcg@10": entry, "map": same, "judged@10": same})
    assert outcomes(render_junit(changed))["measures.ndcg@10"] == outcome


def test_without_a_model_there_is_nothing_to_compare() -> None:
    verdict = {"decision": "keep", "reasons": ["There is no trained model to compare."]}
    found = outcomes(render_junit(report(after=None, delta=None, verdict=verdict)))
    assert found["gate.verdict"] == "failure"
    assert found["measures.map"] == "skipped"


def test_text_that_xml_cannot_hold() -> None:
    evil = "]]></failure><testcase name='x'/> & \x00\x1b[31m \ud800"
    document = render_junit(report(verdict={"decision": "keep", "reasons": [evil]}, failed={evil: evil}))
    assert document.encode("utf-8")
    found = outcomes(document)
    assert found["gate.verdict"] == "failure"
    assert len(found) == 7


def test_no_verdict_is_an_error_not_the_file_of_last_time() -> None:
    document = render_junit_error("wiki", "The process <died>\x00.\nSee its log.")
    assert outcomes(document) == {"gate.verdict": "error"}
    (problem,) = ElementTree.fromstring(document).iter("error")
    assert (problem.get("message"), problem.text) == ("The process <died>�.", "The process <died>�.\nSee its log.")
