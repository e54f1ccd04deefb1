"""What became of an import of logs, how much was logged, and what was deleted for its age."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field

from tribrid.answers.answer import Answer, Time


class SkippedLine(Answer):
    """A record that was not taken."""

    line: int = Field(description="From 1; in an array its place.", examples=[3])
    reason: str = Field(examples=["the document was not shown"])


class ReasonExample(Answer):
    """The first record with a reason."""

    line: int
    doc_id: str | None
    source: str = Field(description="The file, where several are read as one.")


class NotTaken(Answer):
    """A reason why records were not taken."""

    reason: str = Field(examples=["the document was not shown"])
    kind: Literal["invalid", "unjoined", "ignored"] = Field(
        description="invalid: the record is broken; unjoined: feedback that fits no impression; ignored: there is "
        "nothing in it to import."
    )
    count: int
    example: ReasonExample


class LogImport(Answer):
    """What was taken of a log, how much of it joined, and what was not taken and why."""

    corpus_id: str
    records: int
    impressions: int = Field(description="New.")
    feedback: int = Field(description="New, and joined to an impression.")
    known_feedback: int = Field(description="Known before.")
    unjoined: int = Field(description="Feedback that fits no impression.")
    join_rate: float | None = Field(description="Share of the feedback that joined, 0 to 1; null: there was none.")
    unknown_document: int = Field(description="Feedback on documents that the corpus does not hold.")
    unknown_documents: tuple[str, ...] = Field(description="Their first 5 doc_ids.")
    reasons: tuple[NotTaken, ...] = Field(description="The 10 most frequent.")
    skipped: tuple[SkippedLine, ...] = Field(description="The first 20.")
    skipped_total: int
    took_s: float
    rate_per_s: float = Field(description="Records a second.")
    queries: int | None = Field(
        default=None, description="Of clicks: different queries whose lists were wanted; null for other logs."
    )
    retrieved: int | None = Field(default=None, description="Of clicks: queries that were asked for their lists.")


class PulledLogs(LogImport):
    """What was taken of the log that another engine keeps."""

    since: str | None = Field(
        description="That of the next pull, ISO 8601: a day before the newest record. Null: there was none.",
        examples=["2026-02-28T12:00:00.000+00:00"],
    )


class LogStats(Answer):
    """How much was logged."""

    corpus_id: str
    impressions: int = Field(description="Searches and reranks, and lists that were imported.")
    with_feedback: int = Field(description="Impressions with at least one piece of feedback.")
    fallbacks: int = Field(description="Impressions whose reranker should have run and did not.")
    feedback: dict[str, int] = Field(description="Pieces of feedback by signal.")
    first_at: Time | None = Field(description="Of the impressions; null: there is none.")
    last_at: Time | None


class AskedQuery(Answer):
    """A query of the log."""

    query: str
    clients: int = Field(description="Distinct `client_id`s that asked it; 0: nobody said who they were.")


class Day(Answer):
    """What was logged on a day (UTC)."""

    day: date
    impressions: int
    with_feedback: int
    fallbacks: int
    took_ms: float | None = Field(description="Mean of the searches that were answered here; null: there was none.")
    searches: int = Field(description="Searches that were answered here: what `took_ms` is the mean of.")
    clicked_rank: float | None = Field(
        default=None, description="Mean rank of the clicked documents, of the newest 5,000 clicks; null: no click."
    )
    clicks: int = Field(default=0, description="Clicks that `clicked_rank` is the mean of.")


class PrunedLogs(Answer):
    """Searches that were deleted for their age."""

    deleted: int
    corpora: dict[str, int] = Field(description="The same by corpus_id; empty: nothing says how long they are kept.")
