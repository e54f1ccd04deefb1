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
from datetime import UTC, datetime
from typing import Any, Literal
from xml.etree import ElementTree

Json = Mapping[str, Any]
Outcome = Literal["passed", "failure", "error", "skipped"]

_CERTAIN = 0.05
# What XML 1.0 cannot hold, not even escaped.
_ILLEGAL = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class _Case:
    """One test. `message` says why it did not pass, `output` what was measured."""

    name: str
    outcome: Outcome = "passed"
    message: str = ""
    output: str = ""


def render_junit(report: Json) -> str:
    """The report's checks as one XML document."""
    suites = {
        "gate": list(_gate(report)),
        "conditions": list(_conditions(report)),
        "measures": list(_measures(report)),
    }
    return _document(_text(report.get("corpus_id") or "evaluation"), suites, report)


def render_junit_error(corpus_id: str, detail: str) -> str:
    """An evaluation that came to no verdict: the test `verdict` is an error, and there is no other."""
    return _document(_text(corpus_id), {"gate": [_Case("verdict", "error", detail)]}, None)


def _document(corpus: str, suites: Mapping[str, Sequence[_Case]], report: Json | None) -> str:
    every = [case for cases in suites.values() for case in cases]
    root = ElementTree.Element("testsuites", {"name": f"tribrid evaluate {corpus}", **_counts(every)})
    for name, cases in suites.items():
        suite = ElementTree.SubElement(root, "testsuite", {"name": name, **_counts(cases), **_when(report or {})})
        if report is not None:
            _properties(suite, report)
        for case in cases:
            _write(suite, f"tribrid.{corpus}.{name}", case)
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _gate(report: Json) -> Iterator[_Case]:
    verdict = report["verdict"]
    reasons = "\n".join(verdict["reasons"])
    if verdict["decision"] == "promote":
        yield _Case("verdict", output=reasons)
    else:
        yield _Case("verdict", "failure", reasons)
    seen: Counter[str] = Counter()
    for guard in (report.get("gate") or {}).get("guards") or ():
        name, detail = str(guard["name"]), str(guard.get("detail") or "")
        seen[name] += 1
        if seen[name] > 1:  # two tests of one name would be one to a CI
            name = f"{name} ({seen[name]})"
        if guard["passed"] is None:
            yield _Case(name, "skipped", detail)
        elif guard["passed"]:
            yield _Case(name, output=detail)
        else:
            yield _Case(name, "failure", detail)


def _conditions(report: Json) -> Iterator[_Case]:
    failed = "\n".join(f"{name}: {problem}" for name, problem in report["failed"].items())
    yield _Case("every system ran", "error" if failed else "passed", failed)
    count = report["fallbacks"]["count"]
    why = ", ".join(f"{reason} ({number})" for reason, number in report["fallbacks"]["reasons"].items())
    yield _Case("no fallback", "failure" if count else "passed", f"{count} queries: {why}" if count else "")
    if "overlapping" in report["leakage"]:
        leaked = report["leakage"]["overlapping"]
        said = f"{len(leaked)} queries of the eval dataset stood in the training data."
        yield _Case("no leakage", "failure" if leaked else "passed", said if leaked else "")
    else:
        yield _Case("no leakage", "skipped", "There were no training queries to check.")


def _measures(report: Json) -> Iterator[_Case]:
    """Each measure, the one that decides first."""
    delta, key = report["delta"] or {}, report["primary_key"]
    for measure, name in sorted(report["measures"].items(), key=lambda item: item[0] != key):
        entry = delta.get(measure)
        if entry is None:
            yield _Case(name, "skipped", "There is nothing to compare.")
            continue
        low, high = entry["ci95"]
        p_value = entry["p_value"] if entry.get("p_holm") is None else entry["p_holm"]
        said = (
            f"{report['before'][measure]:.4f} to {report['after'][measure]:.4f}: {entry['mean']:+.4f} "
            f"[{low:+.4f}, {high:+.4f}], p = {p_value:.4f}, {entry['wins']} better, {entry['losses']} worse, "
            f"{entry['ties']} the same"
        )
        # Judged@k says how much anyone has judged; less of it is no loss.
        worse = not name.startswith("Judged") and high < 0 and p_value <= _CERTAIN
        yield _Case(name, "failure" if worse else "passed", said if worse else "", said)


def _counts(cases: Sequence[_Case]) -> dict[str, str]:
    kinds = {"failures": "failure", "errors": "error", "skipped": "skipped"}
    counted = {name: str(sum(case.outcome == kind for case in cases)) for name, kind in kinds.items()}
    return {"tests": str(len(cases)), **counted}


def _when(report: Json) -> dict[str, str]:
    if "created_us" not in report:
        return {}
    return {"timestamp": datetime.fromtimestamp(report["created_us"] / 1e6, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S")}


def _properties(suite: ElementTree.Element, report: Json) -> None:
    """What the numbers rest on."""
    known = {
        "evaluation_id": report.get("evaluation_id"),
        "model_id": report.get("model_id"),
        "champion_id": report.get("champion_id"),
        "eval_dataset.sha256": report["eval_dataset"]["sha256"],
        "candidates.sha256": report["candidates"]["sha256"],
        "primary_measure": report["primary_measure"],
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
