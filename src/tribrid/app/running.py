"""What serves on this machine, in which form, how much waits for it, and when it failed."""

from __future__ import annotations

from typing import Any

from tribrid.app.views import iso
from tribrid.encoders.variants import machine
from tribrid.scoring.scorer import Scorer
from tribrid.workspace import Workspace


def fallbacks_view(ws: Workspace, corpus_id: str | None) -> dict[str, Any]:
    """Searches since the process started that a reranker should have ranked and did not, by error code."""
    counts, last = ws.fallbacks.of(corpus_id)
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


def runtime_view(ws: Workspace) -> dict[str, Any]:
    """The engine, the known scores, and the cross-encoders that are loaded."""
    engine, cache = ws.runtime.engine, ws.runtime.cache
    return {
        "machine": machine(),
        "engine": engine.view() if engine else None,
        "cache": cache.view() if cache else None,
        "cross_encoders": [view for scorer in ws.loaded_scorers() if (view := form_view(scorer))],
    }
