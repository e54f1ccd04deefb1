"""The field's words as types. Pure data: no I/O, no clock, no library beyond the standard one.

Ranks start at 1. Order is score descending, ties by doc_id descending, which is what trec_eval does.
Times are integers, microseconds since 1970 in UTC (`*_us`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, NamedTuple

from tribrid.types.evidence import LogEvidence
from tribrid.types.stored import Manifest, MinedCounts, StoredResult

FIRST_RANK = 1
RECONSTRUCTED_EVIDENCE = "reconstructed:"
"""How the evidence of a label begins that rests on clicks whose list was not recorded: where they stood is unknown."""

FILTERED_EVIDENCE = "filtered:"
"""How the evidence of a label begins that rests on a search with a filter: nobody passed over what it left out."""

SPARSE, DENSE = LEGS = ("sparse", "dense")
GRAPH = "graph"


class Signal(StrEnum):
    """What a user did with a result."""

    CLICK = "click"
    DWELL = "dwell"
    COPY = "copy"
    CITE = "cite"
    THUMBS_UP = "thumbs_up"
    THUMBS_DOWN = "thumbs_down"
    RATING = "rating"


class Source(StrEnum):
    """Where a triplet's label came from, in order of trust."""

    LOGS = "logs"
    JUDGMENTS = "judgments"
    JUDGE = "judge"
    HEURISTICS = "heuristics"


class Mark(StrEnum):
    """What may be said of a triplet in review: a true negative, a positive itself, or neither to be used."""

    ACCEPT = "accept"
    FLIP = "flip"
    DROP = "drop"


class TripletStatus(StrEnum):
    """Where a triplet stands: mined to be trained on, or held back for review, or as it was decided there."""

    ACTIVE = "active"
    REVIEW = "review"
    ACCEPTED = "accepted"
    FLIPPED = "flipped"
    DROPPED = "dropped"


class JobKind(StrEnum):
    MINE = "mine"
    TRAIN = "train"
    EVALUATE = "evaluate"
    JUDGE = "judge"


class State(StrEnum):
    """A job's life: queued → running → succeeded | failed | cancelled."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        return self in (State.SUCCEEDED, State.FAILED, State.CANCELLED)


EventType = Literal["log", "progress", "metrics", "state", "error", "complete"]

Team = Literal["champion", "challenger", "both"]
"""Whose a document of an interleaved list is; `both`: each of the two would have put it there."""
Verdict = Literal["challenger_better", "challenger_worse", "no_difference"]

ImpressionSource = Literal["search", "import", "reconstructed", "rerank"]
"""Served here; imported; made up around a click from what would be served now; or only put in order here."""


@dataclass(frozen=True, slots=True)
class Document:
    """What is judged. `metadata` is JSON-shaped and never interpreted."""

    doc_id: str
    text: str
    title: str = ""
    uri: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of a document: `text == document.text[start:end]` (characters). What is retrieved and scored."""

    doc_id: str
    ordinal: int
    start: int
    end: int
    title: str
    text: str

    @property
    def key(self) -> tuple[str, int]:
        return (self.doc_id, self.ordinal)


@dataclass(frozen=True, slots=True)
class LegScore:
    """One retrieval leg's opinion of a candidate: 1-based rank and raw score (bm25, cosine, nearness by edges)."""

    rank: int
    score: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """A document as the first stage ranked it, by its best passage.

    `score` is the fused score; a leg that did not return the document is missing from `legs`.
    """

    passage: Passage
    rank: int
    score: float
    legs: Mapping[str, LegScore]

    @property
    def doc_id(self) -> str:
        return self.passage.doc_id


@dataclass(frozen=True, slots=True)
class ScoredDoc:
    doc_id: str
    score: float


@dataclass(frozen=True, slots=True)
class Query:
    query_id: str
    text: str


@dataclass(frozen=True, slots=True)
class JudgedQuery:
    """A query with its relevance judgments: doc_id → grade; a grade of 1 or more is relevant."""

    query_id: str
    text: str
    judgments: Mapping[str, int]

    @property
    def has_positive(self) -> bool:
        return any(grade >= 1 for grade in self.judgments.values())


@dataclass(frozen=True, slots=True)
class EvalDataset:
    """A fixed, content-hashed set of judged queries, never edited in place; or, with `evidence`, from a log."""

    sha256: str
    version: int
    corpus_id: str
    queries: tuple[JudgedQuery, ...]
    primary_measure: str
    created_us: int
    evidence: LogEvidence | None = None


@dataclass(frozen=True, slots=True)
class ShownDoc:
    """One row of an impression: what stood at `rank` and why."""

    doc_id: str
    rank: int
    score: float
    start: int
    end: int
    legs: Mapping[str, LegScore]


@dataclass(frozen=True, slots=True)
class Trial:
    """A search's part in an experiment: the team of each document shown, in rank order; or why it does not count.
    `mixed`: both rankings are in it.
    """

    experiment_id: str
    teams: tuple[Team, ...] = ()
    excluded: str | None = None
    mixed: bool = False


@dataclass(frozen=True, slots=True)
class Impression:
    """A served list. `fallback_reason` is set when the reranker should have run and did not.

    `client_id` tells one user's searches from others'; None where nobody said. `trial` is known while the list is
    served, afterwards its experiment keeps it. `given`: for a rerank, the doc_ids that came with it, in their order;
    `given_fields`: by doc_id, what came of the metadata that is learned from.
    `filter`: what alone could be found, as JSON; None: everything.
    """

    query_id: str
    corpus_id: str
    query: str
    shown: tuple[ShownDoc, ...]
    model_id: str
    reranked: bool
    fallback_reason: str | None
    took_ms: float
    created_us: int
    source: ImpressionSource = "search"
    client_id: str | None = None
    trial: Trial | None = None
    given: tuple[str, ...] | None = None
    filter: Mapping[str, Any] | None = None
    given_fields: Mapping[str, Mapping[str, Any]] | None = None


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a user did after an impression. `doc_id` None: the signal is about the whole list."""

    query_id: str
    signal: Signal
    doc_id: str | None
    value: float | None
    created_us: int


class LoggedList(NamedTuple):
    """An impression with its feedback, cut down to what mining reads; `ranks` has the rank of each of `doc_ids`.
    `filtered`: not everything could be found.
    """

    query_id: str
    query: str
    doc_ids: Sequence[str]
    ranks: Sequence[int]
    feedback: Sequence[Feedback] = ()
    created_us: int = 0
    source: ImpressionSource = "search"
    client_id: str | None = None
    filtered: bool = False

    @classmethod
    def of(cls, impression: Impression, feedback: Sequence[Feedback]) -> LoggedList:
        """The same of a whole impression."""
        return cls(
            impression.query_id,
            impression.query,
            [shown.doc_id for shown in impression.shown],
            [shown.rank for shown in impression.shown],
            feedback,
            impression.created_us,
            impression.source,
            impression.client_id,
            impression.filter is not None,
        )


@dataclass(frozen=True, slots=True)
class Triplet:
    """`positive` should rank above `negative` for `query`, as sure as `weight` (0 < weight <= 1) says.

    `query_id` groups one query's triplets; `evidence` names the impression or judgment behind it; `observed_us` is when
    users last did what the label rests on, if anybody dated it. `held_back`: the negative may be relevant itself, so it
    is not trained on unless somebody accepts it. `remembered`: past the budget; only that its positive is good counts.
    """

    query_id: str
    query: str
    positive: tuple[str, int]
    negative: tuple[str, int]
    source: Source
    weight: float
    reason: str
    evidence: str = ""
    observed_us: int | None = None
    held_back: bool = False
    remembered: bool = False


@dataclass(frozen=True, slots=True)
class Review:
    """What was decided of a triplet. `positive` and `negative` are doc_ids."""

    query: str
    positive: str
    negative: str
    mark: Mark


class Place(NamedTuple):
    """Where a document belongs: its address, and what it is a part of. `beside`: what tells it from its like, JSON."""

    uri: str = ""
    parent_id: str | None = None
    beside: str = ""


@dataclass(frozen=True, slots=True)
class TripletSet:
    """What one mining made. Immutable; `counts` holds mined by source and rejected by reason."""

    triplet_set_id: str
    corpus_id: str
    created_us: int
    params: Mapping[str, object]
    counts: MinedCounts


@dataclass(frozen=True, slots=True)
class Event:
    """One stored line of a run's story. `seq` starts at 1 and has no gaps."""

    seq: int
    type: EventType
    at_us: int
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Job:
    job_id: str
    kind: JobKind
    corpus_id: str
    state: State
    params: Mapping[str, object]
    created_us: int
    started_us: int | None = None
    finished_us: int | None = None
    progress: Mapping[str, object] | None = None
    result: StoredResult | None = None
    problem: Mapping[str, Any] | None = None
    cancel_requested: bool = False
    interrupted: bool = False  # it runs, and its worker is gone: it goes on when there is one again


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """An immutable trained reranker. `artifact` is its content hash, which names the artifact's folder."""

    model_id: str
    corpus_id: str
    run_id: str
    artifact: str
    manifest: Manifest
    created_us: int


class Scope(StrEnum):
    """What an API key may be used for. `admin` may do everything; of the others none holds another."""

    SEARCH = "search"
    FEEDBACK = "feedback"
    TRAIN = "train"
    METRICS = "metrics"
    ADMIN = "admin"


def rank_order(scored: Iterable[ScoredDoc]) -> list[ScoredDoc]:
    """Best first: score descending, then doc_id descending (trec_eval's tie-break)."""
    return sorted(scored, key=lambda s: (s.score, s.doc_id), reverse=True)


Emit = Callable[[EventType, Mapping[str, object]], None]
"""How long work reports: an event type and its data. Must be cheap and safe to call often."""
