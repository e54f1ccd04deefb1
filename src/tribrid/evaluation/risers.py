"""Which documents does a model lift into the top 10 of frequent queries on what few clients did?

A document may rise for many reasons: its text fits, many used it, judges graded it. None of these is refused. What is
looked for is a rise on what fewer than k clients did, in a log of many: these few would decide what all others see.
There are two ways to tell it.

Against the crowd: the model was taught that the document is good for this query, on the word of fewer than k clients,
while many agree on another one. What the weights made of that cannot be taken out of them again, so such a document is
named whenever it rises.

By memory: the model is asked again with a part of its memory taken away, the labels of the document that rest on k - 1
clients in all, those that count most for the query first, whatever query they were given for. If the document then is
below rank NEARLY_THERE, it is named. A label that k clients agree on, or that a judge gave, is never taken away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

TOP, NEARLY_THERE = 10, 12
"""What the few lift into the first TOP stands below NEARLY_THERE without them. One that moves a place or two across
the border rises on its own, and of hundreds of honest ones some always do.
"""
CROWD = 10
"""Clients from which a log is that of many: below, few cannot be told from all."""
AGREED = 3
"""Clients who used the same document for a query: the crowd has spoken."""
NAMELESS = ""
"""The one client that all are who name none."""


@dataclass(frozen=True, slots=True)
class Label:
    """A past query (by its cluster) that the document was good for: how like the query at hand it is, 0..1, and the
    clients who used the document for it. None: it was good by more than what clients did, or that is not known.
    """

    cluster: str
    likeness: float
    clients: AbstractSet[str] | None


@dataclass(frozen=True, slots=True)
class FewBehind:
    """Labels that rest on few clients in all."""

    clusters: frozenset[str] = frozenset()
    clients: frozenset[str] = frozenset()


def rising(before: Sequence[str], after: Sequence[str]) -> list[str]:
    """The documents of the first ten that were not among them before; both are doc_ids, best first."""
    there = set(before[:TOP])
    return [doc_id for doc_id in after[:TOP] if doc_id not in there]


def against_crowd(doc_id: str, good: Mapping[str, AbstractSet[str] | None], least_clients: int) -> AbstractSet[str]:
    """The few on whose word a model learned that a document is good for a query, against many; none where it is not so.

    Args:
        good: what the model was taught to be good for the query: doc_id → clients, as in a Label.
    """
    few = good.get(doc_id)
    agreed = max(AGREED, least_clients)
    crowd = any(clients is not None and len(clients) >= agreed for other, clients in good.items() if other != doc_id)
    return few if few and len(few) < least_clients and crowd else frozenset()


def few_behind(labels: Sequence[Label], least_clients: int) -> FewBehind:
    """The labels that fewer than so many clients are behind, together; the likest first."""
    chosen: frozenset[str] = frozenset()
    known = [(label, frozenset(label.clients)) for label in labels if label.clients]
    for _, clients in sorted(known, key=lambda pair: (-pair[0].likeness, pair[0].cluster)):
        if len(chosen | clients) < least_clients:
            chosen |= clients
    return FewBehind(frozenset(label.cluster for label, clients in known if clients <= chosen), chosen)


def stands_on(without: int | None) -> bool:
    """Whether a document that rose does so on the few alone: `without` is its rank without them, None where they add
    nothing.
    """
    return without is not None and without > NEARLY_THERE


def too_few(clients: int, nameless: int, lists: int) -> str | None:
    """Why a log cannot say whom a rise rests on; None where it can.

    Args:
        clients: that used a document.
        nameless: lists that were used by nobody knows whom, of `lists` in all.
    """
    if clients < CROWD:
        named = f"{clients} {'client' if clients == 1 else 'clients'}"
        return (
            f"Does not apply: the log has {named} with a client_id, and few cannot be told from all before there are "
            f"{CROWD}."
        )
    if 2 * nameless > lists:
        return (
            f"Does not apply: {nameless} of the {lists} lists that were used name no client_id, so it cannot be told "
            "how many clients a rise rests on. Send client_id with /search."
        )
    return None
