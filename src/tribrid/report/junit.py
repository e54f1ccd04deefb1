"""The evaluation report as JUnit XML, which continuous integration shows as a list of tests that passed or failed.

Names are the same from run to run, so that a history can be kept of each:

    gate         `verdict` fails unless it is to promote; each guard fails, or is skipped where it could not be checked
    conditions   what makes a comparison untrue: a system that failed (an error), fallbacks, leakage
    measures     each measure fails where it falls by more than chance
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Literal
from xml.etree import ElementTree

from tribrid.answers.report import EvaluationReport

Outcome = Literal["passed", "failure", "error", "skipped"]

# What XML 1.0 cannot hold, not even escaped.
_ILLEGAL = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class _Case:
    """One test. `message` says why it did not pass, `output` what was measured."""

    name: str
    outcome: Outcome = "passed"
    message: str = ""
    output: str = ""


def render_junit(report: EvaluationReport) -> str:
    """The report's checks as one XML document."""
    suites = {
        "gate": list(_gate(report)),
        "conditions": list(_conditions(report)),
        "measures": list(_measures(report)),
    }
    return _document(_text(report.corpus_id or "evaluation"), suites, report)


def render_junit_error(corpus_id: str, detail: str) -> str:
    """An evaluation that came to no verdict: the test `verdict` is an error, and there is no other."""
    return _document(_text(corpus_id), {"gate": [_Case("verdict", "error", detail)]}, None)


def _document(corpus: str, suites: Mapping[str, Sequence[_Case]], report: EvaluationReport | None) -> str:
    every = [case for cases in suites.values() for case in cases]
    root = ElementTree.Element("testsuites", {"name": f"tribrid evaluate {corpus}", **_counts(every)})
    for name, cases in suites.items():
        suite = ElementTree.SubElement(root, "testsuite", {"name": name, **_counts(cases), **_when(report)})
        if report is not None:
            _properties(suite, report)
        for case in cases:
            _write(suite, f"tribrid.{corpus}.{name}", case)
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _gate(report: EvaluationReport) -> Iterator[_Case]:
    verdict = report.verdict
    reasons = "\n".join(verdict.reasons)
    if verdict.decision == "promote":
        yield _Case("verdict", output=reasons)
    else:
        yield _Case("verdict", "failure", reasons)
    seen: Counter[str] = Counter()
    for guard in report.gate.guards if report.gate else ():
        name = guard.name
        seen[name] += 1
        if seen[name] > 1:  # two tests of one name would be one to a CI
            name = f"{name} ({seen[name]})"
        if guard.passed is None:
            yield _Case(name, "skipped", guard.detail)
        elif guard.passed:
            yield _Case(name, output=guard.detail)
        else:
            yield _Case(name, "failure", guard.detail)


def _conditions(report: EvaluationReport) -> Iterator[_Case]:
    failed = "\n".join(f"{name}: {problem}" for name, problem in report.failed.items())
    yield _Case("every system ran", "error" if failed else "passed", failed)
    count = report.fallbacks.count
    why = ", ".join(f"{reason} ({number})" for reason, number in report.fallbacks.reasons.items())
    yield _Case("no fallback", "failure" if count else "passed", f"{count} queries: {why}" if count else "")
    if report.leakage is None:
        yield _Case("no leakage", "skipped", "There were no training queries to check.")
        return
    leaked = report.leakage.overlapping
    said = f"{len(leaked)} queries of the eval dataset stood in the training data." if leaked else ""
    yield _Case("no leakage", "failure" if leaked else "passed", said)


def _measures(report: EvaluationReport) -> Iterator[_Case]:
    """Each measure, the one that decides first."""
    for key in report.primary_first:
        if report.delta is None or report.before is None or report.after is None:
            yield _Case(key, "skipped", "There is nothing to compare.")
            continue
        entry = report.delta[key]
        low, high = entry.ci95
        said = (
            f"{report.before[key]:.4f} to {report.after[key]:.4f}: {entry.mean:+.4f} "
            f"[{low:+.4f}, {high:+.4f}], p = {entry.p:.4f}, {entry.wins} better, {entry.losses} worse, "
            f"{entry.ties} the same"
        )
        # judged@k says how much anyone has judged; less of it is no loss.
        worse = not key.startswith("judged") and entry.certain == "loss"
        yield _Case(key, "failure" if worse else "passed", said if worse else "", said)


def _counts(cases: Sequence[_Case]) -> dict[str, str]:
    kinds = {"failures": "failure", "errors": "error", "skipped": "skipped"}
    counted = {name: str(sum(case.outcome == kind for case in cases)) for name, kind in kinds.items()}
    return {"tests": str(len(cases)), **counted}


def _when(report: EvaluationReport | None) -> dict[str, str]:
    if report is None or report.created_at is None:
        return {}
    return {"timestamp": report.created_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")}


def _properties(suite: ElementTree.Element, report: EvaluationReport) -> None:
    """What the numbers rest on."""
    known = {
        "evaluation_id": report.evaluation_id,
        "model_id": report.model_id,
        "champion_id": report.champion_id,
        "eval_dataset.sha256": report.eval_dataset.sha256,
        "eval_dataset.source": report.eval_dataset.source,
        "candidates.sha256": report.candidates.sha256,
        "primary_measure": report.primary_measure,
    }
    holder = ElementTree.SubElement(suite, "properties")
    for name, value in known.items():
        if value is not None:
            ElementTree.SubElement(holder, "property", {"name": name, "value": _text(value)})


def _write(suite: ElementTree.Element, classname: str, case: _Case) -> None:
    element = ElementTree.SubElement(suite, "testcase", {"classname": classname, "name": _text(case.name)})
    if case.outcome != "passed":
        first = case.message.partition("\n")[0]
        problem = ElementTree.SubElement(element, case.outcome, {"message": _text(first)})
        problem.text = _text(case.message)
    if case.output:
        ElementTree.SubElement(element, "system-out").text = _text(case.output)


def _text(value: object) -> str:
    return _ILLEGAL.sub("�", str(value))
