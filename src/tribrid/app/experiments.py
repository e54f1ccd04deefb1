"""Verbs about experiments: two rankings compared on live searches."""

from __future__ import annotations

from typing import Any

from tribrid.app.views import iso
from tribrid.config import Config, with_params
from tribrid.errors import ModelNotFound, NoChallenger, TribridError
from tribrid.evaluation.sequential import e_value, in_words, win_share
from tribrid.loop.experiment import advance, begin, settled, switched_on
from tribrid.store.experiments import Experiment
from tribrid.workspace import Workspace

_PAUSED = (
    "Paused: searches are not interleaved while {}. What was counted stays; an experiment on again goes on with it."
)


class Experiments:
    """See the module."""

    workspace: Workspace

    def experiment(self, corpus_id: str) -> dict[str, Any] | None:
        """How the corpus's experiment stands, with everything counted that is due; None if there never was one and none
        is wanted.

        Raises:
            CorpusNotFound.
        """
        ws = self.workspace
        ws.store.corpora.get(corpus_id)
        config = ws.config(corpus_id)
        latest, waiting = None, None
        try:
            latest = advance(ws, corpus_id, config) if switched_on(config) else None
        except (NoChallenger, ModelNotFound) as error:
            waiting = error.detail
        latest = latest or settled(ws, corpus_id, config)
        if latest is not None:
            return {**_view(ws, latest, config), "waiting": waiting}
        if config.reranking.experiment == "off":
            return None
        return {"state": "waiting", "reason": waiting or _paused(config)}

    def start_experiment(
        self, corpus_id: str, model_id: str | None = None, *, again: bool = False
    ) -> dict[str, Any] | None:
        """Interleave the champion with a challenger on the corpus's searches from now on. One that was stopped goes on.

        Args:
            model_id: the challenger; None: the newest model that is not the champion.
            again: although the two were compared before: from nothing, with a chance of error of its own.

        Raises:
            CorpusNotFound, ModelNotFound, ModelUnavailable.
            NoChallenger: nothing to compare, or the two were compared already.
        """
        ws = self.workspace
        ws.store.corpora.get(corpus_id)
        wanted = {"experiment": "interleave", "experiment_challenger": model_id}
        begin(ws, corpus_id, with_params(ws.config(corpus_id), "reranking", wanted), again)
        ws.store.settings.patch(corpus_id, {"reranking": wanted})
        return self.experiment(corpus_id)

    def stop_experiment(self, corpus_id: str) -> dict[str, Any] | None:
        """Serve the champion alone again. What was counted is kept, and goes on counting if it is started again.

        Raises:
            CorpusNotFound.
        """
        self.workspace.store.settings.patch(corpus_id, {"reranking": {"experiment": "off"}})
        return self.experiment(corpus_id)


def _view(ws: Workspace, latest: Experiment, config: Config) -> dict[str, Any]:
    tally, terms = latest.tally, latest.terms
    low, high = win_share(tally.wins, tally.losses, terms.alpha)
    decided = tally.wins + tally.losses
    running = latest.state == "running"
    return {
        "experiment_id": latest.experiment_id,
        "state": "paused" if running and not switched_on(config) else latest.state,
        "started_at": iso(latest.created_us),
        "finished_at": iso(latest.finished_us),
        "champion": {"model_id": latest.champion_id or "retrieval", "credit": tally.champion_credit},
        "challenger": {
            "model_id": latest.challenger_id,
            "credit": tally.challenger_credit,
            **(_loaded(ws, latest.challenger_id, config) if running else {}),
        },
        "impressions": {
            "counted": tally.counted,
            "wins": tally.wins,
            "losses": tally.losses,
            "ties": tally.ties,
            "identical": tally.identical,
            "pending": ws.store.experiments.pending(latest) if running else 0,
            "excluded": latest.excluded,
            "last_excluded": ws.store.experiments.last_excluded(latest) if latest.excluded else None,
            "budget": terms.impressions,
        },
        "win_share": {"observed": tally.wins / decided if decided else None, "low": low, "high": high},
        "e_value": e_value(tally.wins, tally.losses),
        "decided_at": 1 / terms.alpha,
        "alpha": terms.alpha,
        "window_s": terms.window_s,
        "on_win": terms.on_win,
        "verdict": latest.verdict,
        "promoted": latest.promoted,
        "reason": _reason(latest, config),
    }


def _reason(latest: Experiment, config: Config) -> str:
    if latest.reason is not None:
        return latest.reason
    tally, alpha = latest.tally, latest.terms.alpha
    said = in_words(None, "", tally.wins, tally.losses, tally.counted, alpha)
    return said if switched_on(config) else f"{said} {_paused(config)}"


def _paused(config: Config) -> str:
    off = config.reranking.experiment == "off"
    return _PAUSED.format("reranking.experiment is off" if off else f"the mode is {config.reranking.reranker_mode}")


def _loaded(ws: Workspace, model_id: str, config: Config) -> dict[str, Any]:
    try:
        ws.learned(model_id, config)
    except TribridError as error:
        return {"loaded": False, "problem": error.detail}
    return {"loaded": True, "problem": None}
