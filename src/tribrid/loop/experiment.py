"""How an experiment on live searches and reranks stands: what challenges the champion, the outcomes counted in
sequence, and the end when there is a verdict.

There is no clock and no job behind it: whatever is due is counted when somebody searches or asks how it stands.
"""

from __future__ import annotations

from tribrid.config import Config
from tribrid.errors import Conflict, Failed, ModelNotFound, NoChallenger, Unavailable
from tribrid.evaluation.notes import GIVEN, RETRIEVAL
from tribrid.loop.counting import count_due, named_in_words
from tribrid.loop.promote import objection
from tribrid.scoring.scorer import UNTRAINED_MODEL
from tribrid.store.terms import Experiment, Terms
from tribrid.workspace.corpus import OpenCorpus

_FAILURES = (Failed, Unavailable, ModelNotFound)
ORDERS = (RETRIEVAL, GIVEN)
"""Challengers that are no model: the first stage's order, and that in which the documents of a rerank came."""


def switched_on(config: Config) -> bool:
    """Whether searches take part in experiments."""
    return config.reranking.experiment != "off" and config.reranking.reranker_mode == "learning"


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
    if _compared(corpus, champion, challenger):
        raise NoChallenger(
            f"{named_in_words(challenger)} and {named_in_words(champion)} were compared already. Train another model, "
            f"or start again with `tribrid experiment start {corpus.corpus_id} --again`."
        )
    return corpus.store.experiments.start(corpus.corpus_id, champion, challenger, terms(corpus.config))


def _compared(corpus: OpenCorpus, champion: str | None, challenger: str) -> bool:
    """Whether these two came to a verdict before. As a champion the retrieval order has no name."""
    other = None if challenger == RETRIEVAL else challenger
    pairs = ({champion, challenger}, {champion, other}, {champion or RETRIEVAL, challenger})
    return any(corpus.store.experiments.decided(corpus.corpus_id, set(pair)) for pair in pairs)


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
    if challenger not in ORDERS:
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
    """What is to challenge the champion: the model_id of one, or one of ORDERS.

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
    elif named not in ORDERS and corpus.store.models.get(named).corpus_id != corpus.corpus_id:
        raise ModelNotFound(f"Model {named!r} is another corpus's.", model_id=named)
    if named is None:
        raise NoChallenger("There is no trained model besides the champion to compare it with. Train one.")
    if named == (champion or RETRIEVAL):
        what = "is the champion" if champion else "is what serves now"
        raise NoChallenger(f"{named} {what}: it cannot challenge itself.")
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
        design="ab" if reranking.experiment == "ab" else "interleave",
    )


def _why_over(running: Experiment, champion: str | None, config: Config) -> str | None:
    """Why a running experiment cannot go on; None while it can."""
    if champion != running.champion_id:
        was, now = map(named_in_words, (running.champion_id, champion))
        return f"The champion changed from {was} to {now} before there was a verdict."
    named = config.reranking.experiment_challenger
    if named not in (None, running.challenger_id):
        return f"Another challenger was named, {named}, before there was a verdict."
    if config.reranking.experiment not in ("off", running.terms.design):
        return "reranking.experiment was changed to another design before there was a verdict."
    return None


def promote_winner(corpus: OpenCorpus) -> str | None:
    """Promote the challenger that won the last experiment, where that was agreed and nothing speaks against it.

    Returns:
        Why it is not promoted though that was agreed; None where it is, or nothing was agreed, or another serves now.
    """
    latest = corpus.store.experiments.latest(corpus.corpus_id)
    if latest is None or not _to_promote(latest):
        return None
    if latest.challenger_id in ORDERS:
        return f"There is nothing to promote: {named_in_words(latest.challenger_id)} is no model."
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
