"""What a ranking is worth: seven measures a query, in trec_eval's numbers, by ir_measures.

A run's own scores never reach a provider. Two reasons, both read in their sources: pytrec_eval keeps scores as
float32, so orders that float64 can tell apart become ties there; and it breaks ties by doc_id descending, where
the providers of RR@10 and Judged@10 break them ascending. So each list is put in `types.rank_order` here and handed
on with scores counted down from its length, which every provider reads as one and the same order.

A query the run missed has 0 in every measure. A query without a positive judgment has no value at all: it is
excluded here and counted in the report. The ideal order is that of all judgments, found or not.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import ir_measures
from ir_measures import AP, RR, Judged, R, nDCG

from tribrid.errors import EvaluationFailed, InvalidInput
from tribrid.types import JudgedQuery, ScoredDoc, rank_order

Run = Mapping[str, Sequence[ScoredDoc]]
"""query_id → scored documents, in any order: their rank is `types.rank_order`."""

PerQuery = dict[str, dict[str, float]]
"""Report key of a measure → query_id → value, 0..1."""

MEASURES: Mapping[str, str] = MappingProxyType(
    {
        "mrr@10": "RR@10",
        "recall@5": "R@5",
        "recall@10": "R@10",
        "recall@20": "R@20",
        "ndcg@10": "nDCG@10",
        "map": "AP",
        "judged@10": "Judged@10",
    }
)
"""Report key → the field's name, as ir_measures writes it."""

QUALITY = tuple(key for key in MEASURES if key != "judged@10")
"""Measures in which more is better. Judged@10 only says how much of the top 10 anyone has judged."""

_BY_KEY = {
    "mrr@10": RR @ 10,
    "recall@5": R @ 5,
    "recall@10": R @ 10,
    "recall@20": R @ 20,
    "ndcg@10": nDCG @ 10,
    "map": AP,
    "judged@10": Judged @ 10,
}
_KEYS = {str(measure): key for key, measure in _BY_KEY.items()}

# Named, so that a provider someone happens to have installed (cwl_eval, ranx) never changes the numbers.
_PROVIDERS = ir_measures.providers.FallbackProvider(  # type: ignore[no-untyped-call]
    [ir_measures.pytrec_eval, ir_measures.judged, ir_measures.msmarco]
)


def report_key(measure: str) -> str:
    """The key a report files a measure under: "nDCG@10" → "ndcg@10"; a key is returned as it is.

    Raises:
        InvalidInput: no such measure; lists those there are.
    """
    key = _KEYS.get(measure, measure)
    if key not in MEASURES:
        names = ", ".join(MEASURES.values())
        raise InvalidInput(f"There is no measure {measure!r}. There are: {names}.", measure=measure)
    return key


def evaluable(queries: Iterable[JudgedQuery]) -> list[JudgedQuery]:
    """The queries that have a value: those with a positive judgment, by query_id."""
    return sorted((query for query in queries if query.has_positive), key=lambda query: query.query_id)


def per_query(run: Run, queries: Iterable[JudgedQuery], measures: Sequence[str] = tuple(MEASURES)) -> PerQuery:
    """Each measure's value for each evaluable query, by query_id; queries of the run without judgments are ignored.

    Args:
        run: scores of any kind; higher is better.
        measures: report keys or ir_measures' names; the answer uses the report keys.

    Raises:
        InvalidInput: no such measure.
        EvaluationFailed: a score is not finite, or a list holds a document twice. Neither may pass as a low rank.
    """
    keys = [report_key(measure) for measure in measures]
    counted = evaluable(queries)
    values: PerQuery = {key: dict.fromkeys((query.query_id for query in counted), 0.0) for key in keys}
    # An empty list is a missed query; the judged provider would divide by its length.
    found = (query.query_id for query in counted if run.get(query.query_id))
    ranked = {query_id: _countdown(query_id, run[query_id]) for query_id in found}
    qrels = {query.query_id: dict(query.judgments) for query in counted}
    if not qrels:
        return values
    evaluator = _PROVIDERS.evaluator([_BY_KEY[key] for key in keys], qrels)
    for metric in evaluator.iter_calc(ranked):
        values[_KEYS[str(metric.measure)]][metric.query_id] = float(metric.value)
    return values


def means(values: PerQuery) -> dict[str, float]:
    """The mean of each measure over its queries; 0.0 where there are none."""
    return {key: math.fsum(of.values()) / len(of) if of else 0.0 for key, of in values.items()}


def oracle(candidates: Mapping[str, Sequence[str]], queries: Iterable[JudgedQuery]) -> dict[str, list[ScoredDoc]]:
    """The best order the frozen candidates allow: by grade, an unjudged document as grade 0. No reranker can do better.

    Args:
        candidates: query_id → doc_ids.
    """
    best: dict[str, list[ScoredDoc]] = {}
    for query in queries:
        doc_ids = candidates.get(query.query_id, ())
        ordered = sorted(doc_ids, key=lambda doc_id: -query.judgments.get(doc_id, 0))
        best[query.query_id] = [ScoredDoc(doc_id, float(len(ordered) - at)) for at, doc_id in enumerate(ordered)]
    return best


def recall_ceiling(candidates: Mapping[str, Sequence[str]], queries: Iterable[JudgedQuery]) -> float:
    """Mean share of a query's relevant documents that stand among its candidates, 0..1."""
    shares = []
    for query in evaluable(queries):
        positives = {doc_id for doc_id, grade in query.judgments.items() if grade >= 1}
        shares.append(len(positives.intersection(candidates.get(query.query_id, ()))) / len(positives))
    return math.fsum(shares) / len(shares) if shares else 0.0


def recommend_primary(queries: Sequence[JudgedQuery]) -> str:
    """The measure the gate should decide on, from the labels' shape, by ir_measures' name; see `explain_primary`.

    Raises:
        InvalidInput: no query has a positive judgment, so no measure has a value.
    """
    _shape(queries)
    return MEASURES["ndcg@10"]


def explain_primary(queries: Sequence[JudgedQuery]) -> str:
    """Why `recommend_primary` says what it says, in words.

    Graded labels need nDCG: the others cannot see a grade. Several positives a query need more than RR, which stops
    at the first. With one positive a query, nDCG@10 (1/log2(rank+1)) and RR@10 (1/rank) both read nothing but its
    rank; RR@10 puts half its range between ranks 1 and 2, so its differences scatter more and it needs more queries to
    show the same gain (simulated with 150 queries, a gain nDCG@10 finds in 77 of 100 trials RR@10 finds in 69).

    Raises:
        InvalidInput: no query has a positive judgment.
    """
    graded, several = _shape(queries)
    if graded:
        return "The labels are graded, and of these measures only nDCG@10 counts a grade."
    if several:
        return "Queries have several relevant documents; nDCG@10 counts each of them in the top 10, by rank."
    return (
        "Each query has one relevant document; nDCG@10 and RR@10 both read only its rank, "
        "and nDCG@10 needs fewer queries to show the same gain."
    )


def _shape(queries: Sequence[JudgedQuery]) -> tuple[bool, bool]:
    """Whether the labels are graded, and whether some query has several positives."""
    counted = evaluable(queries)
    if not counted:
        raise InvalidInput(
            "No query of the eval dataset has a relevant document (a grade of 1 or more), so there is nothing to "
            "measure. Add judgments with a positive grade.",
            queries=len(queries),
        )
    positives = [[grade for grade in query.judgments.values() if grade >= 1] for query in counted]
    return any(max(grades) > 1 for grades in positives), any(len(grades) > 1 for grades in positives)


def _countdown(query_id: str, docs: Sequence[ScoredDoc]) -> dict[str, float]:
    """doc_id → a score that says its rank and nothing else: n, n-1, ... 1 (exact in float32 up to 2^24 documents)."""
    for doc in docs:
        if not math.isfinite(doc.score):
            raise EvaluationFailed(
                f"The score of {doc.doc_id!r} for query {query_id!r} is not a finite number, so it has no rank.",
                query_id=query_id,
                doc_id=doc.doc_id,
            )
    scores = {doc.doc_id: float(len(docs) - at) for at, doc in enumerate(rank_order(docs))}
    if len(scores) != len(docs):
        raise EvaluationFailed(f"The list of query {query_id!r} holds a document more than once.", query_id=query_id)
    return scores
