"""Which labels are worth most: queries to judge, each with the documents to look at."""

from __future__ import annotations

from pydantic import Field

from tribrid.answers.answer import Answer


class DocumentToJudge(Answer):
    """A document that some ranking puts among its first. Which one, and where, is not said."""

    doc_id: str
    title: str
    snippet: str = Field(description="Where it speaks of the query.")


class DocumentJudged(Answer):
    """A document that has a grade already."""

    doc_id: str
    title: str
    grade: int


class QueryToJudge(Answer):
    """A query whose labels would tell most, and what to look at."""

    text: str
    query_id: str | None = Field(description="Of the eval dataset; null: it does not ask this query yet.")
    why: str = Field(description="In words.", examples=["asked by 41 clients; the rankings share 3 of their first 10"])
    clients: int = Field(description="Who asked it in the newest part of the log; 0: nobody did.")
    disagreement: float = Field(description="Share of their first documents that two rankings do not share, 0 to 1.")
    documents: tuple[DocumentToJudge, ...] = Field(description="Of all rankings, shuffled.")
    judged: tuple[DocumentJudged, ...] = Field(description="What is judged of it already.")


class NextLabels(Answer):
    """What to judge next, and what that would bring."""

    corpus_id: str
    guideline: str = Field(description="What the grades mean here: the setting evaluation.guideline.")
    summary: str = Field(
        description="In words.", examples=["34 of 50 queries; a change of 0.090 would show now, 0.060 at 80."]
    )
    queries: tuple[QueryToJudge, ...] = Field(description="The most telling first.")
    eval_queries: int = Field(description="Judged queries with a relevant document that there are.")
    detectable_now: float | None = Field(description="The smallest change that they show; null: there is none.")
    detectable_then: float | None = Field(description="The same with the new queries of this answer judged.")
    systems: tuple[str, ...] = Field(description="Whose documents are pooled.")
    failed: dict[str, str] = Field(description="Systems that could not be asked, and what happened.")
    looked_at: int = Field(description="Queries that were ranked, the most asked first, within about two seconds.")
