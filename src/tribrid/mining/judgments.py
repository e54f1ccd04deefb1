"""From relevance judgments to labels. A grade of 1 or more is relevant; a document without a grade is unknown.

A document graded 0 or below was looked at and found bad: it is a negative of every positive. Where there are
several grades, a document also loses, with less weight, to those graded higher.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tribrid.corpus.lexical import normalise
from tribrid.mining.labels import EXPLICITLY_BAD, Group, Known, Positive
from tribrid.types import JudgedQuery, Source

RELEVANT_GRADE = 1
LOWEST_WEIGHT = 0.1
LOWER_GRADE_WEIGHT = 0.5
"""A full gap of grades between two relevant documents says this much of what relevant against not relevant says."""
LOWER_GRADED_KEPT = 20
"""Lower-graded documents kept for a positive: hundreds of graded documents would make tens of thousands of pairs."""


def judged_groups(judged: Iterable[JudgedQuery]) -> list[Group]:
    """One group for each distinct text that has a positive, in the order given.

    The same text under two ids is one query: its judgments are joined, the better grade wins.
    """
    ids: dict[str, JudgedQuery] = {}
    grades: dict[str, dict[str, int]] = {}
    for query in judged:
        key = normalise(query.text)
        ids.setdefault(key, query)
        joined = grades.setdefault(key, {})
        for doc_id, grade in query.judgments.items():
            joined[doc_id] = max(grade, joined.get(doc_id, grade))
    groups = (_group(ids[key], joined) for key, joined in grades.items())
    return [group for group in groups if group.positives]


def _group(query: JudgedQuery, grades: Mapping[str, int]) -> Group:
    best = max(grades.values(), default=0)
    evidence = f"judgment:{query.query_id}"
    positives = tuple(
        Positive(doc_id, max(LOWEST_WEIGHT, grade / best), float(grade), f"judged {grade}", evidence)
        for doc_id, grade in sorted(grades.items(), key=lambda item: (-item[1], item[0]))
        if grade >= RELEVANT_GRADE
    )
    bad = tuple(
        Known(doc_id, 1.0, EXPLICITLY_BAD, f"the negative was judged {grade}", "judged_not_relevant")
        for doc_id, grade in sorted(grades.items())
        if grade < RELEVANT_GRADE
    )
    lower = {positive.doc_id: found for positive in positives if (found := _lower_graded(positive, positives))}
    return Group(query.query_id, query.text, Source.JUDGMENTS, positives, bad, lower)


def _lower_graded(positive: Positive, positives: tuple[Positive, ...]) -> tuple[Known, ...]:
    """The relevant documents graded below `positive`, widest gap first: `positives` ends with the lowest."""
    found: list[Known] = []
    for other in reversed(positives):
        if other.standing >= positive.standing or len(found) == LOWER_GRADED_KEPT:
            break
        gap = (positive.standing - other.standing) / positive.standing
        reason = f"the negative was {other.reason}"
        found.append(Known(other.doc_id, LOWER_GRADE_WEIGHT * gap, other.standing, reason, "judged_lower"))
    return tuple(found)
