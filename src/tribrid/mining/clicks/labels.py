"""What a whole log says of each document of each query, as labels.

Impressions of the same normalised text are one query. The click model weighs what was done against the ranks at which
it was, or was not: a use where few look says more for a document than silence there says against it, one that was
often shown high and hardly used is evidence against it, and a use by mistake is outvoted by the impressions without.
Where a document was rated, the ratings alone decide.

The log is streamed, once for who is behind it and once to count. What is kept grows with the distinct (query, document,
rank), and by a few bytes with each client's search; never with how often one repeats itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tribrid.mining.clicks.ballots import Ballots
from tribrid.mining.clicks.counts import LogCounts
from tribrid.mining.clicks.evidence import evidence
from tribrid.mining.clicks.model import ClickModel
from tribrid.mining.clicks.reformulations import Reformulations
from tribrid.mining.clicks.support import Support
from tribrid.mining.clicks.verdicts import Verdicts
from tribrid.mining.clicks.voters import Voters, survey, told
from tribrid.mining.labels import Group
from tribrid.types import LoggedList, Source, Triplet
from tribrid.types.stored import ClientFacts


@dataclass(frozen=True, slots=True)
class LogLabels:
    """What the logs say: groups in an order that has nothing to do with what was clicked.

    Whoever takes the first few takes a fair sample. The surest first would be those used at the very top, where
    everybody looks: a set of searches that the ranking answers already, and that teaches to leave it as it is.

    Attributes:
        impressions: lists read, also those that say nothing.
        conflicting: labels that cancelled out.
        outnumbered: labels that few clients stand behind, where many agree on another one.
        model: what was learned of how people look.
        voters: who is behind the log.
        support: which of them are behind which label.
    """

    groups: list[Group]
    impressions: int
    conflicting: int
    outnumbered: int
    model: ClickModel
    voters: Voters
    support: Support

    def clients(self, triplets: Iterable[Triplet], pairs: int) -> ClientFacts:
        """What a mining tells of the clients behind what it made: these triplets, of so many pairs."""
        taught = (triplet for triplet in triplets if triplet.source is Source.LOGS and not triplet.held_back)
        labels = sorted({(triplet.query, triplet.positive[0]) for triplet in taught})
        heaviest = self.support.heaviest(labels) if pairs else None
        return {
            "clients": self.voters.clients,
            "needed": self.voters.needed,
            "anonymous": self.voters.anonymous,
            "heaviest_share": None if heaviest is None else round(heaviest / pairs, 4),
            "bots": self.voters.reasons,
            "bot_lists": self.voters.left_out,
            "told": told(self.voters),
        }


def log_groups(lists: Iterable[LoggedList], *, examined_below_click: int, min_clients: int = 1) -> LogLabels:
    """Adds up a log.

    Args:
        lists: read twice, in any order; only reformulations and repeats need the order of time. What can be read only
            once is kept in memory.
        examined_below_click: ranks below the lowest document used that still count as looked at.
        min_clients: distinct clients that a label needs where there are many.
    """
    if isinstance(lists, Iterator):
        lists = list(lists)
    voters = survey(lists, min_clients)
    counts = LogCounts(examined_below_click=examined_below_click, voters=voters)
    ballots = Ballots(voters)
    reformulations = Reformulations()
    read = 0
    for logged in lists:
        read += 1
        if logged.client_id in voters.bots:
            continue
        found = evidence(logged)
        ballot = ballots.counted(logged, found)
        if ballot is not None:
            counts.add(*ballot)
        if logged.client_id is not None and logged.source != "reconstructed":
            earlier = reformulations.given_up(logged, found.satisfied)
            if earlier is not None and ballots.gives_up(earlier):
                counts.give_up(earlier, evidence(earlier))
    counts.merge()
    verdicts = Verdicts(counts)
    groups = sorted(verdicts.groups(), key=_drawn)
    return LogLabels(groups, read, verdicts.conflicting, verdicts.outnumbered, verdicts.model, voters, verdicts.support)


def _drawn(group: Group) -> bytes:
    return hashlib.sha256(group.query.encode("utf-8", "surrogatepass")).digest()
