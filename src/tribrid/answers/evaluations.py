"""The list of a corpus's evaluations."""

from __future__ import annotations

from pydantic import Field

from tribrid.answers.answer import Answer, Time


class EvaluationRow(Answer):
    """An evaluation, and what it decided."""

    evaluation_id: str
    corpus_id: str
    created_at: Time
    model_id: str | None = Field(description="Null: no model was trained yet.")
    run_id: str | None
    decision: str
    scheduled: bool = Field(default=False, description="Made by evaluation.schedule, of what served.")
    measure: str = Field(default="", description="Report key of the measure that decides.")
    systems: dict[str, float] = Field(default={}, description="Each system's mean of it.")


class EvaluationList(Answer):
    """A corpus's evaluations, newest first."""

    evaluations: tuple[EvaluationRow, ...]
