"""Experiments: two rankings compared on live searches."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Literal

from tribrid.answers.answer import time_at
from tribrid.answers.experiment import (
    Challenger,
    Contestant,
    CountedSearches,
    ExperimentDay,
    ExperimentStatus,
    ExperimentWaiting,
    WinShare,
)
from tribrid.answers.search import SearchTrial
from tribrid.app.parts import CorpusPart
from tribrid.config import Config
from tribrid.errors import ModelNotFound, NoChallenger, TribridError
from tribrid.evaluation.forecast import LAST_DAYS, Forecast, Pace, forecast
from tribrid.evaluation.sequential import e_value, win_share
from tribrid.loop.counting import said
from tribrid.loop.experiment import ORDERS, advance, begin, promote_winner, settled, switched_on
from tribrid.store.logfacts import DAY_US
from tribrid.store.terms import Experiment as Started
from tribrid.types import Trial
from tribrid.workspace.corpus import OpenCorpus

_PAUSED = "Paused: searches take no part while {}. What was counted stays; an experiment on again goes on with it."


_DAY_S = 86_400
Standing = ExperimentStatus | ExperimentWaiting


class Experiment(CorpusPart):
    """The experiment of a corpus."""

    def get(self) -> Standing | None:
        """How the corpus's experiment stands, with everything counted that is due; None if there never was one and none
        is wanted.

        Raises:
            CorpusNotFound.
        """
        corpus = self._open()
        waiting = None
        try:
            if switched_on(corpus.config):
                advance(corpus)
        except (NoChallenger, ModelNotFound) as error:
            waiting = error.detail
        settled(corpus)  # also where searches are not interleaved now
        held_back = promote_winner(corpus)
        latest = corpus.store.experiments.latest(self.corpus_id)
        if latest is not None:
            return _status(corpus, latest, waiting, held_back)
        if corpus.config.reranking.experiment == "off":
            return None
        return ExperimentWaiting(reason=waiting or _paused(corpus.config))

    def history(self) -> tuple[ExperimentDay, ...]:
        """How the newest experiment stood at the end of each day on which something told the two apart.

        Raises:
            CorpusNotFound.
        """
        self.require()
        experiments = self._folder.store.experiments
        latest = experiments.latest(self.corpus_id)
        return () if latest is None else tuple(_days(experiments.sequence(latest), latest.terms.alpha))

    def start(
        self,
        model_id: str | None = None,
        *,
        again: bool = False,
        design: Literal["interleave", "ab"] | None = None,
    ) -> Standing | None:
        """Compare what serves with a challenger on the corpus's searches and reranks from now on. One that was stopped
        goes on.

        Args:
            model_id: the challenger; `retrieval`: no model; `given`: the order in which the documents of a rerank came;
                None: that of the experiment that was stopped, else the newest model that is not the champion.
            again: although the two were compared before: from nothing, with a chance of error of its own.
            design: `interleave` mixes both in each list; `ab` shows each client one of them. None: that of the
                experiment that goes on, else `interleave`.

        Raises:
            CorpusNotFound, ModelNotFound, ModelUnavailable.
            NoChallenger: nothing to compare, or the two were compared already.
        """
        wanted = {"experiment": design or "interleave", "experiment_challenger": model_id}
        if model_id is None and design is None and not again:
            wanted = self._stopped() or wanted
        begin(self._open().with_params("reranking", wanted), again)
        self._folder.store.settings.patch(self.corpus_id, {"reranking": wanted})
        return self.get()

    def _stopped(self) -> dict[str, str | None] | None:
        """The settings of the experiment that was stopped before it was decided; None where none was."""
        latest = self._folder.store.experiments.latest(self.corpus_id)
        if latest is None or latest.state != "running" or switched_on(self._open().config):
            return None
        return {"experiment": latest.terms.design, "experiment_challenger": latest.challenger_id}

    def stop(self) -> Standing | None:
        """Serve the champion alone again. What was counted is kept, and goes on counting if it is started again.

        Raises:
            CorpusNotFound.
        """
        self._folder.store.settings.patch(self.corpus_id, {"reranking": {"experiment": "off"}})
        return self.get()


def _days(sequence: Sequence[tuple[int, int]], alpha: float) -> Iterator[ExperimentDay]:
    """Each day's end, of what told the two apart in order."""
    wins = losses = 0
    for day, outcomes in groupby(sequence, key=itemgetter(0)):
        told = [outcome for _, outcome in outcomes]
        wins, losses = wins + told.count(1), losses + told.count(-1)
        low, high = win_share(wins, losses, alpha)
        yield ExperimentDay(day=time_at(day * DAY_US).date(), wins=wins, losses=losses, low=low, high=high)


def _status(corpus: OpenCorpus, latest: Started, waiting: str | None, held_back: str | None) -> ExperimentStatus:
    tally, terms = latest.tally, latest.terms
    low, high = win_share(tally.wins, tally.losses, terms.alpha)
    decided = tally.wins + tally.losses
    running, ab = latest.state == "running", terms.design == "ab"
    ends = _forecast(corpus, latest) if running and switched_on(corpus.config) else None
    return ExperimentStatus(
        experiment_id=latest.experiment_id,
        state="paused" if running and not switched_on(corpus.config) else latest.state,
        design=terms.design,
        started_at=time_at(latest.created_us),
        finished_at=time_at(latest.finished_us),
        champion=Contestant(
            model_id=latest.champion_id or "retrieval",
            credit=tally.champion_credit,
            clients=tally.counted - tally.challenger_shown if ab else None,
        ),
        challenger=_challenger(corpus, latest),
        impressions=_counted(corpus, latest),
        win_share=WinShare(observed=tally.wins / decided if decided else None, low=low, high=high),
        e_value=e_value(tally.wins, tally.losses),
        decided_at=1 / terms.alpha,
        alpha=terms.alpha,
        window_s=terms.window_s,
        on_win=terms.on_win,
        verdict=latest.verdict,
        promoted=latest.promoted,
        not_promoted=held_back,
        reason=_reason(latest, corpus.config),
        ends_in_days=ends.days if ends else None,
        forecast=ends.words if ends else None,
        waiting=waiting,
    )


def _forecast(corpus: OpenCorpus, running: Started) -> Forecast:
    """When it would end at the pace of the last days. What is still waiting for its feedback is not among them."""
    tally, terms, now_us = running.tally, running.terms, time.time_ns() // 1000
    days = min((now_us - running.created_us) / DAY_US - terms.window_s / _DAY_S, LAST_DAYS)
    recent = corpus.store.experiments.counted_since(running, now_us - int(max(days, 0.0) * DAY_US))
    pace = Pace(recent, days)
    return forecast(tally.wins, tally.losses, tally.counted, terms.impressions, terms.alpha, pace)


def _counted(corpus: OpenCorpus, latest: Started) -> CountedSearches:
    tally, experiments = latest.tally, corpus.store.experiments
    return CountedSearches(
        counted=tally.counted,
        wins=tally.wins,
        losses=tally.losses,
        ties=tally.ties,
        identical=tally.identical,
        repeated=tally.repeated,
        nameless=tally.nameless,
        clients=tally.clients,
        least_clients=latest.terms.least_clients,
        pending=experiments.pending(latest) if latest.state == "running" else 0,
        excluded=latest.excluded,
        last_excluded=experiments.last_excluded(latest) if latest.excluded else None,
        budget=latest.terms.impressions,
    )


def _challenger(corpus: OpenCorpus, latest: Started) -> Challenger:
    loaded, problem = None, None
    if latest.state == "running" and latest.challenger_id not in ORDERS:
        try:
            corpus.learned(latest.challenger_id)
            loaded = True
        except TribridError as error:
            loaded, problem = False, error.detail
    tally = latest.tally
    return Challenger(
        model_id=latest.challenger_id,
        credit=tally.challenger_credit,
        clients=tally.challenger_shown if latest.terms.design == "ab" else None,
        loaded=loaded,
        problem=problem,
    )


def _reason(latest: Started, config: Config) -> str:
    if latest.reason is not None:
        return latest.reason
    told = [said(latest, None), *_too_few(latest)]
    return " ".join(told if switched_on(config) else [*told, _paused(config)])


def _too_few(running: Started) -> Iterator[str]:
    """What keeps searches from deciding: too few clients, or none that say who they are."""
    tally, least = running.tally, running.terms.least_clients
    if tally.clients < least:
        alone = "in a corpus that one person searches, set it to 1 and start again."
        counts_once = "an A/B counts each of them once, so for few people interleaving is the better design."
        yield (
            f"It takes {least:,} clients (reranking.experiment_least_clients), so that no few of them decide for all; "
            f"{counts_once if running.terms.design == 'ab' else alone}"
        )
    if tally.nameless:
        yield f"{tally.nameless:,} searches came without a client_id: they count as one client's."


def search_trial(trial: Trial | None) -> SearchTrial | None:
    """A search's or a rerank's part in an experiment; None for none."""
    if trial is None:
        return None
    return SearchTrial(experiment_id=trial.experiment_id, interleaved=trial.mixed, excluded=trial.excluded)


def _paused(config: Config) -> str:
    off = config.reranking.experiment == "off"
    return _PAUSED.format("reranking.experiment is off" if off else f"the mode is {config.reranking.reranker_mode}")
