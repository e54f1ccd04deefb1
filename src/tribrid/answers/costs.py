"""What a job costs: dollars, and seconds of this machine."""

from __future__ import annotations

from pydantic import Field

from tribrid.answers.answer import Answer


class Cost(Answer):
    """What some use of a model costs, or did cost."""

    model: str | None = None
    kind: str | None = Field(default=None, description="RERANK, EMB or GEN.")
    provider: str | None = Field(default=None, description="`local`: this machine.")
    unit: str | None = Field(default=None, description="What `units` counts: pairs, queries, tokens or searches.")
    units: float | int | None = None
    requests: int | None = None
    usd: float | None = Field(default=None, description="Dollars; null: no price is known.")
    as_of: str | None = Field(default=None, description="The day of the price.")
    note: str | None = None
    compute_s: float | None = Field(default=None, description="Seconds of this machine.")


class EvaluationCost(Cost):
    """What an evaluation cost, its services included."""

    cloud: dict[str, Cost] = Field(
        default={}, description="Each rerank service that was asked, by the name of its arm."
    )
    estimated: EvaluationCost | None = Field(default=None, description="What was expected before it ran.")
