"""What a whole log says of each document of each query, as labels.

Impressions of the same normalised text are one query. The click model weighs what was done against the ranks at which
it was, or was not: a use where few look says more for a document than silence there says against it, one that was
often shown high and hardly used is evidence against it, and a use by mistake is outvoted by the impressions without.
Where a document was rated, the ratings alone decide.

The log is streamed, once for who is behind it and once to count. What is kept grows with the distinct (query, document,
rank), and by a few bytes with each client's search; never with how often one repeats itself.
"""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from tribrid.mining.clicks.ballots import Ballots
from tribrid.mining.clicks.counts import LogCounts
from tribrid.mining.clicks.groups import groups
from tribrid.mining.clicks.lists import Coder
from tribrid.mining.clicks.model import ClickModel
from tribrid.mining.clicks.reformulations import Reformulations
from tribrid.mining.clicks.support import Support
from tribrid.mining.clicks.verdicts import Verdicts
from tribrid.mining.clicks.voters import Voters, survey, told
from tribrid.mining.labels import FEW_EVIDENCE, Group, Positive
from tribrid.types import Source, Triplet
from tribrid.types.logblocks import Log, in_blocks
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
        anonymous: lists without a client_id that somebody acted on.
        model: what was learned of how people look.
        voters: who is behind the log.
        support: which of them are behind which label.
    """

    groups: list[Group]
    impressions: int
    conflicting: int
    outnumbered: int
    anonymous: int
    model: ClickModel
    voters: Voters
    support: Support

    def checked(self, group: Group, positive: Positive) -> Positive:
        """A label of few clients without that mark, if others found its document good for queries like its own."""
        if positive.few and self.support.others_agree(group.query, positive.doc_id):
            return replace(positive, evidence=positive.evidence.removeprefix(FEW_EVIDENCE))
        return positive

    def clients(self, triplets: Iterable[Triplet]) -> ClientFacts:
        """What a mining tells of the clients behind what it made: these triplets."""
        taught = (triplet for triplet in triplets if triplet.source is Source.LOGS and not triplet.held_back)
        labels = sorted({(triplet.query, triplet.positive[0]) for triplet in taught})
        heaviest = self.support.heaviest(labels)
        return {
            "clients": self.voters.clients,
            "needed": self.voters.needed,
            "anonymous": self.anonymous,
            "heaviest_share": None if heaviest is None else round(heaviest, 4),
            "bots": self.voters.reasons,
            "bot_lists": self.voters.left_out,
            "told": told(self.voters, self.anonymous),
        }


def log_groups(
    lists: Log,
    *,
    examined_below_click: int,
    min_clients: int = 1,
    named: Log | None = None,
) -> LogLabels:
    """Adds up a log.

    Args:
        lists: in any order; only reformulations and repeats need the order of time.
        examined_below_click: ranks below the lowest document used that still count as looked at.
        min_clients: distinct clients that a label needs where there are many.
        named: the lists with a client_id, read before the others are; None: `lists` is read twice, and what can be read
            only once is kept in memory.
    """
    counted = count_log(lists, examined_below_click=examined_below_click, min_clients=min_clients, named=named)
    verdicts = Verdicts(counted.counts)
    with _uncollected():
        found = sorted(groups(verdicts), key=_drawn)
    return LogLabels(
        found,
        counted.lists,
        verdicts.conflicting,
        verdicts.outnumbered,
        counted.anonymous,
        verdicts.model,
        counted.counts.voters,
        verdicts.support,
    )


class CountedLog(NamedTuple):
    """A log counted, one vote to each client: how many lists were read, and how many of nobody were acted on."""

    counts: LogCounts
    lists: int
    anonymous: int


def count_log(
    lists: Log,
    *,
    examined_below_click: int,
    min_clients: int,
    named: Log | None = None,
) -> CountedLog:
    """Counts a log. The arguments are those of `log_groups`."""
    if named is None and isinstance(lists, Iterator):
        lists = list(lists)
    voters = survey(lists if named is None else named, min_clients)
    coder = Coder()
    counts = LogCounts(examined_below_click=examined_below_click, voters=voters, coder=coder)
    ballots, reformulations = Ballots(voters, coder), Reformulations(coder)
    read = anonymous = 0
    for block in in_blocks(lists):
        read += len(block)
        acted = np.zeros(len(block), np.bool_)
        acted[block.acts.row] = True
        client = coder.client(block)
        anonymous += int((acted & (client < 0)).sum())
        bots = [number for name in voters.bots if (number := coder.clients.get(name)) is not None]
        people = coder.lists(block.where(~np.isin(client, bots)))
        if not len(people):
            continue
        ballot, left = ballots.counted(people), reformulations.given_up(people)
        counts.add(people, ballot, left.where(ballots.gives_up(left.client, left.query)))
    counts.merge()
    return CountedLog(counts, read, anonymous)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the collector of garbage, which would look at hundreds of thousands of groups again and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _drawn(group: Group) -> bytes:
    return hashlib.sha256(group.query.encode("utf-8", "surrogatepass")).digest()
