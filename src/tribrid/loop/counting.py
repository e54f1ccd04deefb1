"""The searches of an experiment, counted in their sequence until there is a verdict: one outcome a client and day, of
an A/B one a client.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tribrid.evaluation.ab import outcome, worth
from tribrid.evaluation.interleaving import Credit, credit, outcome_of_day
from tribrid.evaluation.notes import GIVEN, RETRIEVAL
from tribrid.evaluation.sequential import decided, in_words, verdict
from tribrid.scoring.scorer import UNTRAINED_MODEL
from tribrid.store.database import now_us
from tribrid.store.experiments import Experiments
from tribrid.store.terms import NAMELESS, Experiment, Outcome, Tally, Terms
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
    per = "client" if experiment.terms.design == "ab" else "client and day"
    told = in_words(found, than, tally.wins, tally.losses, tally.counted, experiment.terms.alpha, tally.clients, per)
    return f"{told}{_of_an_order(experiment, found)}"


def _of_an_order(experiment: Experiment, found: Verdict | None) -> str:
    """What to do where a challenger that is no model won."""
    if found != "challenger_better" or experiment.challenger_id not in _ORDERS:
        return ""
    order, champion = _ORDERS[experiment.challenger_id], named_in_words(experiment.champion_id)
    instead = {RETRIEVAL: " To serve it, set reranking.reranker_mode to none."}.get(experiment.challenger_id, "")
    return (
        f" The challenger was {order}, so there is nothing to promote: {champion} makes these lists worse.{instead} "
        "Train a better model, or roll back."
    )


_ORDERS = {RETRIEVAL: "the retrieval order", GIVEN: "the order in which the documents came"}


def named_in_words(model_id: str | None) -> str:
    """What one side of an experiment is."""
    if model_id == UNTRAINED_MODEL:
        return "the order before any label"
    return _ORDERS.get(model_id or RETRIEVAL, str(model_id))


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
    days = _Days(running, experiments.outcomes(running, {search.client for search in outcomes}))
    counted, suggested = _Counted(running.tally), _suggests(running.terms, running.tally)
    for search in outcomes:
        counted.position = search.position
        if not search.teams:
            continue
        came_to = _count(counted, search, days)
        if came_to is not None:
            days.add(search, came_to)
            counted.told[search.position] = came_to
        # What one client keeps from a verdict is asked about again after all that is due, not after each search.
        suggests = not suggested and _suggests(running.terms, counted.tally)
        if suggests or counted.tally.counted >= running.terms.impressions:
            break
    return counted


class _Days:
    """What clients' days have come to; in an A/B a client has but one."""

    def __init__(self, running: Experiment, told: Mapping[tuple[str, int], int]) -> None:
        self.ab = running.terms.design == "ab"
        self._days = {(client, self._of(day)): said for (client, day), said in told.items()}
        self._known = {client for (client, _), said in told.items() if said}

    def _of(self, day: int) -> int:
        return 0 if self.ab else day

    def earlier(self, search: Outcome) -> int | None:
        """What its client's day came to before it; None where it is the first."""
        return self._days.get((search.client, self._of(search.day)))

    def knows(self, client: str) -> bool:
        """Whether a search of the client told the two apart."""
        return client in self._known

    def add(self, search: Outcome, came_to: int) -> None:
        self._days[search.client, self._of(search.day)] = came_to
        if came_to:
            self._known.add(search.client)


def _count(counted: _Counted, search: Outcome, days: _Days) -> int | None:
    """Add a search to the tally; what it makes of its client's day, None if nothing."""
    tally, earlier, ab = counted.tally, days.earlier(search), days.ab
    gained, said = _said_by(search, tally, ab)
    came_to = (said if earlier is None else None) if ab else outcome_of_day(earlier, said)
    counted.tally = replace(
        tally,
        nameless=tally.nameless + (search.client == NAMELESS),
        repeated=tally.repeated + (earlier is not None),
    )
    if came_to is None:
        return None
    ties = tally.ties + (came_to == 0) - (earlier == 0)
    new = came_to != 0 and not days.knows(search.client)
    counted.tally = replace(
        counted.tally,
        wins=tally.wins + (came_to > 0),
        losses=tally.losses + (came_to < 0),
        ties=ties,
        # A tie that its day outgrew may have been one of them.
        identical=min(ties, tally.identical + (set(search.teams) == {"both"})),
        champion_credit=tally.champion_credit + gained.champion,
        challenger_credit=tally.challenger_credit + gained.challenger,
        clients=tally.clients + new,
        challenger_shown=tally.challenger_shown + (ab and search.teams[0] == "challenger"),
    )
    return came_to


def _said_by(search: Outcome, tally: Tally, ab: bool) -> tuple[Credit, int]:
    """What a search adds to the credit of the two, and which of them it speaks for: 1, 0 or -1."""
    if not ab:
        gained = credit(search.doc_ids, search.teams, search.feedback)
        return gained, gained.outcome
    found, saw = worth(search.doc_ids, search.feedback), search.teams[0]
    gained = Credit(challenger=found) if saw == "challenger" else Credit(champion=found)
    return gained, outcome(found, tally.champion_credit + tally.challenger_credit, tally.counted, saw)
