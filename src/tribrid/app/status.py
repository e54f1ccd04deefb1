"""What serves on this machine, in which form, how much waits for it, and when it failed."""

from __future__ import annotations

from typing import Any

from tribrid.answers.answer import time_at
from tribrid.answers.experiment import ExperimentStatus, ExperimentWaiting
from tribrid.answers.status import (
    CacheFacts,
    CloudStatus,
    EngineFacts,
    FallbackCounts,
    LastFallback,
    RerankerStatus,
    RuntimeFacts,
    ServedForm,
)
from tribrid.app.bounds import Bounds
from tribrid.config import Config
from tribrid.encoders.variants import machine
from tribrid.errors import TribridError
from tribrid.scoring.scorer import Scorer
from tribrid.workspace.corpus import OpenCorpus, ready_made_scorer
from tribrid.workspace.data_folder import DataFolder


def status(
    folder: DataFolder, corpus: OpenCorpus | None, experiment: ExperimentStatus | ExperimentWaiting | None = None
) -> RerankerStatus:
    """Who reranks, whether it is loaded, and why not; of a corpus, or where no corpus says otherwise."""
    config = corpus.config if corpus else folder.config()
    corpus_id = corpus.corpus_id if corpus else None
    return RerankerStatus(
        corpus_id=corpus_id,
        mode=config.reranking.reranker_mode,
        fallbacks=fallbacks(folder, corpus_id),
        experiment=experiment,
        **_serving(folder, corpus, config),
    )


def _serving(folder: DataFolder, corpus: OpenCorpus | None, config: Config) -> dict[str, Any]:
    """The fields that say what serves, or why nothing does."""
    mode = config.reranking.reranker_mode
    if mode == "none":
        return {"reason": "mode none serves the fused order"}
    if corpus is None and mode == "learning":
        champions = {
            row.corpus_id: folder.store.models.alias(row.corpus_id, "champion") for row in folder.store.corpora.list()
        }
        return {"champions": champions, "reason": "models are per corpus: ask with ?corpus_id="}
    try:
        scorer = corpus.scorer if corpus else ready_made_scorer(folder, "", config)
    except TribridError as error:
        return {"reason": error.detail, "problem": error.code}
    if mode == "cloud":
        cloud = _cloud_status(folder, corpus.corpus_id if corpus else "", config)
        return {**cloud, "model_id": scorer.model_id if scorer else None}
    if scorer is None:
        return {"reason": _why_fused(corpus)}
    return {"model_id": scorer.model_id, "loaded": True, "form": form(scorer)}


def _why_fused(corpus: OpenCorpus | None) -> str:
    """Why mode learning serves the fused order."""
    none = "no model has been promoted for this corpus yet; the fused order is served"
    found = corpus.comparison if corpus else None
    if found is None or not found.fused_stays:
        return none
    return (
        f"{none}: on {found.queries} judged queries its {found.measure} is {found.fused:.3f}, that of the order before "
        f"any label {found.untrained:.3f}"
    )


def _cloud_status(folder: DataFolder, corpus_id: str, config: Config) -> dict[str, Any]:
    """Whom mode cloud asks, and why it would not; nothing is sent."""
    found = folder.clouds.status(corpus_id, config.reranking, folder.config().reranking)
    if failure := found["last_failure"]:
        found["last_failure"] = {"at": time_at(failure["at_us"]), "detail": failure["detail"]}
    cloud = CloudStatus.model_validate(found)
    reason = cloud.pause.why if cloud.pause else None
    if spent := [budget for budget in cloud.budgets if budget.left_usd <= 0]:
        reason = f"the budget of ${spent[0].usd:g} ({spent[0].period}) is spent; the fused order is served"
    return {"loaded": True, "reason": reason, "cloud": cloud}


def fallbacks(folder: DataFolder, corpus_id: str | None) -> FallbackCounts:
    """Searches since the process started that a reranker should have ranked and did not, by error code."""
    counts, last = folder.fallbacks.of(corpus_id)
    told = LastFallback(at=time_at(last["at_us"]), code=last["code"], reason=last["reason"]) if last else None
    return FallbackCounts(total=sum(counts.values()), by_code=dict(sorted(counts.items())), last=told)


def form(scorer: Scorer) -> ServedForm | None:
    """The form in which a scorer's cross-encoder serves, and what that was decided on; None without one."""
    cross_encoder = scorer.cross_encoder
    if cross_encoder is None:
        return None
    return ServedForm.model_validate(
        {
            "model_id": scorer.model_id,
            "export": cross_encoder.export,
            "serves": cross_encoder.variant,
            "decision": cross_encoder.shipped,
        }
    )


def runtime(folder: DataFolder, bounds: Bounds) -> RuntimeFacts:
    """The engine, the known scores, and the cross-encoders that are loaded; these are of any corpus, so whoever has
    bounds is not told.
    """
    scorers = folder.loaded_scorers() if bounds.corpora is None else []
    engine, cache = folder.runtime.engine, folder.runtime.cache
    return RuntimeFacts(
        machine=machine(),
        engine=EngineFacts.model_validate(engine.view()) if engine else None,
        cache=CacheFacts.model_validate(cache.view()) if cache else None,
        cross_encoders=tuple(found for scorer in scorers if (found := form(scorer))),
    )
