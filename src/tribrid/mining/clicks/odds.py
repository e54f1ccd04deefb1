"""How likely each document is good for a query, by what users did: the labels of an eval dataset made from a log.

Mining wants few and sure labels; a measurement wants all of them, each with how sure it is. So nothing is dropped here
because few stand behind it: a document that was shown has a probability, and what nobody was shown has none.
A query counts by the distinct clients who used something for it. Bots are left out, and a client has one vote.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tribrid.mining.clicks.counts import ACT_BITS, DOC_BITS, DOC_MASK, LogCounts
from tribrid.mining.clicks.labels import count_log
from tribrid.mining.clicks.model import Floats
from tribrid.mining.clicks.verdicts import Verdicts
from tribrid.types.logblocks import Log
from tribrid.types.stored import ClickModelFacts

CERTAIN = 1e-3
"""No document is good, or is not, for more certain than that."""


@dataclass(frozen=True, slots=True)
class QueryOdds:
    """One query of a log.

    Attributes:
        clients: distinct ones who used a document for it; lists, where no client is known.
        good: doc_id → how likely it is good, of every document that was shown.
        log_odds: doc_id → what was done and not done adds to the log-odds of that, of those in recorded lists.
    """

    text: str
    clients: int
    good: Mapping[str, float]
    log_odds: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class LogOdds:
    """A log read for measuring.

    Attributes:
        queries: those that somebody acted on, by text.
        lists: how many were read; `bot_lists` of them were left out.
        clients: distinct ones who acted on something; 0: none is known.
        needed: clients that a label needs where there are many.
        model: how people look.
    """

    queries: tuple[QueryOdds, ...]
    lists: int
    clients: int
    needed: int
    bot_lists: int
    model: ClickModelFacts


def log_odds(lists: Log, *, examined_below_click: int, min_clients: int) -> LogOdds:
    """Reads a log. The arguments are those of `log_groups`."""
    counts, read, _ = count_log(lists, examined_below_click=examined_below_click, min_clients=min_clients)
    verdicts = Verdicts(counts)
    clients = _clients(counts)
    evidence = np.where(verdicts.judged, _logit(verdicts.good), verdicts.evidence)
    recorded, names = verdicts.shown > 0, list(counts.doc_ids)
    good: defaultdict[int, dict[str, float]] = defaultdict(dict)
    added: defaultdict[int, dict[str, float]] = defaultdict(dict)
    for row, pair in enumerate(verdicts.pair.tolist()):
        number, doc_id = pair >> DOC_BITS, names[pair & DOC_MASK]
        good[number][doc_id] = round(float(verdicts.good[row]), 4)
        if recorded[row]:
            added[number][doc_id] = round(float(evidence[row]), 4)
    found = [QueryOdds(counts.queries[at][0], clients.get(at, 0), good[at], added[at]) for at in good]
    voters = counts.voters
    return LogOdds(
        tuple(sorted(found, key=lambda query: query.text)),
        read,
        voters.clients,
        voters.needed,
        voters.left_out,
        verdicts.model.view(),
    )


def _logit(chance: Floats) -> Floats:
    bounded = np.clip(chance, CERTAIN, 1 - CERTAIN)
    found: Floats = np.log(bounded / (1 - bounded))
    return found


def _clients(counts: LogCounts) -> dict[int, int]:
    """How many clients used something, by the query's number; uses, where no client is known."""
    if not counts.clients:
        asked = counts.acts.keys >> (DOC_BITS + ACT_BITS)
        uses = np.bincount(asked, counts.acts.counts[:, 0]).astype(np.int64) if len(asked) else asked
        return dict(enumerate(uses.tolist()))
    voted = np.unique(np.stack([counts.votes[:, 0] >> DOC_BITS, counts.votes[:, 1]], axis=1), axis=0)
    numbers, clients = np.unique(voted[:, 0], return_counts=True)
    return dict(zip(numbers.tolist(), clients.tolist(), strict=True))
