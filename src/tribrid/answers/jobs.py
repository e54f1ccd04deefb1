"""Jobs and training runs: how they stand, where to look for them, what came of them, and their events."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field, JsonValue

from tribrid.answers.answer import Answer, Time
from tribrid.answers.costs import CostEstimate, GenerationCost, MiningCost, TrainingCost
from tribrid.answers.judging import JudgingResult
from tribrid.answers.report import EvaluationReport
from tribrid.types import EventType, JobKind, State


class JobProblem(Answer):
    """What a job failed of, as RFC 9457 has it: a stable `code`; the facts of the case are further members."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, JsonValue] = Field(init=False)

    type: str = Field(examples=["urn:tribrid:problem:corpus_not_found"])
    title: str = Field(examples=["No such corpus"])
    status: int = Field(examples=[404])
    code: str = Field(examples=["corpus_not_found"])
    detail: str = Field(examples=["There is no corpus 'a'. Create it with POST /corpora or `tribrid index`."])


class MinedBySource(Answer):
    """What one source gave."""

    pairs: int = 0
    triplets: int = 0
    queries: int = 0


class MiningMargin(Answer):
    """From which score on, relative to the positive's, an unlabelled document is suspected to be relevant too."""

    relative: float | None = Field(default=None, description="The rule without judgments; null: `ratio` decides.")
    calibrated: bool = False
    ratio: float | None = Field(default=None, description="Candidate's score over the positive's; null: never.")
    judged_pairs: int = Field(default=0, description="Pairs of relevant documents behind it.")
    false_negative_rate: float | None = Field(
        default=None, description="Of the candidates below it, the share that was relevant; null: not known."
    )


class ClickModel(Answer):
    """How users look at a list and use what they see, as the log tells."""

    examination: tuple[float, ...] = Field(description="The chance that a rank is looked at, from rank 1.")
    good_used: float = Field(description="The chance that a good document is used once it is looked at.")
    others_used: float
    clicks_at_several_ranks: int = Field(description="Clicks on documents that stood at several ranks for a query.")


class GeneratedQueries(Answer):
    """What a language model was asked for, and what came of it."""

    model: str
    asked: int = Field(description="Questions.")
    answered: int
    failed: int
    stopped: Literal["budget", "failures"] | None = Field(description="Why the asking ended early.")
    trouble: str | None = Field(description="The last failure.")
    queries: int
    kept: int
    left_over: int = Field(description="Queries for which there was no room.")
    rejected: dict[str, int] = Field(description="Queries by reason.")
    cost: GenerationCost


class MiningJudge(Answer):
    """What was known of the judging model whose labels were there to mine."""

    judge: str = Field(description="The model.")
    labels: int
    weight: float = Field(description="What they counted for; a person's: 1. 0: nothing was learned from them.")
    kappa: float | None = Field(description="Its agreement with people; null: it cannot be told.")
    low: float | None = Field(description="The lower end of its interval.")


class MiningClients(Answer):
    """Who was behind the log, and how many of them a label needed."""

    clients: int = Field(description="Distinct `client_id`s that acted on something, bots not counted.")
    needed: int = Field(description="Of them, how many a label needs to count in full. 1: there are too few.")
    anonymous: int = Field(description="Lists without a `client_id` that somebody acted on.")
    heaviest_share: float | None = Field(
        description="Of the pairs that clients' acts made, the share of the client with the most; one that several "
        "agree on is shared among them. Null: there are none."
    )
    bots: dict[str, int] = Field(
        description="Clients that are no people, by reason: `too_fast`, `acts_on_everything`, `share_of_all`."
    )
    bot_lists: int = Field(description="Their lists, which are left out.")
    told: str = Field(description="In words, what that means for this log.")


class MiningCounts(Answer):
    """What was mined, and what was rejected."""

    pairs: int = Field(default=0, description="Pairs of a query and a positive.")
    triplets: int = 0
    held_back: int = Field(default=0, description="Triplets that wait for review.")
    remembered: int = Field(default=0, description="Pairs past `max_pairs`, which are not learned from.")
    queries: int = 0
    margin: MiningMargin = MiningMargin()
    by_source: dict[str, MinedBySource] = Field(default={}, description="logs, judgments, judge and heuristics.")
    by_negative: dict[str, int] = Field(default={}, description="Triplets by kind of negative.")
    rejected: dict[str, int | dict[str, int]] = Field(
        default={}, description="How many by reason; older builds counted them by source."
    )
    unknown_documents: tuple[str, ...] = Field(default=(), description="The first ones that labels named.")
    positives_not_retrieved: int = 0
    queries_retrieved: int = 0
    impressions: int = Field(default=0, description="Logged lists that were read.")
    click_model: ClickModel | None = None
    clients: MiningClients | None = Field(default=None, description="Null: older builds did not look.")
    generated: GeneratedQueries | None = Field(default=None, description="Null: no language model was asked.")
    judge: MiningJudge | None = Field(default=None, description="Null: no model had judged.")


class MiningResult(MiningCounts):
    """What a mining made."""

    status: Literal["succeeded"] = "succeeded"
    job_id: str
    triplet_set_id: str
    cost: MiningCost = MiningCost()


class TrainingResult(Answer):
    """What a training made."""

    status: Literal["succeeded"] = "succeeded"
    job_id: str
    run_id: str
    model_id: str
    metrics: dict[str, JsonValue] = Field(description="What the training measured of itself.")
    cost: TrainingCost = TrainingCost()


class EvaluationResult(EvaluationReport):
    """The report that an evaluation made."""

    job_id: str


JobResult = MiningResult | TrainingResult | EvaluationResult | JudgingResult


class JobEnd(Answer):
    """How a job ended that did not succeed."""

    status: State
    job_id: str
    problem: JobProblem | None


class JobQueued(Answer):
    """A job that was queued."""

    job_id: str
    kind: JobKind
    corpus_id: str
    state: State


class JobAddress(JobQueued):
    """What a job is, where to look for it, and what it will cost."""

    status_url: str
    cost_estimate: CostEstimate


class RunAddress(JobAddress):
    """The same of a training run."""

    run_id: str
    queued_behind: int = Field(description="Runs of the corpus that come before it.")
    metrics_url: str = Field(description="Its events, as they come.")


class Interruption(Answer):
    """Why there is no answer, told where the status code was sent before."""

    status: Literal["failed", "interrupted"] = Field(description="interrupted: the server stops.")
    problem: JobProblem


class JobInterruption(JobAddress, Interruption):
    """The same of a job, which goes on; where to look for it."""


class JobStatus(JobQueued):
    """A job as it stands."""

    params: dict[str, JsonValue] = Field(description="What it was asked to do differently from the settings.")
    progress: dict[str, JsonValue] | None = Field(description="`stage` or `source`, `done`, `total` and the like.")
    result: JobResult | None = Field(description="Null: it has not succeeded.")
    problem: JobProblem | None = Field(description="Null: it has not failed.")
    cancel_requested: bool
    interrupted: bool = Field(
        default=False, description="It runs, and its worker is gone: it goes on when there is one again."
    )
    created_at: Time
    started_at: Time | None
    finished_at: Time | None


class RunStatus(JobStatus):
    """A training run as it stands."""

    run_id: str
    model_id: str | None = Field(description="What it made.")


class TrainingRun(RunStatus):
    """A training run with its numbers."""

    metrics: dict[str, JsonValue] | None = Field(description="Of its result; of one that goes on, the last ones told.")
    config: dict[str, JsonValue] | None = Field(description="The settings that it trained with.")
    metrics_url: str = Field(description="Its events, as they come.")


class RunList(Answer):
    """A corpus's training runs, newest first."""

    runs: tuple[RunStatus, ...]


class RunEvent(Answer):
    """One line of a run's story."""

    seq: int = Field(description="From 1, without gaps.")
    type: EventType
    at: Time
    data: dict[str, JsonValue]
