"""What a served score means: the share of relevant documents at each score, and what thresholds on it would keep."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tribrid.answers.answer import Answer
from tribrid.answers.changes import Interval

APART = 0.05
"""So much less often right over all queries than within one, and scores do not compare between queries."""


class ScoreOrder(Answer):
    """How often a relevant document has the higher score of two, ties half; null where there are no such two."""

    within_queries: float | None = Field(description="Of two of one query.")
    across_queries: float | None = Field(description="Of two of any queries.")

    @property
    def comparable(self) -> bool | None:
        """Whether scores compare between queries; None: that was not seen."""
        if self.within_queries is None or self.across_queries is None:
            return None
        return self.across_queries >= self.within_queries - APART

    @property
    def told(self) -> str:
        """The same in words: all that is said of it anywhere."""
        if self.within_queries is None or self.across_queries is None:
            return "Whether scores compare between queries could not be seen: there are too few judgments."
        pairs = (
            f"of a relevant document and another the relevant one has the higher score in {self.within_queries:.0%} of "
            f"the pairs of one query, and in {self.across_queries:.0%} of those of any two queries"
        )
        if self.comparable:
            return f"Scores compare between queries about as well as within one: {pairs}."
        return (
            f"Scores do not compare between queries: {pairs}, so one threshold for all queries cuts some too early and "
            "some too late."
        )


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


class Answerability(Answer):
    """How well the best score of a query tells whether it has an answer: a document that is relevant."""

    system: str
    with_answer: int = Field(description="Queries with a relevant document.")
    without_answer: int = Field(description="Queries of which documents were judged, and none is relevant.")
    auroc: float = Field(
        description="How often, of a query with an answer and one without, the former's best score is the higher one, "
        "ties half. 0.5: scores tell nothing."
    )
    auroc_ci95: Interval
    threshold: float = Field(description="On the best score: below it, say that there is no answer.")
    by: Literal["setting", "both kinds"] = Field(
        description="Where the threshold is from: evaluation.score_threshold, or what tells most of both kinds apart."
    )
    held_out: bool = Field(description="Whether it was measured on queries that did not choose it.")
    precision: float | None = Field(description="Of the queries it keeps, the share with an answer.")
    precision_ci95: Interval | None
    recall: float = Field(description="Of the queries with an answer, the share it keeps.")
    recall_ci95: Interval

    @property
    def told(self) -> str:
        """In words."""
        low, high = self.auroc_ci95
        kept = "nothing is kept"
        if self.precision is not None and self.precision_ci95 is not None:
            kept = (
                f"{self.precision:.0%} of what is kept has an answer [{self.precision_ci95[0]:.0%}, "
                f"{self.precision_ci95[1]:.0%}], and {self.recall:.0%} of what has one is kept"
            )
        return (
            f"{self.without_answer:,} queries have no answer here: the best score of one that has is the higher in "
            f"{self.auroc:.0%} of the pairs [{low:.0%}, {high:.0%}]; from {self.threshold:.3f} on, {kept}."
        )
