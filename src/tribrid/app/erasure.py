"""Erasure as users ask for it: by query_id, by the query's text, by client, or by document."""

from __future__ import annotations

from tribrid.answers.answer import time_at
from tribrid.answers.erasures import ErasureDone, ErasureRecord
from tribrid.corpus.lexical import normalise
from tribrid.errors import DocumentNotFound, InvalidInput, NotFound, QueryNotFound
from tribrid.loop import index
from tribrid.store.erasures import Erasure
from tribrid.types import Emit
from tribrid.workspace.corpus import OpenCorpus

WAYS = ("query_id", "query", "client_id", "doc_id")


def erase(corpus: OpenCorpus, wanted: dict[str, str | None], emit: Emit) -> ErasureDone:
    """Erase what one of `WAYS` names, and say who had used it.

    Raises:
        InvalidInput: not exactly one of them is given.
        QueryNotFound, DocumentNotFound, NotFound: there is nothing of it.
    """
    given = {name: value for name, value in wanted.items() if value is not None}
    if len(given) != 1 or not all(value.strip() for value in given.values()):
        raise InvalidInput(f"Name what to erase by exactly one of {', '.join(WAYS)}.", given=sorted(given))
    ((way, value),) = given.items()
    try:
        done = _erase_document(corpus, value, emit) if way == "doc_id" else _erase(corpus, way, value)
    except NotFound as error:
        raise _nothing(way, error) from None
    return ErasureDone(**dict(erasure_record(done)), corpus_id=corpus.corpus_id, advice=_advice(done, corpus.corpus_id))


def erasure_record(done: Erasure) -> ErasureRecord:
    """What is kept of an erasure."""
    return ErasureRecord(kind=done.kind, at=time_at(done.created_us), **dict(done.report))


def _erase_document(corpus: OpenCorpus, doc_id: str, emit: Emit) -> Erasure:
    """Erase it from the rows, then from the files of the index; also where an erasure broke off between the two.

    Raises:
        NotFound.
    """
    uploads = corpus.folder.uploads
    with uploads.erasure_under_way(corpus.corpus_id):
        done = _erase_rows(corpus, doc_id)
        if uploads.unfinished(corpus.corpus_id) or (isinstance(done, Erasure) and _may_hold(corpus, done)):
            index.index(corpus, emit, purge=True)
    if isinstance(done, NotFound):
        raise done
    return done


def _erase_rows(corpus: OpenCorpus, doc_id: str) -> Erasure | NotFound:
    try:
        return corpus.store.erasures.document(corpus.corpus_id, doc_id)
    except NotFound as error:
        return error


def _may_hold(corpus: OpenCorpus, done: Erasure) -> bool:
    """Whether the index may hold what was erased: an older version of it also where the document was deleted before."""
    return bool(done.report.erased.get("documents")) or corpus.index.fingerprint is not None


def _erase(corpus: OpenCorpus, way: str, value: str) -> Erasure:
    erasures, corpus_id = corpus.store.erasures, corpus.corpus_id
    if way == "query":
        wanted = normalise(value)
        return erasures.query(corpus_id, lambda text: normalise(text) == wanted)
    return erasures.lists(corpus_id, normalise, **{way: value})


def _nothing(way: str, error: NotFound) -> NotFound:
    kind = {"query_id": QueryNotFound, "query": QueryNotFound, "doc_id": DocumentNotFound}.get(way, NotFound)
    return kind(error.detail, **error.facts)


def _advice(done: Erasure, corpus_id: str) -> tuple[str, ...]:
    """What is left to do, which no erasure can do by itself."""
    said = []
    models, jobs = done.report.models, done.report.jobs
    if models:
        serving = [model.model_id for model in models if "champion" in model.aliases]
        said.append(
            f"{len(models)} model{'s' if len(models) > 1 else ''} learned from it"
            + (f", and {serving[0]} serves now" if serving else "")
            + ". A model is not changed: mine, train and evaluate again to serve one that has not seen it."
        )
    if done.report.eval_datasets:
        current = [row.replaced_by for row in done.report.eval_datasets if row.replaced_by]
        said.append(
            f"The eval dataset in force is now {current[0][:12]}, without it. Earlier reports keep their means."
            if current
            else f"An eval dataset held it and is gone. See that {corpus_id} has one."
        )
    if jobs:
        said.append(f"{len(jobs)} jobs under way may have read it; they end with an error: start them again.")
    return tuple(said)
