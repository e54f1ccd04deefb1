"""What a judge is shown, and what becomes of it: pools of documents, and the eval dataset made of judged queries.

Answers in, answers out. A pool is what the compared systems rank first, shuffled so that no place tells who ranked it;
the order hangs on query and document alone, so that it is the same whenever the page is opened.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tribrid.answers.judgments import Rating
from tribrid.answers.search import SideBySide
from tribrid.app.judgments import find_query, query_id_of
from tribrid.corpus.lexical import normalise
from tribrid.types import JudgedQuery

Share = Literal["all", "half"]


@dataclass(frozen=True, slots=True)
class Work:
    """One query to judge: its pool in the order it is shown, and the grades so far.

    Attributes:
        measured: the eval dataset asks it.
    """

    query_id: str
    text: str
    pool: Sequence[str]
    grades: Mapping[str, int]
    measured: bool = False

    def after(self, doc_id: str) -> str | None:
        """The first document without a grade that comes after this one, or else from the start; None: all have one."""
        start = self.pool.index(doc_id) + 1 if doc_id in self.pool else 0
        turned = [*self.pool[start:], *self.pool[:start]]
        return next((other for other in turned if other not in self.grades and other != doc_id), None)

    @property
    def judged(self) -> int:
        """How many of the pool have a grade."""
        return sum(doc_id in self.grades for doc_id in self.pool)


def work(text: str, comparison: SideBySide, judged: Sequence[JudgedQuery], measured: Sequence[JudgedQuery]) -> Work:
    """What there is to judge of a query. Grades of the eval dataset hold where the judge gave none of his own."""
    own, fixed = find_query(text, judged), find_query(text, measured)
    grades = {**(fixed.judgments if fixed else {}), **(own.judgments if own else {})}
    known = own or fixed
    found = {row.doc_id for ranking in comparison.rankings for row in ranking.ranks}
    return Work(
        query_id=known.query_id if known else query_id_of(text),
        text=known.text if known else text,
        pool=sorted(found, key=lambda doc_id: _digest(text, doc_id)),
        grades=grades,
        measured=fixed is not None,
    )


def seen_by(judge: str, this: Work, ratings: Iterable[Rating]) -> Work:
    """The work as one judge sees it: what others said of a document, and he did not, has no grade yet.

    Else the second judge would repeat the first, and their agreement would say nothing.
    """
    own = {rating.doc_id: rating.grade for rating in ratings if rating.judge == judge}
    others = {rating.doc_id for rating in ratings} - own.keys()
    kept = {doc_id: grade for doc_id, grade in this.grades.items() if doc_id not in others}
    return replace(this, grades=kept | own)


def waiting(asked: Iterable[str], judged: Sequence[JudgedQuery]) -> list[str]:
    """Those of the queries that have no judgment yet, each once."""
    known = {normalise(query.text) for query in judged if query.judgments}
    found: dict[str, str] = {}
    for text in asked:
        if text.strip() and normalise(text) not in known:
            found.setdefault(normalise(text), text)
    return list(found.values())


def dataset(measured: Sequence[JudgedQuery], judged: Sequence[JudgedQuery], share: Share) -> list[JudgedQuery]:
    """The next eval dataset: what it has, with the newer grades, and judged queries with a relevant document.

    Args:
        share: `half`: of the queries that are new to it every second one, so that the others are left to train on.
    """
    kept = [_joined(query, find_query(query.text, judged)) for query in measured]
    new = [query for query in judged if query.has_positive and find_query(query.text, measured) is None]
    new.sort(key=lambda query: _digest("eval dataset", query.query_id))
    return kept + (new if share == "all" else new[: (len(new) + 1) // 2])


def _joined(fixed: JudgedQuery, own: JudgedQuery | None) -> JudgedQuery:
    if own is None:
        return fixed
    return JudgedQuery(fixed.query_id, fixed.text, {**fixed.judgments, **own.judgments})


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
