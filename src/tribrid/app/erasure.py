"""Erasure as users ask for it: by query_id, by the query's text, by client, or by document."""

from __future__ import annotations

from typing import Any

from tribrid.app.views import iso
from tribrid.corpus.lexical import normalise
from tribrid.errors import DocumentNotFound, InvalidInput, NotFound, QueryNotFound
from tribrid.loop import index
from tribrid.store.erasures import Erasure
from tribrid.types import Emit
from tribrid.workspace import Workspace

WAYS = ("query_id", "query", "client_id", "doc_id")


def erase(ws: Workspace, corpus_id: str, wanted: dict[str, str | None], emit: Emit) -> dict[str, Any]:
    """Erase what one of `WAYS` names, and say who had used it.

    Raises:
        CorpusNotFound.
        InvalidInput: not exactly one of them is given.
        QueryNotFound, DocumentNotFound, NotFound: there is nothing of it.
    """
    given = {name: value for name, value in wanted.items() if value is not None}
    if len(given) != 1 or not all(value.strip() for value in given.values()):
        raise InvalidInput(f"Name what to erase by exactly one of {', '.join(WAYS)}.", given=sorted(given))
    ws.store.corpora.get(corpus_id)
    ((way, value),) = given.items()
    try:
        done = _erase(ws, corpus_id, way, value)
    except NotFound as error:
        raise _nothing(way, error) from None
    if way == "doc_id" and (done.report["erased"].get("documents") or ws.index(corpus_id).fingerprint is not None):
        # Also where the document itself was deleted before: an older version of the index may hold its text.
        index.index(ws, corpus_id, emit, purge=True)
    return {"corpus_id": corpus_id, **erasure_view(done), "advice": _advice(done, corpus_id)}


def erasure_view(done: Erasure) -> dict[str, Any]:
    """What is kept of an erasure."""
    return {"kind": done.kind, "at": iso(done.created_us), **done.report}


def _erase(ws: Workspace, corpus_id: str, way: str, value: str) -> Erasure:
    erasures = ws.store.erasures
    if way == "query":
        wanted = normalise(value)
        return erasures.query(corpus_id, lambda text: normalise(text) == wanted)
    if way == "doc_id":
        return erasures.document(corpus_id, value)
    return erasures.lists(corpus_id, normalise, **{way: value})


def _nothing(way: str, error: NotFound) -> NotFound:
    kind = {"query_id": QueryNotFound, "query": QueryNotFound, "doc_id": DocumentNotFound}.get(way, NotFound)
    return kind(error.detail, **error.facts)


def _advice(done: Erasure, corpus_id: str) -> list[str]:
    """What is left to do, which no erasure can do by itself."""
    said = []
    models, jobs = done.report["models"], done.report["jobs"]
    if models:
        serving = [model["model_id"] for model in models if "champion" in model["aliases"]]
        said.append(
            f"{len(models)} model{'s' if len(models) > 1 else ''} learned from it"
            + (f", and {serving[0]} serves now" if serving else "")
            + ". A model is not changed: mine, train and evaluate again to serve one that has not seen it."
        )
    if done.report["eval_datasets"]:
        current = [row for row in done.report["eval_datasets"] if row["replaced_by"]]
        said.append(
            f"The eval dataset in force is now {current[0]['replaced_by'][:12]}, without it. Earlier reports keep "
            "their means."
            if current
            else f"An eval dataset held it and is gone. See that {corpus_id} has one."
        )
    if jobs:
        said.append(f"{len(jobs)} jobs under way may have read it; they end with an error: start them again.")
    return said
