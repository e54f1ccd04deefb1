"""Looks at a corpus, within two seconds however much it holds, and says whether there is enough to train on."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace

from tribrid.answers.readiness import Coverage, EstimatedQueries, LabelSources, Readiness, Searches
from tribrid.corpus.lexical import normalise
from tribrid.errors import TribridError
from tribrid.evaluation.readiness import Known, Labels, assess, labels_view
from tribrid.loop.eval_queries import dataset_in_force
from tribrid.mining.clicks.evidence import evidence
from tribrid.mining.heuristics import heuristic_groups
from tribrid.mining.splits import QueryMatcher
from tribrid.types import Feedback, JudgedQuery, LoggedList
from tribrid.workspace.corpus import OpenCorpus

MOST_SEARCHES = 10_000
MOST_JUDGED = 5_000
MOST_EVAL_QUERIES = 5_000
DOCUMENTS_READ, CHARACTERS_READ = 50, 20_000
"""From which the number of heuristic queries is extrapolated: of documents, and of the start of each."""
COVERAGE_QUERIES = 30
COVERAGE_S = 0.7
"""After which no further query is retrieved: the rest of the two seconds is for everything else."""

Positives = dict[str, set[str]]
"""Query text → good documents."""


def readiness(corpus: OpenCorpus) -> Readiness:
    """Whether there is enough data to train a reranker and to see what came of it.

    Raises:
        CorpusNotFound.
    """
    eval_queries, held_out = _eval_queries(corpus)
    matcher = QueryMatcher(query.text for query in (eval_queries or ())[:MOST_EVAL_QUERIES])
    log = corpus.store.labelled.log(corpus.corpus_id, MOST_SEARCHES, held_out)
    judged = corpus.store.labelled.judged(corpus.corpus_id, MOST_JUDGED)
    in_logs, logs = _admitted(matcher, _used(log.used), whole=log.whole)
    graded = ((q.text, {doc_id for doc_id, grade in q.judgments.items() if grade >= 1}) for q in judged)
    in_judgments, judgments = _admitted(matcher, graded, whole=len(judged) < MOST_JUDGED)
    passages = corpus.index.count()
    found, coverage = _coverage(corpus, [in_logs, in_judgments] if passages else [])
    compared = corpus.store.evaluations.differences(corpus.corpus_id)
    known = Known(
        documents=corpus.store.documents.count(corpus.corpus_id),
        passages=passages,
        logs=logs,
        judgments=judgments,
        heuristics=_heuristics(corpus),
        coverage=found,
        eval_queries=None if eval_queries is None else sum(query.has_positive for query in eval_queries),
        spread=statistics.stdev(compared[1]) if compared else None,
    )
    return Readiness(
        **dict(assess(known)),
        corpus_id=corpus.corpus_id,
        documents=known.documents,
        passages=known.passages,
        searches=Searches(looked_at=log.impressions, at_least=not log.whole, acts=len(log.used)),
        labels=LabelSources(
            logs=labels_view(logs),
            judgments=labels_view(judgments),
            heuristics=EstimatedQueries(queries=known.heuristics),
        ),
        labelled_documents=len(set().union(*in_logs.values(), *in_judgments.values())),
        coverage=coverage,
        eval_queries=known.eval_queries,
    )


def _eval_queries(corpus: OpenCorpus) -> tuple[Sequence[JudgedQuery] | None, tuple[int, int] | None]:
    """The eval dataset's queries, None where there is none; and the span of the log that mining does not read."""
    dataset = dataset_in_force(corpus)
    if dataset is None:
        return None, None
    evidence = dataset.evidence
    return dataset.queries, None if evidence is None else (evidence.since_us, evidence.until_us)


def _used(acts: Iterable[tuple[str, Feedback]]) -> Iterable[tuple[str, set[str]]]:
    """Query texts and the documents of one list that a user found good."""
    for (query, query_id), group in itertools.groupby(
        sorted(acts, key=lambda act: (act[0], act[1].query_id)), key=lambda act: (act[0], act[1].query_id)
    ):
        feedback = [item for _, item in group]
        named = [item.doc_id for item in feedback if item.doc_id is not None]
        opinions = evidence(LoggedList(query_id, query, named, range(1, len(named) + 1), feedback)).opinions
        yield query, {doc_id for doc_id, opinion in opinions.items() if opinion.strength > 0}


def _admitted(matcher: QueryMatcher, found: Iterable[tuple[str, set[str]]], *, whole: bool) -> tuple[Positives, Labels]:
    """The queries with a good document that mining would not leave out, by normalised text, and their counts."""
    positives: Positives = {}
    for query, good in found:
        if good:
            positives.setdefault(normalise(query), set()).update(good)
    kept = {query: good for query, good in positives.items() if not matcher.matches(query)}
    pairs = sum(map(len, kept.values()))
    return kept, Labels(len(kept), pairs, len(positives) - len(kept), whole)


def _coverage(corpus: OpenCorpus, sources: Sequence[Positives]) -> tuple[float | None, Coverage]:
    """The share of sampled positives that are retrieved as deep as the reranker reads, and how it was measured."""
    queries = [item for source in sources for item in itertools.islice(source.items(), COVERAGE_QUERIES)]
    if not queries:
        return None, Coverage(share=None, reason="there is no labelled query, or nothing is indexed")
    config = corpus.config
    depth = config.reranking.tribrid_reranker_topn
    try:
        retriever = corpus.retriever
        started, wanted, retrieved, asked = time.monotonic(), 0, 0, 0
        for query, good in queries[:COVERAGE_QUERIES]:
            if asked and time.monotonic() - started > COVERAGE_S:
                break
            wanted, asked = wanted + len(good), asked + 1
            retrieved += len(good & {candidate.doc_id for candidate in retriever.retrieve(query, depth)})
    except TribridError as error:  # a gauge that cannot measure one thing says so and shows the rest
        return None, Coverage(share=None, reason=error.detail)
    share = retrieved / wanted
    return share, Coverage(share=round(share, 4), queries=asked, positives=wanted, depth=depth)


def _heuristics(corpus: OpenCorpus) -> int:
    """Queries that the documents ask of themselves, by a sample of the first documents."""
    first = itertools.islice(corpus.store.documents.iterate(corpus.corpus_id, DOCUMENTS_READ), DOCUMENTS_READ)
    read = [replace(document, text=document.text[:CHARACTERS_READ]) for document in first]
    groups, _ = heuristic_groups(read)
    return round(len(groups) * corpus.store.documents.count(corpus.corpus_id) / len(read)) if read else 0
