"""What a whole log says of each document of each query, as labels.

Impressions of the same normalised text are one query. The click model weighs what was done against the ranks at which
it was, or was not: a use where few look says more for a document than silence there says against it, one that was
often shown high and hardly used is evidence against it, and a use by mistake is outvoted by the impressions without.
Where a document was rated, the ratings alone decide.

The log is streamed; what is kept grows with the distinct (query, document, rank), never with its length.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from tribrid.mining.clicks.counts import LogCounts
from tribrid.mining.clicks.evidence import evidence
from tribrid.mining.clicks.model import ClickModel
from tribrid.mining.clicks.reformulations import Reformulations
from tribrid.mining.clicks.verdicts import Verdicts
from tribrid.mining.labels import Group
from tribrid.types import LoggedList


@dataclass(frozen=True, slots=True)
class LogLabels:
    """What the logs say: groups in an order that has nothing to do with what was clicked.

    Whoever takes the first few takes a fair sample. The surest first would be those used at the very top, where
    everybody looks: a set of searches that the ranking answers already, and that teaches to leave it as it is.

    Attributes:
        impressions: lists read, also those that say nothing.
        conflicting: labels that cancelled out.
        model: what was learned of how people look.
    """

    groups: list[Group]
    impressions: int
    conflicting: int
    model: ClickModel


def log_groups(lists: Iterable[LoggedList], *, examined_below_click: int) -> LogLabels:
    """Adds up a log. Reads `lists` once, in any order; only reformulations need the order of time.

    Args:
        examined_below_click: ranks below the lowest document used that still count as looked at.
    """
    counts = LogCounts(examined_below_click=examined_below_click)
    reformulations = Reformulations()
    for logged in lists:
        found = evidence(logged)
        counts.add(logged, found)
        if logged.client_id is not None and logged.source != "reconstructed":
            earlier = reformulations.given_up(logged, found.satisfied)
            if earlier is not None:
                counts.give_up(earlier, evidence(earlier))
    counts.merge()
    verdicts = Verdicts(counts)
    groups = sorted(verdicts.groups(), key=_drawn)
    return LogLabels(groups, counts.lists, verdicts.conflicting, verdicts.model)


def _drawn(group: Group) -> bytes:
    return hashlib.sha256(group.query.encode("utf-8", "surrogatepass")).digest()
