"""compare: any number of systems on judged queries, without a corpus or a data folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tribrid.answers.comparison import SystemComparison
from tribrid.config import Config
from tribrid.corpus.given import given_judgments, given_list, given_queries, given_run
from tribrid.errors import InvalidInput
from tribrid.evaluation.measures import Run, evaluable
from tribrid.evaluation.systems import compare_systems
from tribrid.report.comparison import Drawing, comparison_plot
from tribrid.types import JudgedQuery

MEASURES = ("ndcg@10", "mrr@10", "recall@10", "judged@10")


class Comparison(SystemComparison):
    """What `compare` found. A notebook shows it as a page; `print` as text."""

    def plot(self, measure: str | None = None) -> Drawing:
        """Each system's mean with its 95 % interval, as a drawing that notebooks show.

        Raises:
            KeyError: the measure (a report key) was not asked for.
        """
        return comparison_plot(self, measure or self.primary_measure)


def compare(
    systems: Mapping[str, Any],
    qrels: Any,
    *,
    queries: Any = None,
    measures: Sequence[str] = MEASURES,
    slices: Mapping[Any, str] | None = None,
) -> Comparison:
    """Compare rankings on judged queries: each system's means with intervals, every pair tested, every query's values.

    Args:
        systems: name → what it found: {query_id: {doc_id: score}}, {query_id: [doc_id, ...]} best first, a DataFrame
            with a row a document (query_id, doc_id, score), the path of a TREC run; or a function from a query's text
            to its documents.
        qrels: {query_id: {doc_id: grade}}, a DataFrame (query_id, doc_id, grade), the path of TREC or BEIR qrels, or
            judged queries with their texts (the path of a .jsonl, or dictionaries). A grade of 1 or more is relevant.
        queries: {query_id: text}, a DataFrame (query_id, text), or the path of topics; functions need the texts.
        measures: by name, as `ndcg@10` or `P@5`; the first that says how good a ranking is decides.
        slices: query_id → the slice that it is in, to see the change on each.

    Raises:
        InvalidInput: something cannot be read, or there is nothing to measure. EvaluationFailed: a list holds a
            document twice, or a score that is not finite. MissingExtra: ir-measures is not installed.
    """
    texts = given_queries(queries) if queries is not None else {}
    judged = given_judgments(qrels, texts)
    runs = {name: _run(name, system, judged) for name, system in systems.items()}
    cut = {str(query_id): str(name) for query_id, name in (slices or {}).items()}
    found = compare_systems(runs, judged, measures, cut, Config().evaluation)
    return Comparison.model_validate(dict(found))


def _run(name: str, system: Any, judged: Sequence[JudgedQuery]) -> Run:
    if not callable(system):
        return given_run(name, system)
    return _asked(name, system, judged)


def _asked(name: str, system: Callable[[str], Any], judged: Sequence[JudgedQuery]) -> Run:
    counted = evaluable(judged)
    wordless = [query.query_id for query in counted if not query.text]
    if wordless:
        raise InvalidInput(
            f"{name!r} is a function, and {len(wordless)} queries have no text to call it with: "
            "compare(..., queries={query_id: text}).",
            queries=wordless[:5],
        )
    return {query.query_id: given_list(name, system(query.text)) for query in counted}
