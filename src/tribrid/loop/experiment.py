"""The steps of an experiment on live searches: which model challenges the champion, one list out of both rankings, the
outcomes counted in sequence, and the end when there is a verdict.

There is no clock and no job behind it: whatever is due is counted when somebody searches or asks how it stands.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tribrid.config import Config
from tribrid.errors import Cancelled, Conflict, Failed, ModelNotFound, NoChallenger, Overloaded, Unavailable
from tribrid.evaluation.interleaving import team_draft
from tribrid.evaluation.notes import RETRIEVAL
from tribrid.loop.counting import count_due, named_in_words, taking_part
from tribrid.loop.promote import objection
from tribrid.loop.serving import Ranking
from tribrid.scoring.scorer import UNTRAINED_MODEL, Scorer
from tribrid.store.experiments import Experiment, Terms
from tribrid.types import ScoredDoc, Trial
from tribrid.workspace.corpus import OpenCorpus

_FAILURES = (Failed, Unavailable, ModelNotFound)


def interleave(
    corpus: OpenCorpus,
    query_id: str,
    champion: Ranking,
    rerank: Callable[[Scorer], Ranking],
    top_k: int,
) -> Ranking:
    """What to show: the champion's ranking as it is, or, while an experiment runs, its draft with the challenger's.

    Whatever fails leaves the champion's ranking, and the search does not count.
    """
    if not switched_on(corpus.config) or not champion.order:
        return champion
    try:
        running = advance(corpus)
    except (NoChallenger, ModelNotFound):  # nothing to run; the status says why
        return champion
    if taking_part(running) >= running.terms.impressions:
        return champion  # enough searches took part; the last ones wait for their feedback
    return _drafted(corpus, running, query_id, champion, rerank, top_k)


def switched_on(config: Config) -> bool:
    """Whether searches take part in experiments."""
    return config.reranking.experiment != "off" and config.reranking.reranker_mode == "learning"


def _drafted(
    corpus: OpenCorpus,
    running: Experiment,
    query_id: str,
    champion: Ranking,
    rerank: Callable[[Scorer], Ranking],
    top_k: int,
) -> Ranking:
    if champion.fallback is not None:
        return _excluded(champion, running, f"The champion failed: {champion.fallback.detail}")
    if champion.model_id != running.champion_id:  # by a promotion; the next search notices
        return _excluded(champion, running, "The champion changed during the search.")
    try:
        challenger = rerank(corpus.learned(running.challenger_id))
    except Cancelled:
        raise
    except (*_FAILURES, Overloaded) as error:
        return _excluded(champion, running, f"The challenger failed: {error.detail}")
    if (late := champion.note or challenger.note) is not None:  # neither is judged by half of its work
        return _excluded(champion, running, late)
    draft = team_draft([d.doc_id for d in champion.order], [d.doc_id for d in challenger.order], top_k, query_id)
    # Scores of two models have no common scale: the champion's are dealt out anew, so that none rises with rank.
    order = [ScoredDoc(doc_id, scored.score) for doc_id, scored in zip(draft.doc_ids, champion.order, strict=False)]
    model_id = f"{champion.model_id or RETRIEVAL}+{running.challenger_id}"
    trial = Trial(running.experiment_id, tuple(draft.teams))
    return Ranking(order, model_id, candidates=challenger.candidates, trial=trial)


def _excluded(champion: Ranking, running: Experiment, why: str) -> Ranking:
    return replace(champion, trial=Trial(running.experiment_id, (), why))


# ------------------------------------------------------------------------------------------ how it stands


def advance(corpus: OpenCorpus) -> Experiment:
    """The corpus's experiment as it stands now: what is due counted, ended or started as need be.

    Raises:
        NoChallenger, ModelNotFound: none runs, and none can be started.
    """
    latest = settled(corpus)
    if latest is not None and latest.state == "running":
        return latest
    champion = serving_id(corpus)
    challenger = challenger_of(corpus, champion)
    if corpus.store.experiments.decided(corpus.corpus_id, {champion, challenger}):
        raise NoChallenger(
            f"{challenger} and {named_in_words(champion)} were compared already. Train another model, or "
            "start again with `tribrid experiment start --again`."
        )
    return corpus.store.experiments.start(corpus.corpus_id, champion, challenger, terms(corpus.config))


def serving_id(corpus: OpenCorpus) -> str | None:
    """The model_id of what an experiment's champion is now, also where it is no model; None for the fused order.

    Raises:
        StaleIndex: there is no champion, and the index cannot be read.
    """
    champion = corpus.store.models.alias(corpus.corpus_id, "champion")
    if champion is None and (scorer := corpus.before_champion) is not None:
        return scorer.model_id
    return champion


def begin(corpus: OpenCorpus, again: bool) -> Experiment:
    """Start an experiment, or take up the one that was paused.

    Args:
        again: also where the two were compared before.

    Raises:
        NoChallenger, ModelNotFound, ModelUnavailable: it cannot be started; nothing is changed.
    """
    champion = serving_id(corpus)
    challenger = challenger_of(corpus, champion)
    corpus.learned(challenger)  # loads, or is not shown to anybody
    latest = settled(corpus)
    if again and (latest is None or latest.state != "running"):
        return corpus.store.experiments.start(corpus.corpus_id, champion, challenger, terms(corpus.config))
    return advance(corpus)


def settled(corpus: OpenCorpus) -> Experiment | None:
    """The last experiment with everything that is due counted, and ended if it is over; None if there was none.

    A challenger that has just won is promoted, where that was agreed and its evaluation allows it.
    """
    experiments = corpus.store.experiments
    latest = experiments.latest(corpus.corpus_id)
    if latest is None or latest.state != "running":
        return latest
    if count_due(experiments, latest):
        latest = experiments.latest(corpus.corpus_id)
    if latest is not None and latest.state == "running":
        over = _why_over(latest, serving_id(corpus), corpus.config)
        if over is not None:
            experiments.finish(latest.experiment_id, "ended", None, over)
            latest = experiments.latest(corpus.corpus_id)
    if latest is not None and latest.state == "decided":
        promote_winner(corpus)
    return experiments.latest(corpus.corpus_id)


def challenger_of(corpus: OpenCorpus, champion: str | None) -> str:
    """The model that is to challenge the champion.

    Raises:
        NoChallenger: there is none, or models are not what serves.
        ModelNotFound: the one that is named is not the corpus's.
    """
    reranking = corpus.config.reranking
    if reranking.reranker_mode != "learning":
        raise NoChallenger(
            f"An experiment compares trained models, and mode {reranking.reranker_mode} serves none: set "
            "reranking.reranker_mode to learning."
        )
    named = reranking.experiment_challenger
    if named is None:
        named = corpus.store.experiments.newest_model(corpus.corpus_id, champion)
    elif corpus.store.models.get(named).corpus_id != corpus.corpus_id:
        raise ModelNotFound(f"Model {named!r} is another corpus's.", model_id=named)
    if named is None:
        raise NoChallenger("There is no trained model besides the champion to compare it with. Train one.")
    if named == champion:
        raise NoChallenger(f"{named} is the champion: it cannot challenge itself.")
    return named


def terms(config: Config) -> Terms:
    """What an experiment that starts now holds to."""
    reranking = config.reranking
    return Terms(
        alpha=reranking.experiment_alpha,
        impressions=reranking.experiment_impressions,
        window_s=reranking.experiment_window_s,
        on_win=reranking.experiment_on_win,
        least_clients=reranking.experiment_least_clients,
    )


def _why_over(running: Experiment, champion: str | None, config: Config) -> str | None:
    """Why a running experiment cannot go on; None while it can."""
    if champion != running.champion_id:
        was, now = map(named_in_words, (running.champion_id, champion))
        return f"The champion changed from {was} to {now} before there was a verdict."
    named = config.reranking.experiment_challenger
    if named not in (None, running.challenger_id):
        return f"Another challenger was named, {named}, before there was a verdict."
    return None


def promote_winner(corpus: OpenCorpus) -> str | None:
    """Promote the challenger that won the last experiment, where that was agreed and nothing speaks against it.

    Returns:
        Why it is not promoted though that was agreed; None where it is, or nothing was agreed, or another serves now.
    """
    latest = corpus.store.experiments.latest(corpus.corpus_id)
    if latest is None or not _to_promote(latest):
        return None
    models, won = corpus.store.models, f"won experiment {latest.experiment_id} on live searches"
    # A process may have been killed after the promotion: what was rolled back since is not brought back.
    done = any(row.kind == "experiment" and row.reason.startswith(won) for row in models.promotions(latest.corpus_id))
    if not done and serving_id(corpus) == latest.champion_id:
        against = _promoted(corpus, latest, f"{won}: {latest.reason}")
        if against is not None:
            return against
        done = True
    if done:
        corpus.store.experiments.mark_promoted(latest.experiment_id)
    return None


def _to_promote(latest: Experiment) -> bool:
    return latest.verdict == "challenger_better" and latest.terms.on_win == "promote" and not latest.promoted


def _promoted(corpus: OpenCorpus, won: Experiment, reason: str) -> str | None:
    """Promote it; or why not."""
    over = None if won.champion_id == UNTRAINED_MODEL else won.champion_id
    shown = objection(corpus, won.challenger_id, over)
    if shown.against is not None:
        return shown.against
    try:
        corpus.learned(won.challenger_id)
        corpus.store.models.promote(
            corpus.corpus_id, won.challenger_id, reason, shown.evaluation_id, "experiment", over
        )
    except (*_FAILURES, Conflict) as error:
        return error.detail
    return None
