"""What a job costs: dollars, and seconds of this machine."""

from __future__ import annotations

from typing import Literal

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


class GenerationCost(Cost):
    """What queries from a language model cost; `units` are the tokens that it reads."""

    output_units: float | int | None = Field(default=None, description="Tokens that it writes.")
    passages: int | None = Field(default=None, description="Of an estimate: the passages that it is asked about.")


class CostEstimate(Cost):
    """What a job will cost, before it runs, its services included."""

    generation: GenerationCost | None = Field(
        default=None, description="The language model: of a mining what writes queries, of a judging what judges."
    )
    cloud: dict[str, Cost] = Field(
        default={}, description="Of an evaluation: each rerank service that it asks, by the name of its arm."
    )
    estimate: Literal[True] = True


class MiningCost(Cost):
    """What a mining cost."""

    generation: GenerationCost | None = Field(default=None, description="Queries from a language model.")
    estimated: CostEstimate | None = Field(default=None, description="What was expected before it ran.")


class TrainingCost(Cost):
    """What a training cost."""

    estimated: CostEstimate | None = Field(default=None, description="What was expected before it ran.")


class EvaluationCost(Cost):
    """What an evaluation cost, its services included."""

    cloud: dict[str, Cost] = Field(
        default={}, description="Each rerank service that was asked, by the name of its arm."
    )
    estimated: CostEstimate | None = Field(default=None, description="What was expected before it ran.")
