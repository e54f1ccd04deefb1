"""The steps of an experiment on live searches: which model challenges the champion, one list out of both rankings, the
outcomes counted in sequence, and the end when there is a verdict.

There is no clock and no job behind it: whatever is due is counted when somebody searches or asks how it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace

from tribrid.config import Config
from tribrid.errors import Cancelled, Conflict, Failed, ModelNotFound, NoChallenger, Overloaded, Unavailable
from tribrid.evaluation.interleaving import credit, team_draft
from tribrid.evaluation.notes import RETRIEVAL
from tribrid.evaluation.sequential import in_words, verdict
from tribrid.loop.serving import Ranking
from tribrid.scoring.scorer import Scorer
from tribrid.store.database import now_us
from tribrid.store.experiments import Experiment, Outcome, Tally, Terms
from tribrid.types import ScoredDoc, Trial, Verdict
from tribrid.workspace import Workspace

_FAILURES = (Failed, Unavailable, ModelNotFound)


def interleave(
    ws: Workspace,
    corpus_id: str,
    config: Config,
    query_id: str,
    champion: Ranking,
    rerank: Callable[[Scorer], Ranking],
    top_k: int,
) -> Ranking:
    """What to show: the champion's ranking as it is, or, while an experiment runs, its draft with the challenger's.

    Whatever fails leaves the champion's ranking, and the search does not count.
    """
    if not switched_on(config) or not champion.order:
        return champion
    try:
        running = advance(ws, corpus_id, config)
    except (NoChallenger, ModelNotFound):  # nothing to run; the status says why
        return champion
    if running.joined - running.excluded >= running.terms.impressions:
        return champion  # enough searches took part; the last ones wait for their feedback
    return _drafted(ws, config, running, query_id, champion, rerank, top_k)


def switched_on(config: Config) -> bool:
    """Whether searches take part in experiments."""
    return config.reranking.experiment != "off" and config.reranking.reranker_mode == "learning"


def _drafted(
    ws: Workspace,
    config: Config,
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
        challenger = rerank(ws.learned(running.challenger_id, config))
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


def advance(ws: Workspace, corpus_id: str, config: Config) -> Experiment:
    """The corpus's experiment as it stands now: what is due counted, ended or started as need be.

    Raises:
        NoChallenger, ModelNotFound: none runs, and none can be started.
    """
    latest = settled(ws, corpus_id, config)
    if latest is not None and latest.state == "running":
        return latest
    champion = ws.store.models.alias(corpus_id, "champion")
    challenger = challenger_of(ws, corpus_id, config, champion)
    if ws.store.experiments.decided(corpus_id, {champion, challenger}):
        raise NoChallenger(
            f"{challenger} and {champion or 'the retrieval order'} were compared already. Train another model, or "
            "start again with `tribrid experiment start --again`."
        )
    return ws.store.experiments.start(corpus_id, champion, challenger, terms(config))


def begin(ws: Workspace, corpus_id: str, config: Config, again: bool) -> Experiment:
    """Start an experiment, or take up the one that was paused.

    Args:
        again: also where the two were compared before.

    Raises:
        NoChallenger, ModelNotFound, ModelUnavailable: it cannot be started; nothing is changed.
    """
    champion = ws.store.models.alias(corpus_id, "champion")
    challenger = challenger_of(ws, corpus_id, config, champion)
    ws.learned(challenger, config)  # loads, or is not shown to anybody
    latest = settled(ws, corpus_id, config)
    if again and (latest is None or latest.state != "running"):
        return ws.store.experiments.start(corpus_id, champion, challenger, terms(config))
    return advance(ws, corpus_id, config)


def settled(ws: Workspace, corpus_id: str, config: Config) -> Experiment | None:
    """The last experiment with everything that is due counted, and ended if it is over; None if there was none."""
    latest = ws.store.experiments.latest(corpus_id)
    if latest is not None and latest.state == "running" and _count_due(ws, latest):
        latest = ws.store.experiments.latest(corpus_id)
    if latest is not None and latest.state == "running":
        over = _why_over(latest, ws.store.models.alias(corpus_id, "champion"), config)
        if over is not None:
            ws.store.experiments.finish(latest.experiment_id, "ended", None, over)
            latest = ws.store.experiments.latest(corpus_id)
    if latest is not None:
        _promote_winner(ws, latest, config)
    return latest


def challenger_of(ws: Workspace, corpus_id: str, config: Config, champion: str | None) -> str:
    """The model that is to challenge the champion.

    Raises:
        NoChallenger: there is none, or models are not what serves.
        ModelNotFound: the one that is named is not the corpus's.
    """
    if config.reranking.reranker_mode != "learning":
        raise NoChallenger(
            f"An experiment compares trained models, and mode {config.reranking.reranker_mode} serves none: set "
            "reranking.reranker_mode to learning."
        )
    named = config.reranking.experiment_challenger
    if named is None:
        named = ws.store.experiments.newest_model(corpus_id, champion)
    elif ws.store.models.get(named).corpus_id != corpus_id:
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
    )


def _why_over(running: Experiment, champion: str | None, config: Config) -> str | None:
    """Why a running experiment cannot go on; None while it can."""
    if champion != running.champion_id:
        was, now = (model_id or "the retrieval order" for model_id in (running.champion_id, champion))
        return f"The champion changed from {was} to {now} before there was a verdict."
    named = config.reranking.experiment_challenger
    if named not in (None, running.challenger_id):
        return f"Another challenger was named, {named}, before there was a verdict."
    return None


def _count_due(ws: Workspace, running: Experiment) -> bool:
    """Count what is due, one search after another, and stop at the first at which there is a verdict.

    Returns:
        Whether the experiment is no longer as it was given.
    """
    experiments, before = ws.store.experiments, running.settled
    while (found := _verdict(running.terms, running.tally)) is None:
        outcomes = experiments.due(running, now_us())
        if not outcomes:
            break
        position, tally = _counted(running.terms, running.tally, outcomes)
        if not experiments.settle(running, position, tally):
            return True  # another process counts the same
        running = replace(running, settled=position, tally=tally)
    if found is None and running.joined - running.excluded >= running.terms.impressions:
        # Searches that were erased before they counted are never due: without them, all that is left is counted.
        found = None if experiments.pending(running) else "no_difference"
    if found is not None:
        than = running.champion_id or "the retrieval order"
        said = in_words(
            found, than, running.tally.wins, running.tally.losses, running.tally.counted, running.terms.alpha
        )
        experiments.finish(running.experiment_id, "decided", found, said)
    return found is not None or running.settled != before


def _verdict(agreed: Terms, tally: Tally) -> Verdict | None:
    found = verdict(tally.wins, tally.losses, agreed.alpha)
    return "no_difference" if found is None and tally.counted >= agreed.impressions else found


def _counted(agreed: Terms, tally: Tally, outcomes: Iterable[Outcome]) -> tuple[int, Tally]:
    """The tally with these searches, and the number of the last of them that was needed."""
    position = 0
    for outcome in outcomes:
        position = outcome.position
        if outcome.teams:
            tally = _with(tally, outcome)
            if _verdict(agreed, tally) is not None:
                break
    return position, tally


def _with(tally: Tally, outcome: Outcome) -> Tally:
    gained = credit(outcome.doc_ids, outcome.teams, outcome.feedback)
    return replace(
        tally,
        wins=tally.wins + (gained.outcome > 0),
        losses=tally.losses + (gained.outcome < 0),
        ties=tally.ties + (gained.outcome == 0),
        identical=tally.identical + (set(outcome.teams) == {"both"}),
        champion_credit=tally.champion_credit + gained.champion,
        challenger_credit=tally.challenger_credit + gained.challenger,
    )


def _promote_winner(ws: Workspace, latest: Experiment, config: Config) -> None:
    """Promote a challenger that won, where that was agreed; one that does not load stays where it is."""
    models, won = ws.store.models, f"won experiment {latest.experiment_id} on live searches"
    wanted = latest.verdict == "challenger_better" and latest.terms.on_win == "promote" and not latest.promoted
    if not wanted:
        return
    done = any(row.kind == "experiment" and row.reason.startswith(won) for row in models.promotions(latest.corpus_id))
    # A process may have been killed after the promotion: what was rolled back since is not brought back.
    if not done and models.alias(latest.corpus_id, "champion") == latest.champion_id:
        with suppress(*_FAILURES, Conflict):  # the status says that it does not load
            ws.learned(latest.challenger_id, config)
            reason, over = f"{won}: {latest.reason}", latest.champion_id
            models.promote(latest.corpus_id, latest.challenger_id, reason, None, "experiment", over)
            done = True
    if done:
        ws.store.experiments.mark_promoted(latest.experiment_id)
