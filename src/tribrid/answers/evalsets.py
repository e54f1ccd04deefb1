"""Eval datasets and their versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, JsonValue

from tribrid.answers.answer import Answer, Time, time_at
from tribrid.answers.judgments import UnknownDocuments
from tribrid.types import JudgedQuery
from tribrid.types.evidence import LogEvidence

BundleSource = Literal["retrieval", "import"]
"""Where candidates are from: the corpus's own retrieval, or they were put with the dataset."""


LabelSource = Literal["judgments", "logs"]
"""Whose word the labels are: people's who judged, or what users did, read by a click model."""


class LogSpan(Answer):
    """The held-out span of a log that an eval dataset was made from."""

    since: Time
    until: Time = Field(description="The first moment after it.")
    clients: int = Field(description="Distinct clients whose acts count; 0: none is known.")
    searches: int
    examination: tuple[float, ...] = Field(description="Chance that each of the first ranks is looked at.")

    @property
    def told(self) -> str:
        """In words."""
        who = f"{self.clients:,} clients" if self.clients else "clients nobody named"
        return f"{self.searches:,} searches of {who}, {self.since:%Y-%m-%d} to {self.until:%Y-%m-%d}"


def log_span(evidence: LogEvidence | None) -> LogSpan | None:
    """What is said of what a dataset rests on; None where people judged it."""
    if evidence is None:
        return None
    return LogSpan(
        since=time_at(evidence.since_us),
        until=time_at(evidence.until_us),
        clients=evidence.clients,
        searches=evidence.searches,
        examination=evidence.examination,
    )


def source_of(evidence: LogEvidence | None) -> LabelSource:
    """Whose word a dataset's labels are."""
    return "judgments" if evidence is None else "logs"


class FrozenBundle(Answer):
    """What a dataset was measured on last: with it, one task, which has a hash of its own."""

    sha256: str
    candidates_sha256: str
    corpus_version: int | None = Field(description="Null: the candidates were put with the dataset.")
    depth: int = Field(description="Most candidates of a query.")
    source: BundleSource
    frozen_at: Time


class FrozenCandidates(Answer):
    """The candidates of a dataset's queries, as they are exported."""

    sha256: str
    depth: int
    corpus_version: int | None
    settings: dict[str, JsonValue] = Field(description="Those that decided which candidates these are.")
    doc_ids: Mapping[str, tuple[str, ...]] = Field(description="By query_id, best first.")


class _Dataset(Answer):
    """An eval dataset without its queries."""

    corpus_id: str
    sha256: str = Field(description="Of its content: its name.", examples=["9f86d081"])
    version: int = Field(description="From 1.")
    judgments: int
    without_positive: int = Field(description="Queries without a relevant document: no measure has a value for them.")
    primary_measure: str = Field(description="Report key of the measure that is decided on.", examples=["ndcg@10"])
    recommended_measure: str = Field(description="What its labels recommend.", examples=["ndcg@10"])
    recommended_because: str
    source: LabelSource = Field(description="Whose word its labels are.")
    log: LogSpan | None = Field(description="What it was made from; null: people judged it.")
    created_at: Time
    bundle: FrozenBundle | None = Field(description="Null: it was never measured on.")


class StoredEvalDataset(_Dataset, UnknownDocuments):
    """The dataset that was put."""

    queries: int


class EvalDatasetContent(_Dataset):
    """A dataset with its queries."""

    queries: tuple[JudgedQuery, ...]
    query_count: int


class EvalDatasetFile(Answer):
    """Everything of a dataset in one file, which can be put back as it is."""

    sha256: str
    version: int
    primary_measure: str = Field(description="Report key.")
    created_at: Time
    source: LabelSource = "judgments"
    evidence: LogEvidence | None = Field(default=None, description="What labels from logs rest on.")
    queries: tuple[JudgedQuery, ...]
    candidates: FrozenCandidates | None = Field(description="Null: it was never measured on.")


class EvalDatasetVersion(Answer):
    """One version of a corpus's eval dataset. `queries` and `judgments` are counts."""

    version: int
    sha256: str
    current: bool = Field(description="Whether it is in force.")
    source: LabelSource = Field(description="Whose word its labels are.")
    queries: int
    judgments: int
    primary_measure: str = Field(description="Report key.")
    created_at: Time
    bundle: FrozenBundle | None = Field(description="Null: it was never measured on.")


class EvalDatasetVersions(Answer):
    """Every version that a corpus had, newest first."""

    eval_datasets: tuple[EvalDatasetVersion, ...]
