"""Our measures against ir_measures asked directly, on generated runs: ties, missing queries, grades, empty lists."""

from __future__ import annotations

import itertools

import ir_measures
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ir_measures import AP, RR, R, nDCG

from tribrid.evaluation.measures import MEASURES, means, per_query, report_key
from tribrid.types import JudgedQuery, ScoredDoc, rank_order

# Ids of several scripts and planes: trec_eval compares bytes, Python code points, and the two must agree.
DOC_IDS = [f"d{number}" for number in range(25)] + ["é", "z", "中", "😀", "\uffff"]

grades = st.integers(-2, 3)
judgments = st.dictionaries(st.sampled_from(DOC_IDS), grades, max_size=12)
tied_scores = st.integers(-2, 2).map(float)
ranking = st.lists(st.sampled_from(DOC_IDS), unique=True, max_size=len(DOC_IDS)).flatmap(
    lambda ids: st.tuples(*(st.builds(ScoredDoc, st.just(doc_id), tied_scores) for doc_id in ids))
)
cases = st.lists(st.tuples(judgments, st.none() | ranking), min_size=1, max_size=5)


def build(case: list[tuple[dict[str, int], tuple[ScoredDoc, ...] | None]]):
    queries = [JudgedQuery(f"q{at}", f"text {at}", judged) for at, (judged, _) in enumerate(case)]
    run = {f"q{at}": docs for at, (_, docs) in enumerate(case) if docs is not None}
    return queries, run


@settings(max_examples=200, deadline=None)
@given(cases)
def test_ties_are_broken_as_trec_eval_breaks_them_in_every_measure(case) -> None:
    queries, run = build(case)
    counted = [query for query in queries if query.has_positive]
    ours = per_query(run, queries)
    assert all(set(of) == {query.query_id for query in counted} for of in ours.values())
    if not counted:
        return

    # pytrec_eval is trec_eval: given the tied scores themselves, it breaks the ties its own way.
    qrels = {query.query_id: dict(query.judgments) for query in counted}
    trec_run = {query_id: {doc.doc_id: doc.score for doc in docs} for query_id, docs in run.items()}
    evaluator = ir_measures.pytrec_eval.evaluator([R @ 5, R @ 10, R @ 20, nDCG @ 10, AP, RR], qrels)
    names = {name: key for key, name in MEASURES.items()}
    for metric in evaluator.iter_calc(trec_run):
        value = metric.value
        if metric.measure == RR:
            # trec_eval has no cutoff for RR: a first relevant document below rank 10 counts nothing.
            name, value = "RR@10", value if value >= 0.1 else 0.0
        else:
            name = str(metric.measure)
        assert ours[names[name]][metric.query_id] == pytest.approx(value, abs=1e-9), name

    for query in counted:
        top = rank_order(run.get(query.query_id, ()))[:10]
        share = sum(doc.doc_id in query.judgments for doc in top) / len(top) if top else 0.0
        assert ours["judged@10"][query.query_id] == pytest.approx(share)


NAMES = [
    "nDCG@3",
    "nDCG",
    "AP@5",
    "AP(rel=2)",
    "P@5",
    "Success@1",
    "R@3",
    "RR",
    "Bpref",
    "Rprec",
    "nDCG(gains={1:5})@10",
]


@settings(max_examples=100, deadline=None)
@given(cases)
def test_any_other_measure_is_trec_evals_too(case) -> None:
    queries, run = build(case)
    counted = [query for query in queries if query.has_positive]
    if not counted:
        return
    ours = per_query(run, queries, [*NAMES, "Judged@3", "RR@3", "Judged@10"])
    qrels = {query.query_id: dict(query.judgments) for query in counted}
    trec_run = {query_id: {doc.doc_id: doc.score for doc in docs} for query_id, docs in run.items()}
    for name in NAMES:
        measure = ir_measures.parse_measure(name)
        for metric in ir_measures.pytrec_eval.iter_calc([measure], qrels, trec_run):
            assert ours[report_key(name)][metric.query_id] == pytest.approx(metric.value, abs=1e-9), name
    # Whatever order sets have in this process, no measure is counted by another's gains.
    for order in itertools.permutations(["nDCG@3", "nDCG(gains={1:5})@10", "nDCG(dcg='exp-log2')@3"]):
        together = per_query(run, queries, order)
        assert together == {key: own for name in order for key, own in per_query(run, queries, [name]).items()}
    # Several cutoffs of one measure at once, which are handed lists of one length.
    for name in ("Judged@3", "RR@3", "Judged@10"):
        assert ours[report_key(name)] == per_query(run, queries, [name])[report_key(name)], name


@settings(max_examples=100, deadline=None)
@given(cases, st.randoms(use_true_random=False))
def test_without_ties_every_number_is_ir_measures_own(case, random) -> None:
    """Distinct scores, small enough for float32: its default providers need no help of ours."""
    queries, run = build(case)
    counted = [query for query in queries if query.has_positive]
    if not counted:
        return
    distinct = {}
    for query_id, docs in run.items():
        scores = random.sample(range(100), len(docs))
        distinct[query_id] = [ScoredDoc(doc.doc_id, float(score)) for doc, score in zip(docs, scores, strict=True)]
    ours = per_query(distinct, queries)
    theirs = ir_measures.calc_aggregate(
        [ir_measures.parse_measure(name) for name in MEASURES.values()],
        {query.query_id: dict(query.judgments) for query in counted},
        {query_id: {doc.doc_id: doc.score for doc in docs} for query_id, docs in distinct.items() if docs},
    )
    aggregated = {str(measure): value for measure, value in theirs.items()}
    for key, mean in means(ours).items():
        assert mean == pytest.approx(aggregated[MEASURES[key]], abs=1e-9), key


@settings(max_examples=100, deadline=None)
@given(cases, st.randoms(use_true_random=False))
def test_order_of_the_input_and_monotone_scores_change_nothing(case, random) -> None:
    queries, run = build(case)
    other = {}
    for query_id, docs in run.items():
        shuffled = list(docs)
        random.shuffle(shuffled)
        other[query_id] = [ScoredDoc(doc.doc_id, doc.score * 1e-12 + 7.0) for doc in shuffled]
    random.shuffle(queries)
    assert per_query(other, queries) == per_query(run, queries)


def test_pytrec_eval_alone_would_tie_scores_that_differ() -> None:
    """The reason runs are handed over by rank: float32 inside the provider, another tie-break in RR@10's."""
    qrels = {"q": {"a": 1}}
    nearly = {"q": {"a": 1.0 + 1e-12, "b": 1.0}}
    assert next(iter(ir_measures.pytrec_eval.iter_calc([nDCG @ 10], qrels, nearly))).value < 1
    tied = {"q": {"a": 1.0, "b": 1.0}}
    assert next(iter(ir_measures.iter_calc([RR @ 10], qrels, tied))).value == 1.0
    assert next(iter(ir_measures.iter_calc([RR], qrels, tied))).value == 0.5

    query = JudgedQuery("q", "text", {"a": 1})
    first = per_query({"q": [ScoredDoc("a", 1.0 + 1e-12), ScoredDoc("b", 1.0)]}, [query])
    assert first["ndcg@10"]["q"] == first["mrr@10"]["q"] == 1.0
    second = per_query({"q": [ScoredDoc("a", 1.0), ScoredDoc("b", 1.0)]}, [query])
    assert second["mrr@10"]["q"] == second["map"]["q"] == 0.5
