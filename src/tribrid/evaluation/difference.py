"""What differs between two evaluations: each measure over the queries that both counted, with its interval.

Compared is what each evaluation measured as `after` (its `before` where nothing was trained). A query takes part only
if both asked it in the same words and judged it alike: a change of the judgments is no change of the ranking.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tribrid.answers.changes import Means
from tribrid.answers.difference import (
    Common,
    ComparedCandidates,
    ComparedDataset,
    ComparedLatency,
    ComparedReport,
    EvaluationDifference,
    MeasureDifference,
    QueryDifference,
)
from tribrid.answers.report import EvaluationReport, QueryRow, Side
from tribrid.config.sections import EvaluationConfig
from tribrid.errors import NotComparable
from tribrid.evaluation.comparison import by_family, deltas
from tribrid.evaluation.measures import is_quality
from tribrid.types import JudgedQuery


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A stored evaluation.

    Attributes:
        report: the summary.
        rows: one for each query that counted.
        judged: the eval dataset's queries; None where it is not known any more.
        candidates: query_id → what was reranked; empty where that is not known any more.
    """

    report: EvaluationReport
    rows: Sequence[QueryRow]
    judged: Sequence[JudgedQuery] | None
    candidates: Mapping[str, Sequence[str]]

    @property
    def side(self) -> Side:
        return "after" if self.report.after else "before"

    @property
    def means(self) -> Means:
        """Of that side; empty where its system failed."""
        return self.report.means(self.side) or {}

    @property
    def sha256(self) -> str:
        return self.report.eval_dataset.sha256

    @property
    def evaluation_id(self) -> str:
        return str(self.report.evaluation_id)


def difference(a: Evaluated, b: Evaluated, config: EvaluationConfig) -> EvaluationDifference:
    """The change from a to b in every measure that both have, over the queries that both counted.

    Raises:
        NotComparable: they share no query with the same judgments, or no measure; the reasons in words.
    """
    for one in (a, b):
        if not one.means:
            raise NotComparable(f"{one.evaluation_id} measured nothing: its systems failed.", a=a.evaluation_id)
    common, counts = _common(a, b)
    keys = [key for key in a.means if key in b.means]
    if not keys:
        raise NotComparable("The two evaluations have no measure in common.", a=a.evaluation_id, b=b.evaluation_id)
    values = [np.array([[pair[at][1][key] for key in keys] for pair in common], dtype=np.float64) for at in (0, 1)]
    changes = deltas(values[1] - values[0], resamples=config.resamples, confidence=config.confidence, seed=config.seed)
    found = by_family(dict(zip(keys, changes, strict=True)), is_quality)
    primary = a.report.primary_measure if a.report.primary_measure in keys else keys[0]
    rows = [_row(*pair, keys, primary) for pair in common]
    # To 9 digits: a sum taken in another order is no other change.
    rows.sort(key=lambda row: (-round(abs(row.delta_primary), 9), row.query_id))
    return EvaluationDifference(
        a=_about(a),
        b=_about(b),
        common=counts,
        primary_measure=primary,
        measures={
            key: MeasureDifference(a=float(values[0][:, at].mean()), b=float(values[1][:, at].mean()), delta=found[key])
            for at, key in enumerate(keys)
        },
        notes=tuple(_notes(a, b, counts, [row.query_id for row in rows])),
        total=len(rows),
        queries=tuple(rows),
    )


_Measured = tuple[QueryRow, Means]
"""A query's row, and what was measured on the side that is compared."""


def _common(a: Evaluated, b: Evaluated) -> tuple[list[tuple[_Measured, _Measured]], Common]:
    """The rows of both of each query that takes part, by query_id, and how many take part and not."""
    sides = [{row.query_id: (row, means) for row in one.rows if (means := row.means(one.side))} for one in (a, b)]
    both = sorted(sides[0].keys() & sides[1].keys())
    alike = set(both)
    if a.sha256 != b.sha256:
        alike = _judged_alike(a, b)
    common = [(sides[0][query_id], sides[1][query_id]) for query_id in both if query_id in alike]
    counts = Common(
        queries=len(common),
        judged_differently=len(both) - len(common),
        only_a=len(sides[0]) - len(both),
        only_b=len(sides[1]) - len(both),
    )
    if not common:
        raise NotComparable(_why_not(a, b, counts), a=a.evaluation_id, b=b.evaluation_id, **counts.model_dump())
    return common, counts


def _judged_alike(a: Evaluated, b: Evaluated) -> set[str]:
    """The queries that two different eval datasets ask and judge in the same way."""
    if a.judged is None or b.judged is None:
        return set()
    known = {query.query_id: (query.text, dict(query.judgments)) for query in a.judged}
    return {q.query_id for q in b.judged if known.get(q.query_id) == (q.text, dict(q.judgments))}


def _why_not(a: Evaluated, b: Evaluated, counts: Common) -> str:
    datasets = (
        f"{a.evaluation_id} was measured on eval dataset {a.sha256[:12]} and {b.evaluation_id} on {b.sha256[:12]}"
    )
    if a.sha256 == b.sha256:
        return f"Neither {a.evaluation_id} nor {b.evaluation_id} holds a query that the other measured as well."
    gone = [one.sha256[:12] for one in (a, b) if one.judged is None]
    if gone:
        return f"{datasets}; {' and '.join(gone)} is not stored any more, so nobody can say which queries are the same."
    if counts.judged_differently:
        return (
            f"{datasets}: they share {counts.judged_differently} queries, and none of them has the same text and "
            "the same judgments in both. Evaluate both models on one eval dataset."
        )
    return f"{datasets}: they have no query in common. Evaluate both models on one eval dataset."


def _about(one: Evaluated) -> ComparedReport:
    report, candidates = one.report, one.report.candidates
    return ComparedReport(
        evaluation_id=report.evaluation_id,
        corpus_id=report.corpus_id,
        created_at=report.created_at,
        system=report.compared.after if one.side == "after" else report.compared.before,
        side=one.side,
        model_id=report.model_id if one.side == "after" else report.champion_id,
        run_id=report.run_id,
        decision=report.verdict.decision,
        eval_dataset=ComparedDataset(sha256=one.sha256, version=report.eval_dataset.version),
        candidates=ComparedCandidates(
            sha256=candidates.sha256, depth=candidates.depth, recall_ceiling=candidates.recall_ceiling
        ),
        latency_ms=ComparedLatency(p50=report.latency_ms.p50, p95=report.latency_ms.p95),
    )


def _row(a: _Measured, b: _Measured, keys: Sequence[str], primary: str) -> QueryDifference:
    (row, old), (_, new) = a, b
    return QueryDifference(
        query_id=row.query_id,
        text=row.text,
        a={key: old[key] for key in keys},
        b={key: new[key] for key in keys},
        delta={key: new[key] - old[key] for key in keys},
        delta_primary=new[primary] - old[primary],
    )


def _other_candidates(a: Evaluated, b: Evaluated, common: Sequence[str]) -> int:
    """How many of the common queries were reranked from other candidates."""
    if a.report.candidates.sha256 == b.report.candidates.sha256:
        return 0
    return sum(set(a.candidates.get(name, ())) != set(b.candidates.get(name, ())) for name in common)


def _notes(a: Evaluated, b: Evaluated, counts: Common, common: Sequence[str]) -> Iterator[str]:
    if a.report.corpus_id != b.report.corpus_id:
        yield "They are of two corpora: what differs may be the documents, not the ranking."
    if a.sha256 != b.sha256:
        yield (
            f"Their eval datasets differ: {counts.queries} queries with the same text and judgments are compared, "
            f"{counts.left_out} others are left out. So the means here are not those of the two reports."
        )
    moved = _other_candidates(a, b, common)
    if moved:
        yield (
            f"The candidates of {moved} of {len(common)} queries differ: the change is of retrieval and reranking "
            "together."
        )
    if a.report.primary_measure != b.report.primary_measure:
        yield (f"Their gates decide on different measures: {a.report.primary_measure} and {b.report.primary_measure}.")
    if "before" in (a.side, b.side):
        yield "An evaluation without a trained model takes part with what it measured as before."
