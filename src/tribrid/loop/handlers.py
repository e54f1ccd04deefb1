"""The verbs as jobs: how each kind is done by the process that runs it, and what its answer says of the cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tribrid.answers.costs import GenerationCost, MiningCost, TrainingCost
from tribrid.answers.jobs import EvaluationResult, JobResult, MiningResult, TrainingResult
from tribrid.answers.judging import JudgingCost, JudgingResult
from tribrid.cloud.prices import together
from tribrid.config import read_environment
from tribrid.errors import Cancelled
from tribrid.loop.costs import estimate, local_cost
from tribrid.loop.evaluate import evaluate
from tribrid.loop.judge import judge, standing
from tribrid.loop.mine import mine
from tribrid.loop.params import EvaluateParams, JudgeParams, MineParams
from tribrid.loop.train import train
from tribrid.loop.watch import watch
from tribrid.retrieval import lance
from tribrid.types import Emit, EventType, Job, JobKind
from tribrid.workspace.corpus import OpenCorpus, open_corpus
from tribrid.workspace.data_folder import DataFolder

Asked = Callable[[], bool]
"""Whether somebody asked for the job's end."""


def until_cancelled(emit: Emit, cancelled: Asked) -> Emit:
    """The same `emit`, which ends the work at its next report once somebody asked for the end.

    Work that reports often needs no other question. An interruption would come seconds later, wherever the work then
    stands, and meanwhile a paid service would have been asked more.
    """

    def told(type_: EventType, data: Mapping[str, object]) -> None:
        if cancelled():
            raise Cancelled("Ended on request.")
        emit(type_, data)

    return told


def _mine_job(corpus: OpenCorpus, job: Job, emit: Emit, cancelled: Asked) -> MiningResult:
    estimated, started = estimate(corpus, job.kind, job.params), time.monotonic()
    triplet_set_id, mined = mine(corpus, MineParams.model_validate(job.params), emit)
    model, took_s = corpus.config.indexing.embedding_model, round(time.monotonic() - started, 3)
    cost = local_cost(corpus, "EMB", model, mined.counts["queries_retrieved"], took_s, "query")
    asked = mined.counts.get("generated", {}).get("cost")
    generation = GenerationCost.model_validate(asked) if asked else None
    spent = together(MiningCost, cost, generation=generation, estimated=estimated)
    made = {"job_id": job.job_id, "triplet_set_id": triplet_set_id, "cost": spent}
    return MiningResult.model_validate({**mined.counts, **made})


def _train_job(corpus: OpenCorpus, job: Job, emit: Emit, cancelled: Asked) -> TrainingResult:
    estimated, started = estimate(corpus, job.kind), time.monotonic()
    model = train(corpus, job.job_id, job.params, emit, cancelled)
    metrics, took_s = model.manifest["metrics"], round(time.monotonic() - started, 3)
    cost = local_cost(corpus, "RERANK", "tribrid", metrics["pairs"], took_s)
    named = {"job_id": job.job_id, "run_id": job.job_id, "model_id": model.model_id}
    spent = together(TrainingCost, cost, estimated=estimated)
    return TrainingResult.model_validate({**named, "metrics": metrics, "cost": spent})


def _evaluate_job(corpus: OpenCorpus, job: Job, emit: Emit, cancelled: Asked) -> EvaluationResult:
    params = EvaluateParams.model_validate(job.params)
    report = evaluate(corpus, job.job_id, params, emit)
    if params.served:
        watch(corpus, job.job_id, report, emit)
    return EvaluationResult(job_id=job.job_id, **dict(report))


def _judge_job(corpus: OpenCorpus, job: Job, emit: Emit, cancelled: Asked) -> JudgingResult:
    estimated = estimate(corpus, job.kind, job.params)
    counts = judge(corpus, JudgeParams.model_validate(job.params), emit)
    cost = JudgingCost.model_validate({**counts["cost"], "estimated": estimated})
    return JudgingResult.model_validate({**counts, "job_id": job.job_id, "standing": standing(corpus), "cost": cost})


def _handler(
    work: Callable[[OpenCorpus, Job, Emit, Asked], JobResult],
) -> Callable[[Job, Path, Emit, Asked], dict[str, object]]:
    def run(job: Job, data_dir: Path, emit: Emit, cancelled: Asked) -> dict[str, object]:
        folder = DataFolder(read_environment().model_copy(update={"data_dir": data_dir}))
        try:
            done = work(open_corpus(folder, job.corpus_id), job, until_cancelled(emit, cancelled), cancelled)
            return done.model_dump(mode="json")
        finally:
            folder.close()

    return run


HANDLERS = {
    JobKind.MINE: _handler(_mine_job),
    JobKind.TRAIN: _handler(_train_job),
    JobKind.EVALUATE: _handler(_evaluate_job),
    JobKind.JUDGE: _handler(_judge_job),
}
"""How each kind of job is done; looked up by the process that runs a job."""

# That process loads this file while it waits for a job, so that a job begins at once.
lance.load()
