"""Whether there is enough data to train on, and whether an eval dataset is fit to decide on."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tribrid.answers.answer import Answer


class ExpectedGain(Answer):
    """A rough guide to what a training may bring."""

    measure: str = Field(description="Report key.")
    low: float
    high: float
    basis: str
    measured: dict[str, float] = Field(description="The changes that it was scaled from.")


class Assessment(Answer):
    """Yes, no or perhaps, and why."""

    ready: bool = Field(description="Whether the answer is yes.")
    answer: Literal["yes", "perhaps", "no"]
    summary: str
    missing: tuple[str, ...] = Field(description="What stands in the way.")
    advice: tuple[str, ...] = Field(description="What would help.")
    expected_gain: ExpectedGain
    detectable_change: float | None = Field(
        description="The smallest change that the eval dataset tells from chance four times out of five; null: there "
        "is no eval dataset."
    )
    standing: str = Field(
        description="The eval dataset in words.",
        examples=["34 of 50 queries; a change of 0.090 would show now, 0.060 at 80."],
    )


class Searches(Answer):
    """The log."""

    looked_at: int
    at_least: bool = Field(description="Whether there are more.")
    acts: int = Field(description="Pieces of feedback.")


class LabelCounts(Answer):
    """Labelled queries of one source that may be mined."""

    queries: int
    positives: int
    in_eval_dataset: int = Field(description="Left out, because the eval dataset asks them too.")
    at_least: bool = Field(description="Whether there are more.")


class EstimatedQueries(Answer):
    """Queries that the documents ask of themselves."""

    queries: int
    estimate: bool = True


class LabelSources(Answer):
    """Where labels are from."""

    logs: LabelCounts
    judgments: LabelCounts
    heuristics: EstimatedQueries


class Coverage(Answer):
    """The share of sampled positives that retrieval brings within the reranker's depth."""

    share: float | None = Field(description="Null: not measured, for this reason.")
    reason: str | None = None
    queries: int | None = None
    positives: int | None = None
    depth: int | None = None


class Readiness(Assessment):
    """Whether there is enough data to train a reranker and to see what came of it."""

    corpus_id: str
    documents: int
    passages: int
    searches: Searches
    labels: LabelSources
    labelled_documents: int
    coverage: Coverage
    eval_queries: int | None = Field(description="With a relevant document; null: there is no eval dataset.")


class Problem(Answer):
    """What is wrong with an eval dataset."""

    code: str
    severity: Literal["error", "warning"] = Field(
        description="error: a verdict on the dataset would mislead; warning: it says less than it seems to."
    )
    detail: str
    count: int
    examples: tuple[str | tuple[str, ...], ...] = Field(description="Ids, or groups of them; the first few.")


class Power(Answer):
    """What change a dataset can show."""

    effect: float = Field(description="The change that one hopes to see.")
    detectable: float | None = Field(description="The smallest change that it shows four times out of five.")
    independent_queries: int = Field(description="Near-duplicates count as one.")
    queries_needed: int = Field(description="To show the effect.")
    spread: float = Field(description="Standard deviation of per-query differences.")
    basis: str = Field(description="Where the spread is from.")


class Soundness(Answer):
    """Whether an eval dataset is fit to decide on."""

    ok: bool = Field(description="Whether there is no error.")
    problems: tuple[Problem, ...]
    queries: int
    evaluable: int = Field(description="Queries with a relevant document.")
    judgments: int
    grades: dict[str, int] = Field(description="How many judgments have each grade.")
    positives_per_query: float
    primary_measure: str = Field(description="Report key.")
    recall_ceiling: float | None = Field(description="Null: it was never measured on.")
    power: Power


class EvalDatasetCheck(Soundness):
    """The same of one version of a corpus's eval dataset."""

    corpus_id: str
    version: int
    sha256: str
