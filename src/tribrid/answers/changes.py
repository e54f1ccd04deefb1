"""A measured change, and what hangs on it: the same in parts of the queries and on other corpora, and the verdict."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tribrid.answers.answer import Answer

CERTAIN = 0.05
"""A p-value up to this, and an interval without 0, tell a change from chance."""

Interval = Annotated[tuple[float, float], Field(description="Lower and upper bound.")]
Means = Annotated[dict[str, float], Field(description="By report key of the measure, 0 to 1.")]


class Delta(Answer):
    """after - before of one measure over the same queries."""

    mean: float
    ci95: Interval = Field(description="95 % interval of the mean.")
    p_value: float = Field(description="Two-sided, of the paired randomisation test.")
    wins: int = Field(description="Queries that got better.")
    losses: int = Field(description="Queries that got worse.")
    ties: int = Field(description="Queries that stayed the same.")
    ci: Interval = Field(description="Interval of the mean at `confidence`, which the gate reads.")
    confidence: float
    p_holm: float | None = Field(
        default=None,
        description="`p_value` corrected for all that was looked at together; null: it was looked at alone.",
    )

    @property
    def queries(self) -> int:
        return self.wins + self.losses + self.ties

    @property
    def p(self) -> float:
        """The p-value to read: the corrected one, where there is one."""
        return self.p_value if self.p_holm is None else self.p_holm

    @property
    def certain(self) -> Literal["gain", "loss"] | None:
        """What it is where interval and p-value both tell it from chance."""
        low, high = self.ci95
        if self.p > CERTAIN or low <= 0 <= high:
            return None
        return "gain" if low > 0 else "loss"


class Part(Answer):
    """The primary measure on some of the queries."""

    queries: int
    before: float | None = Field(default=None, description="Mean of the primary measure.")
    after: float | None = None
    delta: Delta | None = None


def slice_key(field: str, name: str) -> str:
    """What a query's row calls a slice."""
    return f"{field}={name}"


class SlicePart(Part):
    """Queries that have something in common."""

    field: str = Field(description="What they are told apart by: their length, a field of the documents' metadata ...")
    slice: str = Field(description="What they have in common.")
    without_memory: Part | None = Field(
        default=None,
        description="The same with the same model without memory of past queries, where they are told apart by what "
        "training had seen; null: elsewhere, or nothing is remembered.",
    )

    @property
    def key(self) -> str:
        """What the rows of its queries name it by."""
        return slice_key(self.field, self.slice)

    @property
    def shown(self) -> list[tuple[str, Part]]:
        """The rows of a table: what each is, and its change."""
        without = [] if self.without_memory is None else [(f"{self.field}, without memory", self.without_memory)]
        return [(self.field, self), *without]


class CorpusPart(Part):
    """The queries of one corpus's own eval dataset."""

    corpus_id: str
    model_id: str | None = None
    transferred: bool = Field(default=False, description="Whether the model was trained on another corpus.")
    compared_with: str | None = Field(default=None, description="The system that `before` is.")
    leaked: int = Field(default=0, description="Queries that the model was trained on.")


class Pooled(Answer):
    """The mean of the corpora's mean changes: each corpus counts the same."""

    mean: float
    ci95: Interval


class Heterogeneity(Answer):
    """Whether the corpora differ by more than chance."""

    q: float = Field(description="Cochran's Q.")
    p_value: float
    i2: float = Field(description="Share of the scatter that is no chance, 0 to 1.")


class Consistency(Answer):
    """Whether the gain is the same on every corpus."""

    consistent: Literal["yes", "no", "unclear"]
    reasons: tuple[str, ...] = ()
    measure: str = Field(default="", description="Report key.")
    gains: int = Field(default=0, description="Corpora with a rise.")
    losses: int = Field(default=0, description="Corpora with a fall.")
    pooled: Pooled | None = None
    heterogeneity: Heterogeneity | None = Field(default=None, description="Null: too few corpora change at all.")


class Verdict(Answer):
    """What to do with the trained model, and why: one sentence a reason."""

    decision: Literal["promote", "keep"]
    reasons: tuple[str, ...] = ()


class Guard(Answer):
    """One thing that the gate looked at."""

    name: str
    passed: bool | None = Field(description="Null: there was nothing to look at, or nobody asked for it.")
    detail: str


class Gate(Answer):
    """What the gate asked for, and all that it looked at."""

    minimum_effect: float | None = Field(default=None, description="Least gain of the primary measure.")
    guards: tuple[Guard, ...] = ()
