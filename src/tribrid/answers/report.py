"""The evaluation report, a row for each of its queries, and the list of a corpus's reports."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import ConfigDict, Field, JsonValue, model_validator

from tribrid.answers.answer import Answer, Time
from tribrid.answers.calibration import Answerability, Calibration
from tribrid.answers.changes import Consistency, CorpusPart, Delta, Gate, Interval, Means, SlicePart, Verdict
from tribrid.answers.costs import EvaluationCost
from tribrid.answers.evalsets import LabelSource, LogSpan

Side = Literal["before", "after"]


class EvalDatasetFacts(Answer):
    """The eval dataset that was measured on."""

    sha256: str
    version: int | None = None
    queries: int
    judgments: int
    excluded: int = Field(description="Queries without a relevant document: no measure has a value for them.")
    source: LabelSource = Field(default="judgments", description="Whose word its labels are.")
    log: LogSpan | None = Field(default=None, description="What it was made from; null: people judged it.")

    @property
    def counted(self) -> int:
        """Queries that every measure is the mean of."""
        return self.queries - self.excluded


class Origin(Answer):
    """Where the candidates are from, and whether they are those that the dataset was measured on before."""

    corpus_version: int | None = None
    bundle_sha256: str | None = None
    same_as_before: bool | None = Field(default=None, description="Null: it was never measured on before.")
    changed: tuple[str, ...] = Field(default=(), description="What differs from then.")


class Candidates(Origin):
    """The documents that every system ordered."""

    depth: int = Field(description="At most so many a query.")
    sha256: str
    recall_ceiling: float = Field(description="Mean share of the relevant documents that are among them, 0 to 1.")


class Compared(Answer):
    """The names of the two systems that are compared."""

    before: str
    after: str | None = Field(description="Null: there is no trained model.")
    serves: str | None = Field(
        default=None, description="What searches got at that time, where that is neither of the two."
    )

    @property
    def heading(self) -> str:
        """Of what stands under `before`: it names what serves."""
        return f"Before: {self.before}" if self.serves is None else f"{self.before} ({self.serves} serves)"


class System(Answer):
    """A system's mean of each measure, by report key, beside what is said of it."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, float] = Field(init=False)

    ci95: dict[str, Interval] = Field(description="95 % interval of each mean, by report key.")
    after_minus: Delta | None = Field(default=None, description="after - this system, in the primary measure.")

    @property
    def means(self) -> dict[str, float]:
        """Report key → mean."""
        return self.__pydantic_extra__


class OutsideSystem(Answer):
    """What is known of a system that the caller added, or of the order that came with the documents."""

    kind: str | None = Field(default=None, description="run, model, cloud or given.")
    model_id: str | None = None
    provider: str | None = None
    url: str | None = None
    model: str | None = None
    sha256: str | None = Field(default=None, description="Of the run.")
    tag: str | None = Field(default=None, description="The run's own name for itself.")
    restrict: bool | None = Field(default=None, description="Whether only its order of the frozen candidates counts.")
    own_candidates: bool = Field(default=False, description="Whether it is judged with what it retrieved itself.")
    queries_found: int | None = None
    queries_missing: int | None = None


class Latency(Answer):
    """Time to rerank one query, ms; null where nothing was timed."""

    p50: float | None
    p95: float | None
    queries: int = 0


class Fallbacks(Answer):
    """Queries on which after served the retrieval order instead of its own."""

    count: int = 0
    reasons: dict[str, int] = Field(default={})


class Leakage(Answer):
    """Which queries of the eval dataset also stood in the training data."""

    overlapping: tuple[str, ...] = Field(description="Their query_ids.")
    exact: int = Field(default=0, description="How many of them word for word.")
    checked: int = Field(default=0, description="Training queries that were looked at.")
    read_searches: bool = Field(
        default=False, description="Whether the model learned from searches that an eval dataset from logs was made of."
    )
    eval_queries: int = 0


class Looks(Answer):
    """How often the eval dataset was measured on, this time included."""

    count: int
    models: int = 0
    false_promotion_risk: float | None = Field(
        default=None, description="How likely one of so many models passes by luck, were none of them better, 0 to 1."
    )


class Riser(Answer):
    """A document that a model lifts into the top 10 on what few clients did."""

    query: str = Field(description="A frequent query of the log.")
    doc_id: str
    before: int = Field(description="Its rank.")
    after: int = Field(description="Its rank with the trained model.")
    without: int | None = Field(
        description="Its rank if the model did not remember what these clients did; null: it learned from them more "
        "than it remembers, against what many others used."
    )
    clients: int = Field(description="How many they are. All that name no client_id are one.")


class Risers(Answer):
    """What a model lifts into the top 10 of frequent queries, and whom it believes."""

    skipped: str | None = Field(default=None, description="Why nothing was looked at.")
    queries: int = Field(default=0, description="Frequent queries that were looked at.")
    clients: int = Field(default=0, description="Clients in the log.")
    risen: int = Field(default=0, description="Documents that rise into the top 10, whatever for.")
    named: tuple[Riser, ...] = Field(default=(), description="Those that rise on what too few clients did.")


class FieldDrift(Answer):
    """A field of the documents' metadata, in what the model learned from and in what it was measured on."""

    name: str
    kind: str = Field(description="number, date or category.")
    missing_then: float = Field(description="Share of the candidates of training queries that had none, 0 to 1.")
    missing_now: float = Field(description="The same of the candidates of this evaluation.")
    psi: float = Field(description="Population stability index between the two: 0.1 is a change, 0.25 a large one.")
    drifted: bool = Field(description="Whether that is large, and more than chance makes of so few documents.")
    told: str = Field(description="The same in words.")


class LearningPoint(Answer):
    """A measurement on queries held out of the training data."""

    step: int
    epoch: float | None = None
    loss: float | None = Field(default=None, description="Mean since the point before.")
    dev_ndcg: float | None = Field(default=None, alias="dev_ndcg@10", description="The cross-encoder alone.")
    dev_served_ndcg: float | None = Field(default=None, alias="dev_served_ndcg@10", description="With the blend.")
    dev_spread: float | None = None
    dev_margin: float | None = None


class Statistics(Answer):
    """How intervals and p-values were made."""

    resamples: int
    confidence: float
    seed: int


class About(Answer):
    """Where a report comes from."""

    status: str = "succeeded"
    evaluation_id: str | None = None
    corpus_id: str | None = None
    created_at: Time | None = None
    model_id: str | None = Field(default=None, description="The model that `after` is; null: none was trained.")
    champion_id: str | None = Field(default=None, description="What served then; null: no trained model.")
    run_id: str | None = Field(default=None, description="The training run that made the model.")
    mode: str = Field(default="learning", description="reranking.reranker_mode.")
    scheduled: bool = Field(default=False, description="Made by evaluation.schedule, of what served.")
    training: dict[str, JsonValue] | None = Field(default=None, description="What the training measured of itself.")
    heaviest_client: float | None = Field(
        default=None,
        description="Of the pairs it learned from that clients' acts made, the share of the client with the most.",
    )
    learning_curve: tuple[LearningPoint, ...] = ()
    queries_url: str | None = Field(default=None, description="Where the report stands query by query.")


class EvaluationReport(About):
    """Every number of a before/after comparison. Measures have one name each, their report key."""

    promoted: bool = Field(default=False, description="Whether the model serves because of this report.")
    eval_dataset: EvalDatasetFacts
    candidates: Candidates
    primary_measure: str = Field(description="Report key of the measure that the gate decides on.")
    primary_reason: str = Field(default="", description="Why that one.")
    measures: tuple[str, ...] = Field(description="Report keys of all that was measured.")
    compared: Compared
    before: Means | None = Field(description="Null: the system failed.")
    after: Means | None = Field(description="Null: there is no trained model, or it failed.")
    delta: dict[str, Delta] | None = Field(description="after - before, by report key; null: a side is missing.")
    systems: dict[str, System | None] = Field(description="By name; null where there is no such system.")
    outside: dict[str, OutsideSystem] = Field(default={}, description="Systems that the caller added.")
    slices: tuple[SlicePart, ...] = Field(default=(), description="The primary measure on kinds of queries.")
    corpora: tuple[CorpusPart, ...] = Field(
        default=(), description="The same change on other corpora, if some were asked for."
    )
    consistency: Consistency | None = None
    verdict: Verdict
    gate: Gate | None = None
    notes: tuple[str, ...] = ()
    latency_ms: Latency
    calibration: Calibration | None = Field(default=None, description="Null: there is nothing to read from the scores.")
    answerable: Answerability | None = Field(
        default=None, description="Null: the eval dataset has no query without an answer."
    )
    cost: EvaluationCost = EvaluationCost()
    fallbacks: Fallbacks = Fallbacks()
    leakage: Leakage | None = Field(default=None, description="Null: there were no training queries to check.")
    failed: dict[str, str] = Field(default={}, description="Systems that could not be run, and what happened.")
    looks: Looks | None = None
    risers: Risers | None = Field(default=None, description="Null: no model trained here was measured.")
    fields: tuple[FieldDrift, ...] = Field(default=(), description="Those that features.fields named at the training.")
    settings: Statistics

    @model_validator(mode="before")
    @classmethod
    def _of_older_builds(cls, data: Any) -> Any:
        """They stored two names of a measure, a time in microseconds, and {} for what was not checked."""
        if not isinstance(data, dict) or "primary_key" not in data:
            return data
        made_us = data.get("created_us")
        return data | {
            "primary_measure": data["primary_key"],
            "measures": list(data["measures"]),
            "created_at": None if made_us is None else datetime.fromtimestamp(made_us / 1e6, UTC),
            "leakage": data.get("leakage") or None,
        }

    def means(self, side: Side) -> Means | None:
        """What `before` or `after` measured."""
        return self.after if side == "after" else self.before

    @property
    def primary_first(self) -> list[str]:
        """The measures, the one that decides first."""
        return sorted(self.measures, key=lambda key: key != self.primary_measure)

    @property
    def primary_delta(self) -> Delta | None:
        """The change in the measure that decides."""
        return self.delta[self.primary_measure] if self.delta else None

    @property
    def corrected(self) -> bool:
        """Whether the p-values are corrected for looking at several measures."""
        return any(entry.p_holm is not None for entry in (self.delta or {}).values())


class TopDoc(Answer):
    """A document of a ranking."""

    rank: int
    doc_id: str
    score: float
    grade: int | None = Field(description="Null: nobody has judged it.")

    @property
    def relevant(self) -> bool:
        return (self.grade or 0) >= 1


class RelevantDoc(Answer):
    """A relevant document's rank before and after; null where it is not in that ranking."""

    doc_id: str
    grade: int
    before: int | None
    after: int | None


class QueryRow(Answer):
    """What one query won or lost."""

    query_id: str
    text: str
    before: Means | None = None
    after: Means | None = None
    delta: Means | None = Field(default=None, description="after - before, by report key.")
    delta_primary: float | None = Field(default=None, description="The same in the primary measure.")
    top_before: tuple[TopDoc, ...] = Field(default=(), description="The first 10 documents.")
    top_after: tuple[TopDoc, ...] = ()
    relevant: tuple[RelevantDoc, ...] = Field(default=(), description="At most 20, the highest grade first.")
    relevant_total: int = 0
    slices: tuple[str, ...] = Field(
        default=(), description="The kinds of queries that it is one of, each as field=slice of the report's `slices`."
    )

    def means(self, side: Side) -> Means | None:
        """What `before` or `after` measured."""
        return self.after if side == "after" else self.before


class QueryRows(Answer):
    """A page of a report's rows."""

    evaluation_id: str
    total: int
    offset: int
    queries: tuple[QueryRow, ...]
