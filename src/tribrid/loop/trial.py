"""What a search or a rerank shows while an experiment runs: one list out of both rankings or, in an A/B, one of the two
by whose search it is.

Whatever fails leaves the champion's ranking, and then it does not count. Both rankings are made in either design, also
of a client who sees the champion's: what fails so counts for neither.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tribrid.errors import Cancelled, Failed, ModelNotFound, NoChallenger, Overloaded, Unavailable
from tribrid.evaluation.ab import side
from tribrid.evaluation.interleaving import team_draft
from tribrid.evaluation.notes import GIVEN, RETRIEVAL
from tribrid.loop.counting import taking_part
from tribrid.loop.experiment import advance, switched_on
from tribrid.loop.serving import Ranking
from tribrid.scoring.scorer import Scorer
from tribrid.store.terms import Experiment
from tribrid.types import ScoredDoc, Trial
from tribrid.workspace.corpus import OpenCorpus

FAILURES = (Failed, Unavailable, ModelNotFound, Overloaded)
_NAMELESS = "It came without a client_id, by which an A/B says who sees which ranking."


@dataclass(frozen=True, slots=True)
class Listing:
    """A list that is about to be shown, and how else its documents can be ordered.

    Attributes:
        champion: the ranking of what serves.
        by: that of a model.
        fused: the first stage's order.
        given: for a rerank, the order in which the documents came; None for a search.
        length: how many are shown.
        coins: the query_id, of which a draft makes its coins.
    """

    champion: Ranking
    by: Callable[[Scorer], Ranking]
    fused: Sequence[ScoredDoc]
    given: Sequence[str] | None
    length: int
    client_id: str | None
    coins: str


def tried(corpus: OpenCorpus, listing: Listing) -> Ranking:
    """What to show: the champion's ranking as it is or, while an experiment runs, what that makes of it."""
    champion = listing.champion
    if not switched_on(corpus.config) or not champion.order:
        return champion
    try:
        running = advance(corpus)
    except (NoChallenger, ModelNotFound):  # nothing to run; the status says why
        return champion
    if running.challenger_id == GIVEN and listing.given is None:
        return champion  # a search has no order that came with it
    if taking_part(running) >= running.terms.impressions:
        return champion  # enough searches took part; the last ones wait for their feedback
    try:
        return _with(corpus, running, listing)
    except _Excluded as excluded:
        return replace(champion, trial=Trial(running.experiment_id, (), str(excluded)))


class _Excluded(Exception):
    """Why a search does not count."""


def _with(corpus: OpenCorpus, running: Experiment, listing: Listing) -> Ranking:
    champion, ab = listing.champion, running.terms.design == "ab"
    if ab and listing.client_id is None:
        raise _Excluded(_NAMELESS)
    if champion.fallback is not None:
        raise _Excluded(f"The champion failed: {champion.fallback.detail}")
    if champion.model_id != running.champion_id:  # by a promotion; the next search notices
        raise _Excluded("The champion changed during the search.")
    challenger = _challengers(corpus, running, listing)
    if (late := champion.note or challenger.note) is not None:  # neither is judged by half of its work
        raise _Excluded(late)
    if ab:
        return _one_of(running, challenger, listing)
    return _mixed(running, challenger, listing)


def _challengers(corpus: OpenCorpus, running: Experiment, listing: Listing) -> Ranking:
    """The challenger's ranking.

    Raises:
        _Excluded: it failed.
        Cancelled: whoever asked is gone.
    """
    name = running.challenger_id
    if name == RETRIEVAL:
        return Ranking(list(listing.fused))
    if name == GIVEN:
        return Ranking(_dealt(listing.given or (), listing.fused), GIVEN)
    try:
        return listing.by(corpus.learned(name))
    except Cancelled:
        raise
    except FAILURES as error:
        raise _Excluded(f"The challenger failed: {error.detail}") from error


def _mixed(running: Experiment, challenger: Ranking, listing: Listing) -> Ranking:
    champion, length, coins = listing.champion, listing.length, listing.coins
    draft = team_draft([d.doc_id for d in champion.order], [d.doc_id for d in challenger.order], length, coins)
    # Scores of two models have no common scale: the champion's are dealt out anew, so that none rises with rank.
    order = _dealt(draft.doc_ids, champion.order)
    return Ranking(
        order,
        f"{champion.model_id or RETRIEVAL}+{running.challenger_id}",
        candidates=max(champion.candidates, challenger.candidates),
        trial=Trial(running.experiment_id, tuple(draft.teams), mixed=True),
        calibration=champion.calibration,
    )


def _one_of(running: Experiment, challenger: Ranking, listing: Listing) -> Ranking:
    saw = side(running.experiment_id, str(listing.client_id))
    chosen = challenger if saw == "challenger" else listing.champion
    return replace(chosen, trial=Trial(running.experiment_id, (saw,) * min(listing.length, len(chosen.order))))


def _dealt(doc_ids: Sequence[str], scores: Sequence[ScoredDoc]) -> list[ScoredDoc]:
    """Documents in this order with the scores of another order, each below the one before it: who sorts by score again
    finds the same order.
    """
    order, least = [], math.inf
    for doc_id, scored in zip(doc_ids, scores, strict=False):
        least = min(scored.score, math.nextafter(least, -math.inf))
        order.append(ScoredDoc(doc_id, least))
    return order
