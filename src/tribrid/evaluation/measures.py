"""What a ranking is worth, in trec_eval's numbers, by ir_measures: seven measures of every report, any other by name.

A run's own scores never reach a provider. Two reasons, both read in their sources: pytrec_eval keeps scores as
float32, so orders that float64 can tell apart become ties there; and it breaks ties by doc_id descending, where
the providers of RR@10 and Judged@10 break them ascending. So each list is put in `types.rank_order` here and handed
on with scores counted down from its length, which every provider reads as one and the same order.

A query the run missed has 0 in every measure. A query without a positive judgment has no value at all: it is
excluded here and counted in the report. The ideal order is that of all judgments, found or not.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from itertools import islice
from types import MappingProxyType, ModuleType
from typing import Any, TypeAlias

from tribrid.errors import EvaluationFailed, InvalidInput, MissingExtra
from tribrid.types import JudgedQuery, ScoredDoc, rank_order

Measure: TypeAlias = Any
"""ir_measures.Measure: the library comes with the extra train, and a server that only serves does without."""

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
"""The measures of every report: report key, which is what everybody reads → the field's name, as ir_measures has it."""
_KEYS = {name: key for key, name in MEASURES.items()}

MAX_NAME_CHARS = 100
_MAX_CUTOFF = 100_000
_MAX_EXPONENT = 20
"""Highest grade of an exponential gain: 2^20 - 1 is about the highest grade of all, and trec_eval counts up to it."""
_NAME = re.compile(r"([^\W\d]\w*)([\w(){}:=,.\-'@]*)")
_KEY_HEADS = {"RR": "mrr", "R": "recall", "AP": "map", "P": "precision"}
_COUNTS = frozenset({"NumQ", "NumRel", "NumRet"})
# Read to the cutoff and no further, and written in Python: they are handed no more than that.
_SHALLOW = frozenset({"RR", "Judged"})


@cache
def _library() -> ModuleType:
    try:
        import ir_measures
    except ImportError as error:
        raise MissingExtra("ir-measures", "train", "Measuring rankings") from error
    return ir_measures


@cache
def _heads() -> dict[str, str]:
    """The names of measures as they are written, by their lower case."""
    return {name.lower(): name for name in _library().measures.registry}


@cache
def _providers() -> Any:
    # Named, so that a provider someone happens to have installed (cwl_eval, ranx) never changes the numbers. Left out
    # of ir_measures' own: accuracy, which divides by zero where nothing irrelevant was found; gdeval, a Perl program
    # that rounds to five digits (its nDCG is computed here, from the same gains).
    ours = _library()
    return ours.providers.FallbackProvider([ours.pytrec_eval, ours.judged, ours.msmarco, ours.compat])


def measure_name(measure: str) -> str:
    """A measure as ir_measures writes it: `ndcg@10`, `NDCG@10` and `nDCG@10` are nDCG@10, `mrr@10` is RR@10.

    Raises:
        InvalidInput: ir_measures knows no such measure, or its parameters are wrong; names it.
    """
    if measure in MEASURES or measure in _KEYS:  # known without the library
        return MEASURES.get(measure, measure)
    return str(_parsed(measure))


def report_key(measure: str) -> str:
    """The one name of a measure that people and programs read: "nDCG@10" → "ndcg@10"; a key is returned as it is.

    Raises:
        InvalidInput: as `measure_name`.
    """
    if measure in MEASURES or measure in _KEYS:  # known without the library
        return _KEYS.get(measure, measure)
    found = _parsed(measure)
    name = str(found)
    head, rest = name[: len(found.NAME or "")], name[len(found.NAME or "") :]
    # A path through a report's rows is split at dots.
    return _KEY_HEADS.get(head, head.lower()) + re.sub(r"[^\w@]+", "-", rest).replace("-@", "@").rstrip("-")


def reported(*more: str) -> dict[str, str]:
    """Report key → name: the seven of every report, then these.

    Raises:
        InvalidInput: as `measure_name`.
    """
    return {**MEASURES, **{report_key(measure): measure_name(measure) for measure in more}}


def is_quality(key: str) -> bool:
    """Whether more is better. Judged@k only says how much of the top k anyone has judged."""
    return not key.startswith("judged")


def primary_name(measure: str) -> str:
    """A measure that decides, as ir_measures writes it.

    Raises:
        InvalidInput: as `measure_name`, or more of it is not better.
    """
    name = measure_name(measure)
    if not is_quality(report_key(name)):
        raise InvalidInput(
            f"{report_key(name)} says how much was judged, not how good a ranking is: it cannot decide.",
            measure=measure,
        )
    return name


@lru_cache(maxsize=1024)
def _parsed(measure: str) -> Measure:
    """The measure of a name or a report key, with its parameters checked and a provider for it."""
    head, rest = _split(measure)
    if "-" in rest and "(" not in rest:
        rest = _spelled(measure, head, rest)
    try:
        found: Measure = _library().parse_measure(_heads()[head.lower()] + rest)
        found.validate_params()
        known = _providers().supports(_calculable(found, 1))
    except (ValueError, TypeError, AssertionError, NameError, RecursionError) as error:
        raise _no_measure(measure, re.sub(r"=<object object at \w+>", " is missing", str(error))) from None
    if not known or found.NAME in _COUNTS:
        why = "it counts, and is no share" if found.NAME in _COUNTS else "its numbers are not trec_eval's"
        raise _no_measure(measure, f"ir_measures knows {found}, but it is not reported here: {why}")
    _check_bounds(measure, found)
    return found


def _check_bounds(measure: str, found: Measure) -> None:
    """Refuse numbers that mean nothing, and gains for which trec_eval, which counts up to them, takes all memory."""
    for name in ("cutoff", "rel"):
        value = found.params.get(name, 1)
        if type(value) is not int or not 1 <= value <= _MAX_CUTOFF:
            raise _no_measure(measure, f"{name} is {value}, not 1 to {_MAX_CUTOFF:,}")
    gains = [number for pair in found.params.get("gains", {}).items() for number in pair]
    if not all(type(number) is int and abs(number) <= 2**_MAX_EXPONENT for number in gains):
        raise _no_measure(measure, f"gains are whole numbers up to {2**_MAX_EXPONENT:,}")


def _split(measure: str) -> tuple[str, str]:
    matched = _NAME.fullmatch(measure) if len(measure) <= MAX_NAME_CHARS else None
    if matched is None or matched[1].lower() not in _heads():
        raise _no_measure(measure, "")
    return matched[1], matched[2]


def _spelled(measure: str, head: str, rest: str) -> str:
    """The rest of a report key as ir_measures writes it: "-rel-2@10" is "(rel=2)@10"."""
    written, at, cutoff = rest.partition("@")
    known = _library().measures.registry[_heads()[head.lower()]].SUPPORTED_PARAMS
    pieces: dict[str, list[str]] = {}
    for word in written.split("-")[1:]:
        if word in known:
            pieces[word] = []
        elif pieces:
            pieces[next(reversed(pieces))].append(word)
        else:
            raise _no_measure(measure, f"{word!r} is no parameter of it")
    values = {name: ("." if known[name].dtype is float else "-").join(words) for name, words in pieces.items()}
    told = [f"{name}={value!r}" if known[name].dtype is str else f"{name}={value}" for name, value in values.items()]
    return f"({','.join(told)})" * bool(told) + at + cutoff.replace("-", ".")


def _no_measure(measure: str, why: str) -> InvalidInput:
    because = f" ({why})" if why else ""
    return InvalidInput(
        f"There is no measure {measure[:MAX_NAME_CHARS]!r}{because}. Measures are ndcg@10, mrr@10, recall@20, map, "
        "precision@5, success@1, judged@10 and so on, or have ir_measures' names: nDCG@10, AP(rel=2), "
        "nDCG(dcg='exp-log2')@10.",
        measure=measure[:MAX_NAME_CHARS],
    )


def _calculable(measure: Measure, max_grade: int) -> Measure:
    """The same measure as pytrec_eval can calculate it: exponential gains become gains by grade."""
    if measure.NAME != "nDCG" or measure.params.get("dcg", "log2") == "log2":
        return measure
    if max_grade > _MAX_EXPONENT:
        raise EvaluationFailed(f"{measure} takes 2 to the power of the grade, and a grade is {max_grade:,}.")
    kept = {name: value for name, value in measure.params.items() if name != "dcg"}
    gains = {grade: 2**grade - 1 for grade in range(1, max_grade + 1)}
    exponential: Measure = _library().nDCG(**kept, gains=gains)
    return exponential


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
    return per_query_of_sets(run, [list(queries)], measures)[0]


def per_query_of_sets(run: Run, sets: Sequence[Sequence[JudgedQuery]], measures: Sequence[str]) -> list[PerQuery]:
    """`per_query` on several sets of judgments of the same queries."""
    wanted = {report_key(measure): _parsed(measure) for measure in measures}
    asked = {query.query_id for queries in sets for query in queries if query.has_positive}
    # An empty list is a missed query; the judged provider would divide by its length.
    ranked = {query_id: _countdown(query_id, run[query_id]) for query_id in sorted(asked) if run.get(query_id)}
    return [_measured(ranked, evaluable(queries), wanted) for queries in sets]


def _measured(
    found: Mapping[str, Mapping[str, float]], counted: Sequence[JudgedQuery], wanted: Mapping[str, Measure]
) -> PerQuery:
    values: PerQuery = {key: dict.fromkeys((query.query_id for query in counted), 0.0) for key in wanted}
    qrels = {query.query_id: dict(query.judgments) for query in counted}
    if not qrels:
        return values
    ranked = {query_id: found[query_id] for query_id in qrels if query_id in found}
    shallow, plain, own_gains = _apart(wanted, max(max(grades.values()) for grades in qrels.values()))
    _fill(values, own_gains, qrels, ranked)
    _fill(values, plain, qrels, ranked)
    cutoff = max((of["cutoff"] for of in shallow.values()), default=0)
    _fill(values, shallow, qrels, {query_id: dict(islice(of.items(), cutoff)) for query_id, of in ranked.items()})
    return values


def _apart(wanted: Mapping[str, Measure], max_grade: int) -> tuple[dict[str, Measure], ...]:
    """The measures that read to a cutoff and no further, then the others, then of these those with gains of their own.

    Handed both of the latter, ir_measures (0.4.3) lets pytrec_eval count a measure without gains by another's gains,
    whenever its set of them happens to begin with that other.
    """
    shallow = {key: of for key, of in wanted.items() if of.NAME in _SHALLOW and "cutoff" in of.params}
    deep = {key: _calculable(of, max_grade) for key, of in wanted.items() if key not in shallow}
    own_gains = {key: of for key, of in deep.items() if "gains" in of.params}
    return shallow, {key: of for key, of in deep.items() if key not in own_gains}, own_gains


def _fill(
    values: PerQuery,
    measures: Mapping[str, Measure],
    qrels: Mapping[str, Mapping[str, int]],
    ranked: Mapping[str, Mapping[str, float]],
) -> None:
    """Write each measure's values under its key; what a provider does not mention stays 0."""
    if not measures:
        return
    # A measure hashes by its name, which is made anew each time: each object is named once.
    keys: dict[int, str] = {}
    names = {str(of): key for key, of in measures.items()}
    for metric in _providers().evaluator(list(measures.values()), qrels).iter_calc(ranked):
        key = keys.get(id(metric.measure)) or keys.setdefault(id(metric.measure), names[str(metric.measure)])
        values[key][metric.query_id] = float(metric.value)


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
    """The measure the gate should decide on, from the labels' shape, by its report key; see `explain_primary`.

    Raises:
        InvalidInput: no query has a positive judgment, so no measure has a value.
    """
    _shape(queries)
    return "ndcg@10"


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
        return "The labels are graded, and of these measures only ndcg@10 counts a grade."
    if several:
        return "Queries have several relevant documents; ndcg@10 counts each of them in the top 10, by rank."
    return (
        "Each query has one relevant document; ndcg@10 and mrr@10 both read only its rank, "
        "and ndcg@10 needs fewer queries to show the same gain."
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
