"""What a search shows, and the answer to feedback."""

from __future__ import annotations

from pydantic import Field

from tribrid.answers.answer import Answer
from tribrid.types import LegScore, Signal


class PassageSpan(Answer):
    """Where a passage stands in its document, in characters."""

    start: int
    end: int


class LineSpan(Answer):
    """Lines of a document, from 1."""

    first: int
    last: int


class LegScores(Answer):
    """Rank and score in each retrieval leg; null: the leg did not return the document."""

    sparse: LegScore | None = None
    dense: LegScore | None = None
    graph: LegScore | None = Field(
        default=None, description="Null also where the leg is off (retrieval.graph_candidates), or nothing has an edge."
    )


class FirstStage(Answer):
    """What retrieval made of a document, before any reranking."""

    rank: int = Field(description="From 1.")
    score: float = Field(description="Of both searching legs, fused.")
    legs: LegScores


class SearchResult(Answer):
    """A document, by its best passage; or a passage."""

    rank: int = Field(description="From 1.", examples=[1])
    doc_id: str = Field(examples=["a"])
    title: str = Field(examples=["Leave"])
    uri: str = Field(description="Empty: it has none.", examples=["file:a.md"])
    text: str = Field(description="The passage.", examples=["Everyone has 30 days."])
    score: float = Field(description="What the order is by.", examples=[2.31])
    passage: PassageSpan
    headings: tuple[str, ...] = Field(
        default=(), description="That the passage stands under, the outermost first.", examples=[["Leave", "Parents"]]
    )
    page: int | None = Field(default=None, description="Of a PDF, that on which the passage begins, from 1.")
    lines: LineSpan | None = Field(
        default=None, description="Of code and text, those of the passage. Null: the document is no such file."
    )
    highlights: tuple[tuple[int, int], ...] = Field(
        default=(),
        description="Words of `text` that the query asks for: stretches [start, end) in Unicode code points.",
        examples=[[[16, 20]]],
    )
    first_stage: FirstStage


class SearchTrial(Answer):
    """A search's or a rerank's part in an experiment."""

    experiment_id: str
    interleaved: bool = Field(description="Whether both rankings are mixed in it.")
    excluded: str | None = Field(description="Why it does not count; null: it counts.")


class FacetValue(Answer):
    """How many documents have a value."""

    value: str | bool | int | float = Field(examples=["de"])
    documents: int = Field(examples=[12])


class SearchAnswer(Answer):
    """The best documents for a query, best first."""

    query_id: str = Field(description="To send back with feedback.", examples=["0f3a"])
    logged: bool = Field(
        description="False: the log could not take it, such as on a full disk, so `query_id` takes no feedback. See "
        "GET /ready."
    )
    results: tuple[SearchResult, ...]
    reranked: bool = Field(description="Whether a model made the order.")
    reranked_candidates: int = Field(description="How many candidates it ranked.", examples=[50])
    fallback_reason: str | None = Field(
        description="Why the reranker should have run and did not; the order is the first stage's then."
    )
    fallback_code: str | None = Field(description="The code of that error.")
    note: str | None = Field(description="What became of candidates that there was no time to read.")
    model_id: str = Field(description="What made the order; `retrieval`: no model.", examples=["5b1e"])
    experiment: SearchTrial | None = Field(description="Null: no experiment runs.")
    took_ms: float = Field(examples=[41.5])
    matching: int | None = Field(
        default=None, description="Documents that the filter lets through, whatever the query; null: there is none."
    )
    facets: dict[str, tuple[FacetValue, ...]] = Field(
        default={},
        description="Of each field that was asked for, the 100 most frequent values and how many documents have each, "
        "among all that the filter lets through, whatever the query.",
    )


class ComparedDocument(Answer):
    """A document that one of the compared systems ranks, by its best passage."""

    doc_id: str
    title: str
    uri: str
    text: str = Field(description="The passage.")
    first_stage: FirstStage


class ComparedRank(Answer):
    """A document's place in one ranking."""

    doc_id: str
    rank: int = Field(description="From 1.")
    score: float


class ComparedRanking(Answer):
    """How one system orders what the first stage found."""

    system: str = Field(description="`retrieval`, `champion`, or a model_id.")
    model_id: str | None = Field(description="Null: no model made the order.")
    problem: str | None = Field(description="Why there is no ranking.")
    ranks: tuple[ComparedRank, ...]

    def rank_of(self, doc_id: str) -> int | None:
        """A document's rank; None if it is not among the first."""
        return next((row.rank for row in self.ranks if row.doc_id == doc_id), None)


class SideBySide(Answer):
    """One query as several systems rank it. Nothing of it is logged."""

    query: str
    rankings: tuple[ComparedRanking, ...]
    documents: dict[str, ComparedDocument] = Field(description="By doc_id.")


class MovedBy(Answer):
    """What one feature does to a document's score."""

    feature: str
    value: float | None = Field(
        description="Of a field of the metadata the document's own, of a date its age in days; null: it has none."
    )
    effect: float = Field(
        description="The score less what it would be if the feature had the middle value of the list."
    )


class PastQuery(Answer):
    """A query of the training that a document was good for."""

    query: str | None = Field(description="The first of those that are nearly the same; null: its words are gone.")
    likeness: float = Field(description="How like the present query it is, 0 to 1.")


class Explanation(Answer):
    """Why a model ranks a document where it does."""

    doc_id: str
    model_id: str
    score: float
    moved_by: tuple[MovedBy, ...] = Field(description="The largest effect first.")
    past_queries: int = Field(description="Queries of the training that the document was good for.")
    likeness: float | None = Field(
        description="How like this query the nearest of them is, 0 to 1; null: there is none."
    )
    past: tuple[PastQuery, ...] = Field(default=(), description="The 3 likest of them.")


class FeedbackAnswer(Answer):
    """What was logged."""

    ok: bool = True
    query_id: str = Field(examples=["0f3a"])
    doc_id: str | None = Field(description="Null: it is about the whole list.", examples=["a"])
    signal: Signal
