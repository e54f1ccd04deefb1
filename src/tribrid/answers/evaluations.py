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


class EvaluationList(Answer):
    """A corpus's evaluations, newest first."""

    evaluations: tuple[EvaluationRow, ...]
