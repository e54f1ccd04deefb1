"""What a served score means: the share of relevant documents at each score, and what thresholds on it would keep."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tribrid.answers.answer import Answer
from tribrid.answers.changes import Interval


class ScoreOrder(Answer):
    """How often a relevant document has the higher score of two, ties half; null where there are no such two."""

    within_queries: float | None = Field(description="Of two of one query.")
    across_queries: float | None = Field(description="Of two of any queries.")


class Band(Answer):
    """A band of scores: pairs of query and document."""

    low: float
    high: float
    mean_score: float
    pairs: int
    judged: int
    relevant: int
    share: float | None = Field(description="Of the pairs that are relevant; an unjudged one counts as not relevant.")
    ci95: Interval | None
    share_of_judged: float | None = Field(description="Null: only relevant documents were judged.")


class Kept(Answer):
    """What keeping every score of at least a threshold means."""

    kept_per_query: float
    queries_with_none: int
    precision: float | None
    precision_ci95: Interval | None
    precision_of_judged: float | None
    recall: float | None
    recall_ci95: Interval | None


class Threshold(Kept):
    """A threshold and what it keeps."""

    threshold: float


class ChosenThreshold(Threshold):
    """The threshold to use, and where it is from."""

    by: Literal["setting", "best F1"]
    held_out: bool = Field(description="Whether it was measured on queries that did not choose it.")


class Calibration(Answer):
    """The scores of one system over all queries."""

    system: str
    queries: int
    pairs: int
    judged: int
    relevant: int
    relevant_not_candidates: int = Field(description="Relevant documents that retrieval did not find.")
    order: ScoreOrder
    bins: tuple[Band, ...] = Field(description="From the highest score down.")
    thresholds: tuple[Threshold, ...] = Field(description="Lowest first.")
    chosen: ChosenThreshold
    notes: tuple[str, ...]
