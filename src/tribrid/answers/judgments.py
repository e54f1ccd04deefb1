"""Judged queries to train from."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tribrid.answers.answer import Answer, Time
from tribrid.answers.corpora import JudgmentCounts
from tribrid.types import JudgedQuery

GivenBy = Literal["person", "model"]


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


class Rating(Answer):
    """What one judge said of a document for a query."""

    query_id: str
    query: str
    doc_id: str
    judge: str = Field(examples=["anna"])
    by: GivenBy
    grade: int
    note: str = Field(description="Why, in the judge's words; empty where he said nothing.")
    at: Time


class Judge(Answer):
    """Who judged, and how much."""

    judge: str
    by: GivenBy
    ratings: int
    queries: int


class JudgedBy(Answer):
    """Every rating whose judge is known. The grade that counts is the newest; who gave the others is not known."""

    corpus_id: str
    judges: tuple[Judge, ...] = Field(description="Who rated most first.")
    ratings: tuple[Rating, ...] = Field(description="By query_id, document and judge.")


class Disagreement(Answer):
    """A document that two judges graded differently."""

    query_id: str
    query: str
    doc_id: str
    a: int
    b: int
    note_a: str
    note_b: str


class Agreement(Answer):
    """How far two judges agree on the documents that both rated."""

    corpus_id: str
    a: str
    b: str
    pairs: int = Field(description="Documents of queries that both rated.")
    queries: int = Field(description="Of so many queries.")
    same: int = Field(description="Pairs with the same grade.")
    kappa: float | None = Field(
        description="Cohen's kappa with quadratic weights: 1 is the same always, 0 no better than by chance; null: it "
        "cannot be told, as where both gave one grade throughout."
    )
    ci95: tuple[float, float] | None = Field(
        description="Its bootstrap interval over queries; null: there are fewer than 5."
    )
    table: tuple[tuple[int, ...], ...] = Field(description="Pairs by the grade of a (row) and of b (column).")
    disagreements: tuple[Disagreement, ...] = Field(description="The farthest apart first.")
