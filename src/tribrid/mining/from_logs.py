"""An eval dataset from a log: which queries have evidence enough to be measured on, and what is said of too little.

A query is taken if as many distinct clients used something for it as a label needs in mining, and if some document is
more likely good than not. Of queries that are one in other words only the one with most clients is taken. A document's
grade is 1 if it is more likely good than not, else 0; how likely stands beside it, and a comparison draws from that.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from tribrid.corpus.lexical import normalise
from tribrid.errors import NotEnoughEvidence
from tribrid.mining.clicks.odds import LogOdds, QueryOdds
from tribrid.mining.clicks.voters import FEW_CLIENTS
from tribrid.mining.splits import query_clusters
from tribrid.types import JudgedQuery

FEWEST_QUERIES = 30
"""With fewer, the interval of a change is narrower than it should be."""
MOST_QUERIES = 1000
"""Those of most clients; more would make each evaluation longer than what they show is worth."""
LIKELY = 0.5


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a log is measured on; of each query_id, what is said of its documents (see clicks/odds.py)."""

    queries: tuple[JudgedQuery, ...]
    good: dict[str, dict[str, float]]
    log_odds: dict[str, dict[str, float]]


def choose(odds: LogOdds, known: Collection[str], days: float) -> Chosen:
    """The queries with evidence enough.

    Args:
        known: doc_ids that the corpus holds; what is said of others is passed over.
        days: how long the log is.

    Raises:
        NotEnoughEvidence: fewer than FEWEST_QUERIES of them; says how many there are and how much longer it takes. Or
            fewer clients than FEW_CLIENTS acted: what one of them likes is no measure of what serves all.
    """
    answered = _answered(odds.queries, set(known))
    enough = [query for query in answered if query.clients >= odds.needed]
    distinct = _distinct(sorted(enough, key=lambda query: (-query.clients, query.text)))
    if len(distinct) < FEWEST_QUERIES:
        raise _too_few(odds, len(distinct), len(answered) - len(enough), days)
    if odds.clients < FEW_CLIENTS:
        raise _too_few_clients(odds, len(distinct))
    taken = {query_id_of(query.text): query for query in distinct[:MOST_QUERIES]}
    return Chosen(
        tuple(_judged(query_id, query) for query_id, query in sorted(taken.items())),
        {query_id: dict(query.good) for query_id, query in taken.items()},
        {query_id: dict(query.log_odds) for query_id, query in taken.items()},
    )


def query_id_of(text: str) -> str:
    """The id of a logged query: the same for the same words."""
    return f"log-{hashlib.sha256(normalise(text).encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def _answered(queries: Iterable[QueryOdds], known: Collection[str]) -> list[QueryOdds]:
    """Those of which a known document is more likely good than not, with known documents alone."""
    left = [_of_known(query, known) for query in queries]
    return [query for query in left if max(query.good.values(), default=0.0) >= LIKELY]


def _of_known(query: QueryOdds, known: Collection[str]) -> QueryOdds:
    good, added = ({doc: value for doc, value in of.items() if doc in known} for of in (query.good, query.log_odds))
    return QueryOdds(query.text, query.clients, good, added)


def _judged(query_id: str, query: QueryOdds) -> JudgedQuery:
    return JudgedQuery(query_id, query.text, {doc_id: int(chance >= LIKELY) for doc_id, chance in query.good.items()})


def _distinct(queries: Sequence[QueryOdds]) -> list[QueryOdds]:
    """The first of each cluster of near-duplicates."""
    first: dict[str, QueryOdds] = {}
    for cluster, query in zip(query_clusters([query.text for query in queries]), queries, strict=True):
        first.setdefault(cluster, query)
    return list(first.values())


def _too_few_clients(odds: LogOdds, found: int) -> NotEnoughEvidence:
    who = f"{odds.clients} known clients" if odds.clients != 1 else "1 known client"
    return NotEnoughEvidence(
        f"{odds.lists:,} searches of {who} were acted on, {FEW_CLIENTS} clients are needed: what one of them clicks "
        "is no measure of what serves all. Log searches with client_id; or judge, `tribrid evalset next` says what.",
        queries=found,
        needed=FEWEST_QUERIES,
        missing=0,
        searches=odds.lists,
        days_needed=None,
    )


def _too_few(odds: LogOdds, found: int, lacking: int, days: float) -> NotEnoughEvidence:
    missing = FEWEST_QUERIES - found
    who = "client" if odds.needed == 1 else "clients"
    told = (
        f"{odds.lists:,} searches of {days:.3g} days give {found} queries for which at least {odds.needed} {who} used "
        f"something that is probably good; {FEWEST_QUERIES} are needed, so {missing} are missing."
    )
    if lacking:
        told += f" {lacking} more have a good document and too few clients."
    wanted = math.ceil(days * FEWEST_QUERIES / found) if found else None
    told += f" At this rate some {wanted:,} days would do." if wanted else " Log searches with client_id and feedback."
    return NotEnoughEvidence(
        told, queries=found, needed=FEWEST_QUERIES, missing=missing, searches=odds.lists, days_needed=wanted
    )
