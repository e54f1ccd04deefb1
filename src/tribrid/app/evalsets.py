"""Eval datasets: fix one, list them, check one, and take it elsewhere with all that it was measured on."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from tribrid.answers.answer import time_at
from tribrid.answers.evalsets import (
    EvalDatasetContent,
    EvalDatasetFile,
    EvalDatasetVersion,
    FrozenBundle,
    FrozenCandidates,
    StoredEvalDataset,
    log_span,
    source_of,
)
from tribrid.answers.nextlabels import NextLabels
from tribrid.answers.readiness import EvalDatasetCheck
from tribrid.app.fromlogs import given_evidence, put_from_logs
from tribrid.app.judgments import NAMED, judged_queries, unknown_documents
from tribrid.app.parts import CorpusPart
from tribrid.corpus.evalfiles import WRITERS, Files
from tribrid.corpus.given import Given
from tribrid.errors import InvalidInput, NoEvalDataset, NoTriplets
from tribrid.evaluation.arms import candidates_sha
from tribrid.evaluation.measures import explain_primary, primary_name, recall_ceiling, recommend_primary, report_key
from tribrid.evaluation.readiness import SPREAD
from tribrid.evaluation.soundness import HOPED_EFFECT, Facts, check
from tribrid.loop.nextlabels import next_labels
from tribrid.mining.contamination import contaminated_rows
from tribrid.mining.splits import QueryMatcher, query_clusters
from tribrid.store.evalsets import Bundle, content_sha
from tribrid.types import EvalDataset, JudgedQuery
from tribrid.workspace.data_folder import DataFolder

FORMATS = ("json", *WRITERS)
"""What a dataset can be exported as."""


UNLABELLED = ("topics", "run")
"""Those that hold no label, and so need not say whose word it is."""
MOST_NEXT = 50
"""Queries that are named to be judged in one answer."""
LEAST_PREFIX = 6
"""Characters of a hash that name it; fewer digits are a version's number."""


class EvalDatasets(CorpusPart):
    """The eval datasets of a corpus: one in force, and every version before it."""

    def put(
        self, judgments: Given, bundle: Mapping[str, Any] | None = None, *, queries: Given = None
    ) -> StoredEvalDataset:
        """Fix the judged queries that before and after are measured on. Other content is a new version.

        Args:
            judgments, queries: as of `judged_queries`.
            bundle: what else an export as JSON held: `sha256`, checked; `primary_measure`, taken where the settings
                name none; `candidates`, kept with the dataset; `evidence`, of labels from logs. Others are passed over.

        Raises:
            CorpusNotFound.
            InvalidInput: no query has a relevant document; the settings or the bundle name a measure that there is not;
                the bundle does not hold what its hash says.
        """
        judged = judged_queries(judgments, queries)
        folder, bundle = self._folder, bundle or {}
        chosen = self._open().config.evaluation.primary_measure or bundle.get("primary_measure")
        recommended = recommend_primary(judged)
        primary = primary_name(str(chosen) if chosen else recommended)
        evidence = given_evidence(bundle)
        sha256 = content_sha(judged, evidence)
        if bundle.get("sha256") not in (None, sha256):
            raise InvalidInput(f"The bundle says it holds {bundle['sha256']}, but it holds {sha256}.", sha256=sha256)
        doc_ids = _candidates(bundle.get("candidates"), judged)
        folder.store.evalsets.put(self.corpus_id, judged, primary, evidence)
        if doc_ids is not None:
            _keep(folder, self.corpus_id, sha256, doc_ids)
        return self._stored()

    def from_logs(self, last: timedelta, *, replace: bool = False) -> StoredEvalDataset:
        """Fix an eval dataset made from the last part of the log, which no training reads from then on.

        Args:
            last: counted back from the newest search.
            replace: though people judged the dataset in force.

        Raises:
            CorpusNotFound, InvalidInput: less than a second.
            NotEnoughEvidence: the span holds too little; says how much more is needed.
            Conflict: people judged the dataset in force, and `replace` was not said.
        """
        put_from_logs(self._open(), last, replace=replace)
        return self._stored()

    def next(self, queries: int = 5, seed: int = 13) -> NextLabels:
        """Which labels would tell most: queries, each with documents of every ranking, blind and shuffled.

        Args:
            queries: at most so many, 1 to 50.
            seed: of the order of the documents.

        Raises:
            CorpusNotFound, StaleIndex, ModelUnavailable. InvalidInput: no such number of queries.
        """
        if not 1 <= queries <= MOST_NEXT:
            raise InvalidInput(f"queries: {queries} is not 1 to {MOST_NEXT}.", field="queries")
        return next_labels(self._open(), queries, seed)

    def _stored(self) -> StoredEvalDataset:
        dataset = self._folder.store.evalsets.current(self.corpus_id)
        unknown = unknown_documents(self._folder, self.corpus_id, dataset.queries)
        return StoredEvalDataset(
            **_facts(self._folder, dataset),
            queries=len(dataset.queries),
            unknown_documents=tuple(unknown[:NAMED]),
            unknown_documents_total=len(unknown),
        )

    def get(self, version: str | None = None) -> EvalDatasetContent:
        """An eval dataset and what it was measured on last.

        Args:
            version: its number, or the start of its hash (6 characters or more); None for the one in force.

        Raises:
            CorpusNotFound, NoEvalDataset, InvalidInput: the start of more than one hash.
        """
        self.require()
        dataset = find_dataset(self._folder, self.corpus_id, version)
        return EvalDatasetContent(
            **_facts(self._folder, dataset), queries=dataset.queries, query_count=len(dataset.queries)
        )

    def versions(self) -> list[EvalDatasetVersion]:
        """Every version the corpus had, newest first; the one in force is `current`.

        Raises:
            CorpusNotFound.
        """
        store = self._folder.store
        self.require()
        return [
            EvalDatasetVersion(
                version=row.version,
                sha256=row.sha256,
                current=row.current,
                source=row.source,
                queries=row.queries,
                judgments=row.judgments,
                primary_measure=report_key(row.primary_measure),
                created_at=time_at(row.created_us),
                bundle=_bundle(store.evalsets.bundle(self.corpus_id, row.sha256)),
            )
            for row in store.evalsets.versions(self.corpus_id)
        ]

    def export(self, form: str = "json", version: str | None = None) -> Files:
        """A dataset as files: name → text.

        Args:
            form: json (everything, can be put back as it is), jsonl, trec (topics, qrels and the candidates as a run),
                topics, qrels, run, beir (without the corpus), quepid.
            version: as `get`.

        Raises:
            CorpusNotFound, NoEvalDataset.
            InvalidInput: no such format; or `run`, and no evaluation has frozen candidates yet.
        """
        if form not in FORMATS:
            raise InvalidInput(f"format: {form!r} is not one of {list(FORMATS)}.", format=form)
        self.require()
        dataset = find_dataset(self._folder, self.corpus_id, version)
        frozen = frozen_candidates(self._folder, self.corpus_id, dataset.sha256)
        if form == "json":
            whole = EvalDatasetFile(
                sha256=dataset.sha256,
                version=dataset.version,
                primary_measure=report_key(dataset.primary_measure),
                created_at=time_at(dataset.created_us),
                source=source_of(dataset.evidence),
                evidence=dataset.evidence,
                queries=dataset.queries,
                candidates=frozen,
            )
            text = json.dumps(whole.model_dump(mode="json"), ensure_ascii=False, indent=1)
            return {"evalset.json": f"{text}\n"}
        if dataset.evidence is not None and form not in UNLABELLED:
            raise InvalidInput(
                f"format: {form} cannot say that the labels are from logs: such a dataset is exported as "
                f"{', '.join(('json', *UNLABELLED))} only.",
                format=form,
            )
        if form == "run" and frozen is None:
            raise InvalidInput(f"No evaluation has frozen candidates of {self.corpus_id!r} yet: evaluate first.")
        return WRITERS[form](dataset.queries, frozen.doc_ids if frozen else {})

    def check(self, effect: float | None = None, version: str | None = None) -> EvalDatasetCheck:
        """What is wrong with a dataset: near-duplicates, unknown documents, overlap with training, too few queries.

        Args:
            effect: the change in the primary measure that one hopes to see; default 0.03.
            version: as `get`.

        Raises:
            CorpusNotFound, NoEvalDataset, InvalidInput: the effect is not above 0 and below 1.
        """
        folder = self._folder
        self.require()
        if effect is not None and not 0 < effect < 1:
            raise InvalidInput(f"effect: {effect} is not above 0 and below 1.", effect=effect)
        dataset = find_dataset(folder, self.corpus_id, version)
        frozen = frozen_candidates(folder, self.corpus_id, dataset.sha256)
        spread, basis = _spread(folder, dataset)
        judged = {doc_id for query in dataset.queries for doc_id in query.judgments}
        found = check(
            Facts(
                queries=dataset.queries,
                clusters=query_clusters([query.text for query in dataset.queries]),
                known=folder.store.documents.exists(self.corpus_id, judged),
                measure=report_key(dataset.primary_measure),
                effect=effect or HOPED_EFFECT,
                spread=spread,
                basis=basis,
                trained_on=_trained_on(folder, dataset),
                in_judgments=_in_judgments(folder, dataset),
                recall_ceiling=recall_ceiling(frozen.doc_ids, dataset.queries) if frozen else None,
            )
        )
        return EvalDatasetCheck(**dict(found), corpus_id=self.corpus_id, version=dataset.version, sha256=dataset.sha256)


def find_dataset(folder: DataFolder, corpus_id: str, version: str | None) -> EvalDataset:
    """The dataset in force, or the one with this number or start of a hash.

    Raises:
        NoEvalDataset: there is none. InvalidInput: several hashes start so.
    """
    evalsets = folder.store.evalsets
    if version is None:
        return evalsets.current(corpus_id)
    rows = evalsets.versions(corpus_id)
    numbered = version.isdecimal() and len(version) < LEAST_PREFIX
    fitting = [row for row in rows if (str(row.version) == version if numbered else row.sha256.startswith(version))]
    if not fitting or (not numbered and len(version) < LEAST_PREFIX):
        raise NoEvalDataset(f"Corpus {corpus_id!r} has no eval dataset {version!r}.", corpus_id=corpus_id)
    if len(fitting) > 1:
        raise InvalidInput(f"version: {len(fitting)} eval datasets have a hash that starts with {version!r}.")
    return evalsets.get(corpus_id, fitting[0].sha256)


def _facts(folder: DataFolder, dataset: EvalDataset) -> dict[str, Any]:
    """What is said of a dataset with and without its queries."""
    return {
        "corpus_id": dataset.corpus_id,
        "sha256": dataset.sha256,
        "version": dataset.version,
        "judgments": sum(len(query.judgments) for query in dataset.queries),
        "without_positive": sum(not query.has_positive for query in dataset.queries),
        "primary_measure": report_key(dataset.primary_measure),
        "recommended_measure": recommend_primary(dataset.queries),
        "recommended_because": explain_primary(dataset.queries),
        "source": source_of(dataset.evidence),
        "log": log_span(dataset.evidence),
        "created_at": time_at(dataset.created_us),
        "bundle": _bundle(folder.store.evalsets.bundle(dataset.corpus_id, dataset.sha256)),
    }


def frozen_candidates(folder: DataFolder, corpus_id: str, sha256: str) -> FrozenCandidates | None:
    """The candidates that the dataset was measured on last, as they are exported; None if it never was."""
    bundle = folder.store.evalsets.bundle(corpus_id, sha256)
    payload = folder.store.candidates.get(f"{corpus_id}/{bundle.candidates_sha256}") if bundle else None
    if bundle is None or payload is None:
        return None
    return FrozenCandidates(
        sha256=bundle.candidates_sha256,
        depth=bundle.depth,
        corpus_version=bundle.corpus_version,
        settings=dict(bundle.settings),
        doc_ids=payload["doc_ids"],
    )


def _bundle(bundle: Bundle | None) -> FrozenBundle | None:
    if bundle is None:
        return None
    return FrozenBundle(
        sha256=bundle.bundle_sha256,
        candidates_sha256=bundle.candidates_sha256,
        corpus_version=bundle.corpus_version,
        depth=bundle.depth,
        source=bundle.source,
        frozen_at=time_at(bundle.created_us),
    )


def _candidates(given: Any, queries: Sequence[JudgedQuery]) -> dict[str, list[str]] | None:
    """The candidates of a bundle by query_id, checked.

    Raises:
        InvalidInput: they are not lists of doc_ids by query_id, or not those that their hash names.
    """
    if given is None:
        return None
    doc_ids = given.get("doc_ids") if isinstance(given, Mapping) else None
    known = {query.query_id for query in queries}
    if not isinstance(doc_ids, Mapping) or not all(
        query_id in known and isinstance(of, list) and all(isinstance(doc_id, str) for doc_id in of)
        for query_id, of in doc_ids.items()
    ):
        raise InvalidInput('candidates: {"doc_ids": {query_id: [doc_id]}} of the bundle\'s own queries is wanted.')
    if given.get("sha256") not in (None, candidates_sha(doc_ids)):
        raise InvalidInput("candidates: they are not those that their sha256 names.", field="candidates")
    return dict(doc_ids)


def _keep(folder: DataFolder, corpus_id: str, sha256: str, doc_ids: Mapping[str, Sequence[str]]) -> None:
    key, depth = candidates_sha(doc_ids), max((len(of) for of in doc_ids.values()), default=0)
    folder.store.candidates.put(f"{corpus_id}/{key}", corpus_id, {"depth": depth, "doc_ids": doc_ids})
    bundle = Bundle(sha256=sha256, candidates_sha256=key, corpus_version=None, depth=depth, source="import")
    folder.store.evalsets.freeze(corpus_id, bundle)


def _spread(folder: DataFolder, dataset: EvalDataset) -> tuple[float, str]:
    """The standard deviation of per-query differences in the primary measure, and where it is from: the last comparison
    on this dataset, else on another of the corpus, else an assumption.
    """
    measure = report_key(dataset.primary_measure)
    found = folder.store.evaluations.differences(dataset.corpus_id, measure, dataset.sha256)
    if found is not None:
        evaluation_id, deltas = found
        return statistics.stdev(deltas), f"spread of evaluation {evaluation_id[:12]}, {len(deltas)} queries"
    return SPREAD, f"assumed spread of {SPREAD}: no comparison in {measure} yet"


def _trained_on(folder: DataFolder, dataset: EvalDataset) -> list[str]:
    try:
        latest = folder.store.triplets.latest(dataset.corpus_id)
    except NoTriplets:
        return []
    rows = contaminated_rows(dataset.queries, folder.store.triplets.load(latest.triplet_set_id))
    return sorted({row["eval_query_id"] for row in rows})


def _in_judgments(folder: DataFolder, dataset: EvalDataset) -> list[str]:
    matcher = QueryMatcher([query.text for query in folder.store.judgments.list(dataset.corpus_id)])
    return [query.query_id for query in dataset.queries if matcher.matches(query.text)]
