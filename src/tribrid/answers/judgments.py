"""Judged queries to train from."""

from __future__ import annotations

from pydantic import Field

from tribrid.answers.answer import Answer
from tribrid.answers.corpora import JudgmentCounts
from tribrid.types import JudgedQuery


class JudgedQueries(Answer):
    """Every judged query, in the form in which they can be put back."""

    corpus_id: str
    queries: tuple[JudgedQuery, ...]


class UnknownDocuments(Answer):
    """Judged documents that the corpus lacks."""

    unknown_documents: tuple[str, ...] = Field(description="The first 20 doc_ids.")
    unknown_documents_total: int


class StoredJudgments(UnknownDocuments, JudgmentCounts):
    """What there is to train from now."""

    corpus_id: str
    in_eval_dataset: tuple[str, ...] = Field(
        description="The first 20 query_ids of those that came and that the eval dataset asks too: never trained on."
    )
    in_eval_dataset_total: int
