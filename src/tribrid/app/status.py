"""What serves on this machine, in which form, how much waits for it, and when it failed."""

from __future__ import annotations

from typing import Any

from tribrid.app.views import iso
from tribrid.config import Config
from tribrid.encoders.variants import machine
from tribrid.errors import TribridError
from tribrid.scoring.scorer import Scorer
from tribrid.workspace.corpus import OpenCorpus, untrained_scorer
from tribrid.workspace.data_folder import DataFolder


def status(folder: DataFolder, corpus: OpenCorpus | None) -> dict[str, Any]:
    """Who reranks, whether it is loaded, and why not; of a corpus, or where no corpus says otherwise."""
    config = corpus.config if corpus else folder.config()
    corpus_id = corpus.corpus_id if corpus else None
    mode = config.reranking.reranker_mode
    out: dict[str, Any] = {"corpus_id": corpus_id, "mode": mode, "model_id": None, "loaded": False, "reason": None}
    out |= {"fallbacks": fallbacks_view(folder, corpus_id)}
    if mode == "none":
        return {**out, "reason": "mode none serves the fused order"}
    if corpus is None and mode == "learning":
        champions = {
            row.corpus_id: folder.store.models.alias(row.corpus_id, "champion") for row in folder.store.corpora.list()
        }
        return {**out, "champions": champions, "reason": "models are per corpus: ask with ?corpus_id="}
    try:
        scorer = corpus.scorer if corpus else untrained_scorer(folder, "", config)
    except TribridError as error:
        return {**out, "reason": error.detail, "problem": error.code}
    if mode == "cloud":
        cloud = _cloud_status(folder, corpus_id or "", config)
        return {**out, **cloud, "model_id": scorer.model_id if scorer else None}
    if scorer is None:
        return {**out, "reason": "no model has been promoted for this corpus yet; the fused order is served"}
    return {**out, "model_id": scorer.model_id, "loaded": True, "form": form_view(scorer)}


def _cloud_status(folder: DataFolder, corpus_id: str, config: Config) -> dict[str, Any]:
    """Whom mode cloud asks, and why it would not; nothing is sent."""
    found = folder.clouds.status(corpus_id, config.reranking, folder.config().reranking)
    failure, spent = found["last_failure"], [b for b in found["budgets"] if b["left_usd"] <= 0]
    if failure is not None:
        found["last_failure"] = {"at": iso(failure["at_us"]), "detail": failure["detail"]}
    reason = found["pause"]["why"] if found["pause"] else None
    if spent:
        reason = f"the budget of ${spent[0]['usd']:g} ({spent[0]['period']}) is spent; the fused order is served"
    return {"loaded": True, "reason": reason, "cloud": found}


def fallbacks_view(folder: DataFolder, corpus_id: str | None) -> dict[str, Any]:
    """Searches since the process started that a reranker should have ranked and did not, by error code."""
    counts, last = folder.fallbacks.of(corpus_id)
    told = {"at": iso(last["at_us"]), "code": last["code"], "reason": last["reason"]} if last else None
    return {"total": sum(counts.values()), "by_code": dict(sorted(counts.items())), "last": told}


def form_view(scorer: Scorer) -> dict[str, Any] | None:
    """The form in which a scorer's cross-encoder serves, and what that was decided on; None without one."""
    cross_encoder = scorer.cross_encoder
    if cross_encoder is None:
        return None
    return {
        "model_id": scorer.model_id,
        "export": cross_encoder.export,
        "serves": cross_encoder.variant,
        "decision": cross_encoder.shipped,
    }


def runtime_view(folder: DataFolder) -> dict[str, Any]:
    """The engine, the known scores, and the cross-encoders that are loaded."""
    engine, cache = folder.runtime.engine, folder.runtime.cache
    return {
        "machine": machine(),
        "engine": engine.view() if engine else None,
        "cache": cache.view() if cache else None,
        "cross_encoders": [view for scorer in folder.loaded_scorers() if (view := form_view(scorer))],
    }
