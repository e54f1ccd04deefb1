"""What became worse from one scheduled evaluation to the next."""

from __future__ import annotations

from tribrid.answers.alerts import Watched
from tribrid.answers.changes import Gate, Guard
from tribrid.answers.report import Compared, EvaluationReport, System
from tribrid.evaluation.alerts import served, watched

MARGIN = 0.1


def report(judged: float | None = 0.8, serves: str | None = None, **guards: bool | None) -> EvaluationReport:
    """A report of which only what is watched is filled in."""
    system = System.model_validate({"ci95": {}, **({} if judged is None else {"judged@10": judged})})
    looked_at = (Guard(name=name, passed=passed, detail="'secret.md' rises") for name, passed in guards.items())
    return EvaluationReport.model_construct(
        compared=Compared(before="retrieval", after="challenger", serves=serves),
        systems={"challenger": system, "retrieval": System.model_validate({"ci95": {}})},
        gate=Gate(guards=tuple(looked_at)),
    )


def told(found: Watched) -> list[tuple[str, str, str]]:
    return [(finding.what, finding.name, finding.since) for finding in found.findings]


def test_the_first_has_nothing_to_fall_from() -> None:
    first = watched(None, "e1", report(interval=True, retrieval=False, seeds=None), MARGIN)
    assert told(first) == []
    assert first.guards == {"interval": True, "retrieval": False}
    assert first.unjudged is not None
    assert round(first.unjudged, 9) == 0.2


def test_a_guard_that_passed_and_fails_is_open_until_it_passes() -> None:
    first = watched(None, "e1", report(interval=True, worst_slice=False), MARGIN)
    second = watched(first, "e2", report(interval=False, worst_slice=False), MARGIN)
    assert told(second) == [("guard", "interval", "e2")]
    assert "passed in evaluation e1 and fails in e2" in second.findings[0].detail
    assert "secret" not in second.model_dump_json(), "no document and no query is told"
    third = watched(second, "e3", report(interval=None), MARGIN)
    assert third.findings == second.findings, "not looked at: it still is what it was"
    assert told(watched(third, "e4", report(interval=False), MARGIN)) == [("guard", "interval", "e2")], "and is not new"
    mended = watched(third, "e4", report(interval=True), MARGIN)
    assert told(mended) == []
    assert told(watched(mended, "e5", report(interval=False), MARGIN)) == [("guard", "interval", "e5")]


def test_more_unjudged_documents_are_told_also_where_they_come_little_by_little() -> None:
    found = watched(None, "e0", report(0.8), MARGIN)
    for number, judged in enumerate((0.75, 0.85, 0.80), 1):
        found = watched(found, f"e{number}", report(judged), MARGIN)
        assert told(found) == []
    found = watched(found, "e4", report(0.74), MARGIN)
    assert told(found) == [("unjudged", "judged@10", "e4")], "more than the margin above the lowest"
    assert "26% of the documents in the top ten are unjudged, more than 15% by over 10%" in found.findings[0].detail
    found = watched(found, "e5", report(0.74), MARGIN)
    assert told(found) == [("unjudged", "judged@10", "e4")], "open, and not new"
    assert told(watched(found, "e6", report(0.80), MARGIN)) == []
    assert told(watched(found, "e6", report(0.60), MARGIN)) == [("unjudged", "judged@10", "e6")]
    assert told(watched(found, "e6", report(None), MARGIN)) == [("unjudged", "judged@10", "e4")]


def test_what_served_is_what_is_looked_at() -> None:
    assert served(report()) == "challenger"
    assert served(report(serves="untrained")) == "untrained"
