"""Model versions: what each was made from, what became of it, and which of them serves."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, JsonValue

from tribrid.answers.answer import Answer, Time
from tribrid.answers.changes import Delta, Means
from tribrid.answers.jobs import MiningClients
from tribrid.types import Source


class ModelFacts(Answer):
    """A model version, and what its training says of it."""

    model_id: str
    corpus_id: str
    run_id: str
    artifact: str = Field(description="Names its files by their content.")
    created_at: Time
    base: dict[str, JsonValue] | None = Field(description="The base model: its name and hash.")
    data: dict[str, JsonValue] | None = Field(description="What it was trained on: ids, hashes and counts.")
    config: dict[str, JsonValue] | None = Field(description="The settings of the training.")
    versions: dict[str, JsonValue] | None = Field(description="Of Tribrid and the libraries.")
    metrics: dict[str, JsonValue] | None = Field(description="What the training measured of itself.")


class ModelNames(Answer):
    """Which model has which name."""

    corpus_id: str
    champion: str | None = Field(description="Serves now; null: no trained model.")
    challenger: str | None = Field(description="The newest that was trained and never served.")
    previous: str | None = Field(description="What a rollback brings; null: no trained model.")
    can_roll_back: bool


class ModelPromotion(Answer):
    """A change of champion."""

    model_id: str | None = Field(description="Null: no trained model, from then on.")
    instead_of: str | None
    kind: Literal["gate", "hand", "force", "experiment", "rollback"] = Field(
        description="By an evaluation that it won; by a person, on such an evaluation; by a person, without; by an "
        "experiment that it won; back to the one before."
    )
    forced: bool
    reason: str
    evaluation_id: str | None = Field(description="The evaluation that it rests on.")
    at: Time


class ModelList(ModelNames):
    """A corpus's model versions, newest first, and every promotion."""

    models: tuple[ModelFacts, ...]
    promotions: tuple[ModelPromotion, ...]


class CodeVersion(Answer):
    """The program that trained."""

    version: str | None
    sha256: str | None


class CorpusVersion(Answer):
    """The corpus as it was then."""

    corpus_id: str
    version: int | None


class SourceTotals(Answer):
    """How much of one source there is among the triplets."""

    queries: int
    triplets: int


class TripletSetFacts(Answer):
    """The triplets that a model learned from."""

    triplet_set_id: str
    sha256: str | None
    mined_at: Time
    params: dict[str, JsonValue] = Field(description="What the mining was asked to do differently from the settings.")
    by_source: dict[str, SourceTotals]
    clients: MiningClients | None = Field(default=None, description="Who was behind the log; null: not known.")
    erased_triplets: int = Field(description="Erased since the training.")


class ModelLineage(Answer):
    """What a model was made from, by hash and count."""

    code: CodeVersion
    corpus: CorpusVersion
    kept_out_eval_dataset: str | None = Field(description="Hash of the eval dataset whose queries were left out.")
    triplet_set: TripletSetFacts | None = Field(description="Null: it is gone.")
    impressions: int = Field(description="Logged searches that mining read for it.")
    queries_url: str = Field(description="Where its training queries are listed.")


class ModelEvaluation(Answer):
    """A measurement of a model."""

    evaluation_id: str
    at: Time
    eval_dataset: str = Field(description="Its hash.")
    compared_with: str | None = Field(description="What served then; null: no trained model.")
    decision: str
    after: Means = Field(description="The model's means, by report key.")


class ModelErasure(Answer):
    """What was erased of what a model learned from."""

    at: Time
    kind: str
    erased: dict[str, int] = Field(description="Rows by kind.")


class ModelRecord(ModelFacts):
    """Everything that is kept of a model version."""

    aliases: tuple[str, ...] = Field(description="Its names: champion, challenger, previous.")
    lineage: ModelLineage
    evaluations: tuple[ModelEvaluation, ...]
    promotions: tuple[ModelPromotion, ...]
    erasures: tuple[ModelErasure, ...]


class ReadSearch(Answer):
    """A logged search that mining read."""

    query_id: str
    at: Time
    client_id: str | None
    feedback: int = Field(description="Pieces of feedback.")


class TrainingQuery(Answer):
    """A query that a model was trained on, and what its labels rest on."""

    query_id: str
    query: str
    source: Source
    triplets: int
    evidence: tuple[str, ...] = Field(description="Searches, judgments or documents, by their ids.")
    impressions: tuple[ReadSearch, ...] = Field(description="The first ones.")
    impressions_total: int


class TrainingQueries(Answer):
    """A page of a model's training queries."""

    model_id: str
    triplet_set_id: str | None
    total: int
    offset: int
    queries: tuple[TrainingQuery, ...]


class OrdersAgree(Answer):
    """How alike two orders of the same candidates are, as means over the queries."""

    kendall_tau: float = Field(description="1: the same order; 0: as alike as chance makes them.")
    shared_at_10: float = Field(description="Share of the first ten that both have there.")


class StudentMeasures(Answer):
    """What a student is worth on an eval dataset, on the same candidates as its teacher and the first stage."""

    eval_dataset: str = Field(description="Its sha256.")
    queries: int
    ndcg_at_10: dict[str, float] = Field(description="Of `first_stage`, `teacher` and `student`.")
    over_first_stage: Delta = Field(description="The student's minus the first stage's.")
    over_teacher: Delta = Field(description="The student's minus the teacher's.")


class Student(Answer):
    """A cross-encoder that was taught a model's order."""

    base_model: str
    learned_from: dict[str, int] = Field(description="Queries by where they are from: `training`, `log`, `documents`.")
    lists: int = Field(description="Queries that there was time to learn from.")
    steps: int = Field(description="After how many steps it was best.")
    took_s: float
    max_tokens: int = Field(description="That it reads of a pair.")
    snippet_chars: int = Field(description="That it was taught on of a passage's text.")
    held_out: int = Field(description="Queries that it did not learn from, on which the orders are compared.")
    agrees: OrdersAgree = Field(description="The student's order with the teacher's.")
    first_stage_agrees: OrdersAgree = Field(description="The first stage's order with the teacher's.")
    measured: StudentMeasures


class ModelExport(Answer):
    """A folder that was written."""

    model_id: str
    folder: str
    files: tuple[str, ...]
    loads_in: dict[str, str] = Field(description="Library → how it loads what it can.")
    student: Student | None = Field(default=None, description="What was written, where that is a cross-encoder taught.")
