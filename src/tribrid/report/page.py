"""The evaluation report as one HTML page: no script, no request, every text from outside escaped by the templates.

The page answers in this order: may it go live and why, how much changed, on which queries, against what else it could
have been, what one can see in single rankings, and under what conditions all that was measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC
from types import MappingProxyType
from typing import NamedTuple

from tribrid.answers.report import EvaluationReport, OutsideSystem, QueryRow, System
from tribrid.report.parts import corpora, learning, loss, score_curve, slices
from tribrid.report.plots import Axis, axis_around, query_bars
from tribrid.report.queries import Documents, examples
from tribrid.report.templates import render
from tribrid.report.words import flat, milliseconds, number, percent, shortened

NO_DOCUMENTS: Documents = MappingProxyType({})

_WHAT = {
    "sparse": "BM25 alone",
    "dense": "Vectors alone",
    "graph": "What lies beside the first found, alone",
    "retrieval": "The legs fused, nothing reranked",
    "given": "The order that came with the documents to rerank; of other queries the fused order",
    "base": "The model training started from",
    "cross_encoder": "The cross-encoder's score alone",
    "untrained": "The order before any label",
    "blend_without_cross_encoder": "The blend without the cross-encoder",
    "champion": "What serves now",
    "challenger": "The model just trained",
    "oracle": "The best order of these candidates",
}
"""Systems in the order of the loop. Others stand before the champion, under their own names."""

_DEFINITIONS = (
    ("ndcg@10", "Gain of the top 10, discounted by the logarithm of the rank, over that of the best possible top 10."),
    ("mrr@10", "1 over the rank of the first relevant document; 0 where none is in the top 10."),
    ("recall@k", "Share of the relevant documents that stand in the top k."),
    ("map", "Precision at the rank of each relevant document, averaged."),
    ("judged@10", "Share of the top 10 that anyone has judged. Unjudged documents count as not relevant."),
)

Entries = list[tuple[str, object]]


def render_html(
    report: EvaluationReport,
    rows: Sequence[QueryRow],
    documents: Documents = NO_DOCUMENTS,
    studio: str | None = None,
) -> str:
    """The page for a report and its per-query rows.

    Args:
        rows: one for each evaluable query, in any order.
        documents: those that `queries.named_documents` names, to quote; of others the page shows the id.
        studio: the address of the corpus's pages on the server that shows this one; None: it is a file, without links.
    """
    changes = [(row.delta_primary, row.text) for row in rows if row.delta_primary is not None]
    return render(
        "report.html",
        report=report,
        studio=studio,
        corpus=report.corpus_id or "Evaluation",
        made=_made(report),
        unit=Axis(0.0, 1.0),
        measures=[(key, list(_sides(report, key))) for key in report.primary_first],
        delta_axis=axis_around(
            [bound for delta in (report.delta or {}).values() for bound in delta.ci95], include_zero=True
        ),
        changes=query_bars(changes) if changes else None,
        slices=slices(report),
        corpora=corpora(report),
        systems=systems(report),
        examples=examples(report, rows, documents),
        score_curve=score_curve(report),
        learning=learning(report),
        loss=loss(report),
        conditions=_conditions(report),
        measure_definitions=_DEFINITIONS,
    )


def _made(report: EvaluationReport) -> str:
    if report.created_at is None:
        return ""
    made = report.created_at.astimezone(UTC)
    return f"{made.day} {made:%B %Y, %H:%M} UTC"


def _sides(report: EvaluationReport, key: str) -> Iterator[tuple[str, float, tuple[float, float]]]:
    """A measure's bars: before, and after where there is one."""
    for kind, name in (("before", report.compared.before), ("after", report.compared.after)):
        system = report.systems.get(name or "")
        if system is not None:
            yield kind, system.means[key], system.ci95[key]


class Systems(NamedTuple):
    """Every system as a row: name, what it is, its measures. `extras`: the measures beside the primary one."""

    rows: list[tuple[str, str, System]]
    extras: list[str]
    axis: Axis


def systems(report: EvaluationReport) -> Systems:
    """Every system of a report, in the order of the loop."""
    key, place = report.primary_measure, list(_WHAT).index("champion") - 0.5
    order = {name: float(at) for at, name in enumerate(_WHAT)}
    names = sorted(report.systems, key=lambda name: (order.get(name, place), name))
    rows = [
        (name, _WHAT.get(name) or _outside(report.outside.get(name)), system)
        for name in names
        if (system := report.systems[name]) is not None
    ]
    known = dict.fromkeys(("ndcg@10", "mrr@10", "recall@10", "map", *report.measures))
    extras = [other for other in known if other != key and other in report.measures][:3]
    return Systems(rows, extras, axis_around([bound for _, _, system in rows for bound in system.ci95[key]]))


def _outside(facts: OutsideSystem | None) -> str:
    """What is known of a system that the caller added."""
    if facts is None:
        return ""
    if facts.own_candidates:
        return f"A run from elsewhere, with candidates of its own ({facts.queries_missing or 0:,} queries missing)"
    return f"Added to this evaluation: {facts.model_id or facts.kind or 'another engine'}"


def _conditions(report: EvaluationReport) -> list[tuple[str, Entries]]:
    dataset, candidates, settings = report.eval_dataset, report.candidates, report.settings
    latency, leakage = report.latency_ms, report.leakage
    cost: Entries = [*flat(report.cost.model_dump(exclude_unset=True))]
    return [
        (
            "Latency of reranking",
            [("median", milliseconds(latency.p50)), ("95th percentile", milliseconds(latency.p95))],
        ),
        (
            "Eval dataset",
            [
                ("version", dataset.version),
                ("queries", f"{dataset.queries:,}"),
                ("without a positive, excluded", f"{dataset.excluded:,}"),
                ("labels from logs" if dataset.log else "judgments", f"{dataset.judgments:,}"),
                ("sha256", shortened(dataset.sha256)),
                *_looks(report),
            ],
        ),
        (
            "Candidates",
            [
                ("depth", candidates.depth),
                ("recall ceiling", number(candidates.recall_ceiling)),
                ("sha256", shortened(candidates.sha256)),
            ],
        ),
        ("Cost", cost or [("", "not recorded")]),
        (
            "Safety",
            [
                ("fallbacks", report.fallbacks.count),
                ("eval queries trained on", len(leakage.overlapping) if leakage else "not checked"),
                ("training queries checked", f"{leakage.checked:,}" if leakage else "–"),
                ("heaviest client's share", _share(report.heaviest_client)),
            ],
        ),
        (
            "Statistics",
            [
                ("resamples", f"{settings.resamples:,}"),
                ("gate's interval", f"{settings.confidence * 100:g} %"),
                ("seed", settings.seed),
            ],
        ),
        *([("Fields of the documents", _fields(report))] if report.fields else []),
    ]


def _fields(report: EvaluationReport) -> Entries:
    return [(field.name, field.told) for field in report.fields]


def _share(of_all: float | None) -> str:
    return "not known" if of_all is None else f"{of_all:.1%}"


def _looks(report: EvaluationReport) -> Iterator[tuple[str, object]]:
    """How often this eval dataset was measured on."""
    found = report.looks
    if found is None or not found.count:
        return
    yield "measured on", f"{found.count:,} times" if found.count != 1 else "once"
    if found.models:
        yield "models measured", f"{found.models:,}"
    if found.false_promotion_risk is not None:
        yield "risk that one passes by luck", percent(found.false_promotion_risk, 0)
