"""What was erased, and who had used it. Never what it was."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tribrid.answers.answer import Answer, Time
from tribrid.types import JobKind

ErasureKind = Literal["list", "query", "client", "document"]


class ErasedTripletSet(Answer):
    """A triplet set that held some of it."""

    triplet_set_id: str = Field(examples=["c0de"])
    triplets: int = Field(description="How many went.")


class ErasedEvalDataset(Answer):
    """A version of the eval dataset that held some of it, and is gone."""

    sha256: str
    version: int
    queries: int = Field(description="How many of its queries went or changed.")
    replaced_by: str | None = Field(
        description="The sha256 of what is in force in its place; null: it was not in force, or nothing is left to "
        "measure on."
    )


class TaughtModel(Answer):
    """A model that learned from it."""

    model_id: str = Field(examples=["5b1e"])
    aliases: tuple[str, ...] = Field(description="Such as `champion`: it serves.")


class StoppedJob(Answer):
    """A job under way that may have read it: it ends with an error."""

    job_id: str
    kind: JobKind


class ErasureReport(Answer):
    """How much went, and who had used it."""

    erased: dict[str, int] = Field(description="Rows by kind.", examples=[{"impressions": 1, "triplets": 14}])
    triplet_sets: tuple[ErasedTripletSet, ...]
    eval_datasets: tuple[ErasedEvalDataset, ...]
    models: tuple[TaughtModel, ...]
    jobs: tuple[StoppedJob, ...]


class ErasureRecord(ErasureReport):
    """What is kept of an erasure."""

    kind: ErasureKind
    at: Time


class ErasureDone(ErasureRecord):
    """An erasure, and what is left to do."""

    corpus_id: str
    advice: tuple[str, ...] = Field(description="What no erasure can do by itself.")


class ErasureList(Answer):
    """Every erasure, newest first."""

    erasures: tuple[ErasureRecord, ...]
