"""A model's record: what it is, what it was made from down to the lists that users saw, and what became of it."""

from __future__ import annotations

from typing import Any

from tribrid.answers.answer import time_at
from tribrid.answers.models import (
    CodeVersion,
    CorpusVersion,
    ModelErasure,
    ModelEvaluation,
    ModelFacts,
    ModelLineage,
    ModelPromotion,
    ModelRecord,
    ReadSearch,
    TrainingQueries,
    TrainingQuery,
    TripletSetFacts,
)
from tribrid.corpus.lexical import normalise
from tribrid.errors import NotFound
from tribrid.store.lineage import MinedQuery, ReadList
from tribrid.store.models import Promotion
from tribrid.types import ModelVersion, Source
from tribrid.types.looks import Look
from tribrid.workspace.data_folder import DataFolder

LISTS_NAMED = 20
"""Lists of one query that an answer names; the rest is counted."""


def model_facts(model: ModelVersion) -> ModelFacts:
    """A model version with what its manifest says."""
    return ModelFacts(**_facts(model))


def _facts(model: ModelVersion) -> dict[str, Any]:
    return {
        "model_id": model.model_id,
        "corpus_id": model.corpus_id,
        "run_id": model.run_id,
        "artifact": model.artifact,
        "created_at": time_at(model.created_us),
        **{name: model.manifest.get(name) for name in ("base", "data", "config", "versions", "metrics")},
    }


def record(folder: DataFolder, model_id: str) -> ModelRecord:
    """Everything that is kept of a model version.

    Raises:
        ModelNotFound: there is none of this id.
    """
    model = folder.store.models.get(model_id)
    corpus_id = model.corpus_id
    names, promotions = folder.store.models.aliases(corpus_id), folder.store.models.promotions(corpus_id)
    return ModelRecord(
        **_facts(model),
        aliases=tuple(name for name, of in names.items() if of == model_id),
        lineage=_lineage(folder, model),
        evaluations=tuple(map(_evaluation, folder.store.evaluations.looks(corpus_id, model_id=model_id))),
        promotions=tuple(promotion(row) for row in promotions if row.model_id == model_id),
        erasures=tuple(
            ModelErasure(at=time_at(row.created_us), kind=row.kind, erased=row.report.erased)
            for row in folder.store.erasures.list(corpus_id)
            if any(used.model_id == model_id for used in row.report.models)
        ),
    )


def _evaluation(look: Look) -> ModelEvaluation:
    return ModelEvaluation(
        evaluation_id=look.evaluation_id,
        at=time_at(look.created_us),
        eval_dataset=look.dataset,
        compared_with=look.champion_id,
        decision=look.decision,
        after=dict(look.after),
    )


def promotion(row: Promotion) -> ModelPromotion:
    """A change of champion."""
    return ModelPromotion(
        model_id=row.model_id,
        instead_of=row.previous_model_id,
        kind=row.kind,
        forced=row.kind == "force",
        reason=row.reason,
        evaluation_id=row.evaluation_id,
        at=time_at(row.created_us),
    )


def _set_of(model: ModelVersion) -> str | None:
    found = (model.manifest.get("data") or {}).get("triplet_set_id")
    return str(found) if found else None


def _lineage(folder: DataFolder, model: ModelVersion) -> ModelLineage:
    """Where it came from, by hash and count; `queries_url` leads to the rows."""
    manifest = model.manifest
    code = manifest.get("code") or {"version": (manifest.get("versions") or {}).get("tribrid"), "sha256": None}
    triplet_set, impressions = _triplet_set(folder, model)
    return ModelLineage(
        code=CodeVersion.model_validate(code),
        corpus=CorpusVersion(corpus_id=model.corpus_id, version=manifest.get("corpus_version")),
        kept_out_eval_dataset=manifest.get("kept_out"),
        triplet_set=triplet_set,
        impressions=impressions,
        queries_url=f"/reranker/models/{model.model_id}/queries",
    )


def _triplet_set(folder: DataFolder, model: ModelVersion) -> tuple[TripletSetFacts | None, int]:
    """What it learned from, None if that is gone, and how many searches mining read for it."""
    triplet_set_id = _set_of(model)
    if triplet_set_id is None:
        return None, 0
    try:
        triplet_set = folder.store.triplets.get(triplet_set_id)
    except NotFound:
        return None, 0
    texts = {normalise(text) for text in folder.store.lineage.asked(triplet_set_id, Source.LOGS)}
    read = folder.store.lineage.spellings(triplet_set_id, normalise) if texts else {}
    found = TripletSetFacts.model_validate(
        {
            "triplet_set_id": triplet_set_id,
            "sha256": model.manifest["data"].get("sha256"),
            "mined_at": time_at(triplet_set.created_us),
            "params": triplet_set.params,
            "by_source": folder.store.lineage.totals(triplet_set_id),
            "clients": triplet_set.counts.get("clients"),
            "erased_triplets": folder.store.triplets.erased(triplet_set_id),
        }
    )
    return found, sum(sum(of.values()) for text, of in read.items() if text in texts)


def training_queries(folder: DataFolder, model_id: str, offset: int, limit: int) -> TrainingQueries:
    """A page of the queries that a model was trained on, each with the judgments, documents and lists it rests on.

    Raises:
        ModelNotFound: there is none of this id.
    """
    model = folder.store.models.get(model_id)
    triplet_set_id = _set_of(model)
    page: list[MinedQuery] = []
    total, lists = 0, {}
    if triplet_set_id is not None:
        page, total = folder.store.lineage.queries(triplet_set_id, offset, limit)
        lists = _lists(folder, triplet_set_id, page)
    return TrainingQueries(
        model_id=model_id,
        triplet_set_id=triplet_set_id,
        total=total,
        offset=offset,
        queries=tuple(_query(row, lists.get(normalise(row.query))) for row in page),
    )


def _lists(folder: DataFolder, triplet_set_id: str, page: list[MinedQuery]) -> dict[str, tuple[int, list[ReadList]]]:
    """Normalised query → how many lists mining read of it, and the first of them. Only of queries from logs."""
    texts = {normalise(row.query) for row in page if row.source is Source.LOGS}
    if not texts:
        return {}
    read = folder.store.lineage.spellings(triplet_set_id, normalise)
    spelled = {text: read.get(text, {}) for text in texts}
    first = folder.store.lineage.lists(triplet_set_id, [s for of in spelled.values() for s in of], LISTS_NAMED)
    return {
        text: (sum(of.values()), [one for spelling in of for one in first[spelling]][:LISTS_NAMED])
        for text, of in spelled.items()
    }


def _query(row: MinedQuery, lists: tuple[int, list[ReadList]] | None) -> TrainingQuery:
    total, first = lists if lists is not None and row.source is Source.LOGS else (0, [])
    return TrainingQuery(
        query_id=row.query_id,
        query=row.query,
        source=row.source,
        triplets=row.triplets,
        evidence=row.evidence,
        impressions=tuple(
            ReadSearch(
                query_id=one.query_id, at=time_at(one.created_us), client_id=one.client_id, feedback=one.feedback
            )
            for one in first
        ),
        impressions_total=total,
    )
