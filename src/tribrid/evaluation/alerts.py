"""What became worse from one scheduled evaluation to the next: a guard that passed and fails now, or more of the top
ten that nobody has judged.

A finding stays open until it is mended, and is new once. Names and numbers alone are told, no query and no document:
they are sent to another server.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from tribrid.answers.alerts import Finding, Watched
from tribrid.answers.changes import Guard
from tribrid.answers.report import EvaluationReport
from tribrid.evaluation.comparison import TIE

_JUDGED = "judged@10"


def served(report: EvaluationReport) -> str:
    """The name of the system that searches got."""
    compared = report.compared
    return compared.serves or compared.after or compared.before


def watched(before: Watched | None, evaluation_id: str, report: EvaluationReport, margin: float) -> Watched:
    """What is to be kept of this evaluation, with its findings: new ones are `since` it.

    Args:
        before: of the scheduled evaluation before; None: there was none, so nothing can have fallen.
        margin: by how much the share of unjudged documents may grow.
    """
    guards, share = _outcomes(report.gate.guards if report.gate else ()), _unjudged(report)
    if before is None:
        return Watched(evaluation_id=evaluation_id, guards=guards, unjudged=share)
    fallen = _fallen(before, guards, evaluation_id)
    grown = _grown(before, share, margin, evaluation_id)
    shares = [known for known in (share, None if grown else before.unjudged) if known is not None]
    return Watched(
        evaluation_id=evaluation_id,
        guards={**before.guards, **guards},
        unjudged=min(shares, default=None),
        findings=(*fallen, *grown),
    )


def _outcomes(guards: Iterable[Guard]) -> dict[str, bool]:
    """Of each guard that was looked at, whether it passed: a name that comes twice passes if both do."""
    found: dict[str, bool] = {}
    for guard in guards:
        if guard.passed is not None:
            found[guard.name] = found.get(guard.name, True) and guard.passed
    return found


def _unjudged(report: EvaluationReport) -> float | None:
    """The share of the top ten of what serves that nobody has judged; None where that was not measured."""
    system = report.systems.get(served(report))
    judged = system.means.get(_JUDGED) if system else None
    return None if judged is None else 1 - judged


def _fallen(before: Watched, guards: Mapping[str, bool], evaluation_id: str) -> Iterator[Finding]:
    """Guards that fall now, and those that fell earlier and still fail or were not looked at."""
    known = {finding.name: finding for finding in before.findings if finding.what == "guard"}
    for name in dict.fromkeys((*known, *guards)):
        if name in known and not guards.get(name, False):
            yield known[name]
        elif before.guards.get(name) and not guards[name]:
            detail = f"The guard {name} passed in evaluation {before.evaluation_id} and fails in {evaluation_id}."
            yield Finding(what="guard", name=name, detail=detail, since=evaluation_id)


def _grown(before: Watched, share: float | None, margin: float, evaluation_id: str) -> list[Finding]:
    """More of the top ten that nobody has judged, now or since an earlier evaluation."""
    open_ = [found for found in before.findings if found.what == "unjudged"]
    was = before.unjudged if before.unjudged is not None else share
    if share is None or was is None:
        return open_
    if share > was + margin + TIE:
        detail = f"{share:.0%} of the documents in the top ten are unjudged, more than {was:.0%} by over {margin:.0%}."
        return [Finding(what="unjudged", name=_JUDGED, detail=detail, since=evaluation_id, was=was)]
    return [found for found in open_ if found.was is not None and share > found.was + margin + TIE]
