"""What differs between two evaluation reports, and between two training runs."""

from __future__ import annotations

from pydantic import Field, JsonValue

from tribrid.answers.answer import Answer, Time
from tribrid.answers.changes import Delta, Means
from tribrid.answers.report import Side


class ComparedDataset(Answer):
    """The eval dataset of one side."""

    sha256: str
    version: int | None


class ComparedCandidates(Answer):
    """What one side reranked."""

    sha256: str
    depth: int
    recall_ceiling: float


class ComparedLatency(Answer):
    """Time to rerank one query, ms."""

    p50: float | None
    p95: float | None


class ComparedReport(Answer):
    """One side of a comparison."""

    evaluation_id: str | None
    corpus_id: str | None
    created_at: Time | None
    system: str | None = Field(description="The system whose measures are compared.")
    side: Side = Field(description="What it is in its own report.")
    model_id: str | None
    run_id: str | None
    decision: str
    eval_dataset: ComparedDataset
    candidates: ComparedCandidates
    latency_ms: ComparedLatency


class Common(Answer):
    """How many queries are compared, and how many are not, and why."""

    queries: int
    judged_differently: int
    only_a: int
    only_b: int

    @property
    def left_out(self) -> int:
        return self.judged_differently + self.only_a + self.only_b


class MeasureDifference(Answer):
    """A measure's means over the common queries, and b - a."""

    a: float
    b: float
    delta: Delta


class QueryDifference(Answer):
    """A query's values on both sides, and b - a."""

    query_id: str
    text: str
    a: Means
    b: Means
    delta: Means
    delta_primary: float


class EvaluationDifference(Answer):
    """The change from a to b over the queries that both asked and judged alike."""

    a: ComparedReport
    b: ComparedReport
    common: Common
    primary_measure: str = Field(description="Report key of the measure that the rows are sorted by.")
    measures: dict[str, MeasureDifference] = Field(description="By report key.")
    notes: tuple[str, ...] = Field(description="What else differs.")
    total: int
    offset: int = 0
    queries: tuple[QueryDifference, ...] = Field(description="The largest change first.")


class ValueDifference(Answer):
    """A value of two runs; null where a run has none."""

    a: JsonValue
    b: JsonValue
    change: float | int | None = Field(default=None, description="b - a, of two numbers.")


class RunDifference(Answer):
    """What differs between two training runs."""

    a: str
    b: str
    differences: dict[str, ValueDifference] = Field(description="By dotted name: causes first, then what came of them.")
    notes: tuple[str, ...] = Field(description="What may not be compared, and why.")
    evaluations: dict[str, str | None] = Field(default={}, description="The newest evaluation of what each run made.")
