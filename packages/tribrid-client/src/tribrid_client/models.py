"""What the server answers, as far as these methods return it. Fields that a newer server adds are passed over."""

from __future__ import annotations

from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict


class Answer(BaseModel):
    """Data that is not changed."""

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())


class PassageSpan(Answer):
    """Where a passage stands in its document, in characters."""

    start: int
    end: int


class LegScore(Answer):
    """A leg's rank and score."""

    rank: int
    score: float


class LegScores(Answer):
    """Of each leg; None: it did not return the document."""

    sparse: LegScore | None = None
    dense: LegScore | None = None


class FirstStage(Answer):
    """What retrieval made of a document."""

    rank: int
    score: float
    legs: LegScores


class LineSpan(Answer):
    """Lines of a document, from 1."""

    first: int
    last: int


class SearchResult(Answer):
    """A document, by its best passage; or a passage. `highlights`: the query's words in `text`, [start, end) in code
    points.
    """

    rank: int
    doc_id: str
    title: str
    uri: str
    text: str
    score: float
    passage: PassageSpan
    headings: tuple[str, ...] = ()
    page: int | None = None
    lines: LineSpan | None = None
    highlights: tuple[tuple[int, int], ...] = ()
    first_stage: FirstStage


class FacetValue(Answer):
    """How many documents have a value."""

    value: str | bool | int | float
    documents: int


class SearchAnswer(Answer):
    """The best documents, best first. `query_id` takes feedback. `matching`: documents that the filter lets through;
    None without one. `facets`: of each field that was asked for, its most frequent values.
    """

    query_id: str
    logged: bool
    results: tuple[SearchResult, ...]
    reranked: bool
    reranked_candidates: int
    fallback_reason: str | None
    fallback_code: str | None
    note: str | None
    model_id: str
    took_ms: float
    matching: int | None = None
    facets: dict[str, tuple[FacetValue, ...]] = {}


class RerankRow(Answer):
    """A document in its new place; `index` is its place in the call."""

    index: int
    relevance_score: float
    id: str | None = None
    doc_id: str | None = None
    document: dict[str, Any] | None = None


class RerankAnswer(Answer):
    """Documents in order, best first. `id` takes feedback, where `logged`."""

    id: str
    query_id: str
    corpus_id: str | None
    model: str
    model_id: str
    reranked: bool
    fallback_reason: str | None
    fallback_code: str | None
    logged: bool
    collected: int
    took_ms: float
    results: tuple[RerankRow, ...]


class FeedbackAnswer(Answer):
    """What was logged."""

    ok: bool
    query_id: str
    doc_id: str | None
    signal: str


class JudgmentCounts(Answer):
    """Judgments to train from."""

    queries: int
    judgments: int


class Corpus(Answer):
    """How much a corpus holds, and which model serves."""

    corpus_id: str
    name: str
    version: int
    created_at: AwareDatetime
    documents: int
    passages: int
    judgments: JudgmentCounts
    champion: str | None


class CorpusList(Answer):
    """Every corpus."""

    corpora: tuple[Corpus, ...]


class SkippedRecord(Answer):
    """A record that was not taken, and why."""

    line: int
    reason: str
    doc_id: str | None


class IndexedDocuments(Answer):
    """What an upload changed; `skipped` names what was not taken."""

    corpus_id: str
    documents: int
    passages: int
    embedded: int
    unchanged: int
    deleted: int
    skipped: tuple[SkippedRecord, ...]
    skipped_total: int
    duplicates: tuple[str, ...]
    duplicates_total: int


class StoredJudgments(Answer):
    """What there is to train from now."""

    corpus_id: str
    queries: int
    judgments: int
    unknown_documents: tuple[str, ...]
    unknown_documents_total: int
    in_eval_dataset: tuple[str, ...]
    in_eval_dataset_total: int


class StoredEvalDataset(Answer):
    """The eval dataset in force now."""

    corpus_id: str
    sha256: str
    version: int
    primary_measure: str
    queries: int
    unknown_documents: tuple[str, ...]
    unknown_documents_total: int
