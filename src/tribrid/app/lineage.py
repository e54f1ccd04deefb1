"""A model's record: what it is, what it was made from down to the lists that users saw, and what became of it."""

from __future__ import annotations

from typing import Any

from tribrid.app.views import iso, model_view
from tribrid.corpus.lexical import normalise
from tribrid.errors import NotFound
from tribrid.store.lineage import MinedQuery, ReadList
from tribrid.store.models import Promotion
from tribrid.types import ModelVersion, Source
from tribrid.workspace.data_folder import DataFolder

LISTS_NAMED = 20
"""Lists of one query that an answer names; the rest is counted."""


def record(folder: DataFolder, model_id: str) -> dict[str, Any]:
    """Everything that is kept of a model version.

    Raises:
        ModelNotFound: there is none of this id.
    """
    model = folder.store.models.get(model_id)
    names = folder.store.models.aliases(model.corpus_id)
    return {
        **model_view(model),
        "aliases": [name for name, of in names.items() if of == model_id],
        "lineage": _lineage(folder, model),
        "evaluations": [
            {
                "evaluation_id": look.evaluation_id,
                "at": iso(look.created_us),
                "eval_dataset": look.dataset,
                "compared_with": look.champion_id,
                "decision": look.decision,
                "after": dict(look.after),
            }
            for look in folder.store.evaluations.looks(model.corpus_id, model_id=model_id)
        ],
        "promotions": [
            promotion_view(row) for row in folder.store.models.promotions(model.corpus_id) if row.model_id == model_id
        ],
        "erasures": [
            {"at": iso(row.created_us), "kind": row.kind, "erased": row.report.erased}
            for row in folder.store.erasures.list(model.corpus_id)
            if any(used.model_id == model_id for used in row.report.models)
        ],
    }


def promotion_view(row: Promotion) -> dict[str, Any]:
    """A change of champion."""
    return {
        "model_id": row.model_id,
        "instead_of": row.previous_model_id,
        "kind": row.kind,
        "forced": row.kind == "force",
        "reason": row.reason,
        "evaluation_id": row.evaluation_id,
        "at": iso(row.created_us),
    }


def _set_of(model: ModelVersion) -> str | None:
    found = (model.manifest.get("data") or {}).get("triplet_set_id")
    return str(found) if found else None


def _lineage(folder: DataFolder, model: ModelVersion) -> dict[str, Any]:
    """Where it came from, by hash and count; `queries_url` leads to the rows."""
    manifest, triplet_set_id = model.manifest, _set_of(model)
    found: dict[str, Any] = {
        "code": manifest.get("code") or {"version": (manifest.get("versions") or {}).get("tribrid"), "sha256": None},
        "corpus": {"corpus_id": model.corpus_id, "version": manifest.get("corpus_version")},
        "kept_out_eval_dataset": manifest.get("kept_out"),
        "triplet_set": None,
        "impressions": 0,
        "queries_url": f"/reranker/models/{model.model_id}/queries",
    }
    if triplet_set_id is None:
        return found
    try:
        triplet_set = folder.store.triplets.get(triplet_set_id)
    except NotFound:
        return found
    texts = {normalise(text) for text in folder.store.lineage.asked(triplet_set_id, Source.LOGS)}
    read = folder.store.lineage.spellings(triplet_set_id, normalise) if texts else {}
    return found | {
        "triplet_set": {
            "triplet_set_id": triplet_set_id,
            "sha256": manifest["data"].get("sha256"),
            "mined_at": iso(triplet_set.created_us),
            "params": dict(triplet_set.params),
            "by_source": folder.store.lineage.totals(triplet_set_id),
            "erased_triplets": folder.store.triplets.erased(triplet_set_id),
        },
        "impressions": sum(sum(of.values()) for text, of in read.items() if text in texts),
    }


def training_queries(folder: DataFolder, model_id: str, offset: int, limit: int) -> dict[str, Any]:
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
    return {
        "model_id": model_id,
        "triplet_set_id": triplet_set_id,
        "total": total,
        "offset": offset,
        "queries": [_query_view(row, lists.get(normalise(row.query))) for row in page],
    }


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


def _query_view(row: MinedQuery, lists: tuple[int, list[ReadList]] | None) -> dict[str, Any]:
    total, first = lists if lists is not None and row.source is Source.LOGS else (0, [])
    return {
        "query_id": row.query_id,
        "query": row.query,
        "source": row.source,
        "triplets": row.triplets,
        "evidence": list(row.evidence),
        "impressions": [
            {"query_id": one.query_id, "at": iso(one.created_us), "client_id": one.client_id, "feedback": one.feedback}
            for one in first
        ],
        "impressions_total": total,
    }
