"""The searches of an experiment, counted in their sequence: one outcome a client and day, until there is a verdict."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from tribrid.evaluation.interleaving import credit, outcome_of_day
from tribrid.evaluation.sequential import decided, in_words, verdict
from tribrid.scoring.scorer import UNTRAINED_MODEL
from tribrid.store.database import now_us
from tribrid.store.experiments import NAMELESS, Experiment, Experiments, Outcome, Tally, Terms
from tribrid.types import Verdict


def count_due(experiments: Experiments, running: Experiment) -> bool:
    """Count what is due, one search after another, and stop at the first at which there is a verdict.

    Returns:
        Whether the experiment is no longer as it was given.
    """
    before = running.settled
    while (found := _verdict(experiments, running)) is None:
        outcomes = experiments.due(running, now_us())
        if not outcomes:
            break
        counted = _counted(experiments, running, outcomes)
        if not experiments.settle(running, counted.position, counted.tally, counted.told):
            return True  # another process counts the same
        running = replace(running, settled=counted.position, tally=counted.tally)
    if found is None and taking_part(running) >= running.terms.impressions:
        # Searches that were erased before they counted are never due: without them, all that is left is counted.
        found = None if experiments.pending(running) else "no_difference"
    if found is not None:
        experiments.finish(running.experiment_id, "decided", found, said(running, found))
    return found is not None or running.settled != before


def taking_part(running: Experiment) -> int:
    """Searches that are an outcome of their own, or may become one."""
    return running.joined - running.excluded - running.tally.repeated


def said(experiment: Experiment, found: Verdict | None) -> str:
    """What was counted, in words."""
    tally, than = experiment.tally, named_in_words(experiment.champion_id)
    alpha = experiment.terms.alpha
    return in_words(found, than, tally.wins, tally.losses, tally.counted, alpha, tally.clients)


def named_in_words(champion_id: str | None) -> str:
    """What an experiment's champion is."""
    if champion_id is None:
        return "the retrieval order"
    return "the order before any label" if champion_id == UNTRAINED_MODEL else champion_id


def _verdict(experiments: Experiments, running: Experiment) -> Verdict | None:
    terms, tally = running.terms, running.tally
    found: Verdict | None = None
    if _suggests(terms, tally):
        clients = experiments.by_client(running)
        found = decided(tally.wins, tally.losses, clients, terms.alpha, terms.least_clients)
    return "no_difference" if found is None and tally.counted >= terms.impressions else found


def _suggests(terms: Terms, tally: Tally) -> bool:
    """Whether it is worth asking by whom the outcomes are."""
    return tally.clients >= terms.least_clients and verdict(tally.wins, tally.losses, terms.alpha) is not None


@dataclass
class _Counted:
    """The tally with some more searches, the number of the last of them, and what each that counts came to."""

    tally: Tally
    position: int = 0
    told: dict[int, int] = field(default_factory=dict)


def _counted(experiments: Experiments, running: Experiment, outcomes: list[Outcome]) -> _Counted:
    """Count searches up to the last that was needed."""
    days = experiments.outcomes(running, {outcome.client for outcome in outcomes})
    known = {client for (client, _), outcome in days.items() if outcome}
    counted, suggested = _Counted(running.tally), _suggests(running.terms, running.tally)
    for outcome in outcomes:
        counted.position = outcome.position
        if not outcome.teams:
            continue
        earlier = days.get((outcome.client, outcome.day))
        came_to = _count(counted, outcome, earlier, known)
        if came_to is not None:
            days[outcome.client, outcome.day] = counted.told[outcome.position] = came_to
        # What one client keeps from a verdict is asked about again after all that is due, not after each search.
        suggests = not suggested and _suggests(running.terms, counted.tally)
        if suggests or counted.tally.counted >= running.terms.impressions:
            break
    return counted


def _count(counted: _Counted, outcome: Outcome, earlier: int | None, known: set[str]) -> int | None:
    """Add a search to the tally; what it makes of its client's day, None if nothing."""
    gained = credit(outcome.doc_ids, outcome.teams, outcome.feedback)
    came_to = outcome_of_day(earlier, gained.outcome)
    tally = counted.tally
    counted.tally = replace(
        tally,
        nameless=tally.nameless + (outcome.client == NAMELESS),
        repeated=tally.repeated + (earlier is not None),
    )
    if came_to is None:
        return None
    ties = tally.ties + (came_to == 0) - (earlier == 0)
    new = outcome.client not in known and came_to != 0
    known.update([outcome.client] if new else ())
    counted.tally = replace(
        counted.tally,
        wins=tally.wins + (came_to > 0),
        losses=tally.losses + (came_to < 0),
        ties=ties,
        # A tie that its day outgrew may have been one of them.
        identical=min(ties, tally.identical + (set(outcome.teams) == {"both"})),
        champion_credit=tally.champion_credit + gained.champion,
        challenger_credit=tally.challenger_credit + gained.challenger,
        clients=tally.clients + new,
    )
    return came_to
