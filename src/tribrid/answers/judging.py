"""What a model said of documents, how well it agrees with people, and what its labels count for."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tribrid.answers.answer import Answer, Time
from tribrid.answers.costs import CostEstimate, GenerationCost


class JudgeAgreement(Answer):
    """How well a model's grades agree with people's, on the documents that both graded."""

    pairs: int = Field(description="Of a query and a document that both graded.")
    queries: int
    kappa: float | None = Field(description="Quadratically weighted; 0: as by chance. Null: `why` says why not.")
    low: float | None = Field(description="Of its interval; null: too few queries.")
    high: float | None
    table: tuple[tuple[int, ...], ...] = Field(
        description="How often people gave each grade (rows) where the model gave each (columns)."
    )
    why: str | None = Field(description="Why it cannot be told, in words.")


class JudgeStanding(Answer):
    """The judge in force, and what its labels are worth."""

    corpus_id: str
    source: Literal["judge"] = Field(default="judge", description="Whose word it is: a model's, and nobody's judgment.")
    judge: str | None = Field(description="The model; null: none is set.")
    protocol: str
    judge_sha256: str = Field(
        description="Of model, shape, guideline and prompt: another one's labels are other labels."
    )
    guideline: str
    labels: int = Field(description="Documents graded in both orders, once for each query.")
    unanswered: int = Field(description="Documents of which a grade is missing; the next judging asks again.")
    same_grade: float | None = Field(description="Share of the labels for which both orders give the same grade.")
    unsure: int = Field(description="Labels whose two orders are so far apart that nothing is learned from them.")
    agreement: JudgeAgreement
    weight: float = Field(description="What its labels count for in mining; a person's: 1. 0: nothing.")
    told: str = Field(description="The same in words.")


class JudgeLabelRow(Answer):
    """What a model said of one document for one query."""

    query: str
    doc_id: str
    judge: str
    grade: float | None = Field(description="0 to 3, the mean of the two orders; null: one is missing.")
    forward: float | None
    backward: float | None
    reason: str = Field(description="As the model gave it, or its probabilities.")
    failure: str | None = Field(description="Why a grade is missing.")
    tokens: int
    usd: float | None = Field(description="Dollars; null: no price is known.")
    judged_at: Time | None


class JudgeLabelPage(JudgeStanding):
    """Some of its labels."""

    rows: tuple[JudgeLabelRow, ...]
    total: int


class JudgingCost(GenerationCost):
    """What a judging cost; `units` are the tokens that the model reads."""

    estimated: CostEstimate | None = Field(default=None, description="What was expected before it ran.")


class JudgingResult(Answer):
    """What a judging did."""

    status: Literal["succeeded"] = "succeeded"
    job_id: str
    queries: int = Field(description="Lists that were to be judged.")
    documents: int = Field(description="In all of them.")
    asked: int = Field(description="Questions.")
    answered: int
    failed: int
    stopped: Literal["budget", "failures", "questions"] | None = Field(description="Why the asking ended early.")
    trouble: str | None = Field(description="The last failure.")
    left_over: int = Field(description="Questions that the next judging asks.")
    standing: JudgeStanding
    cost: JudgingCost
