"""Who is behind a log: how many clients, whether there are enough to ask for several, and which of them are no people.

One client must not decide what all others see, so a label needs several distinct ones to count in full. Where a log has
too few of them in all, there is nobody to protect, and every label counts: that is the corpus of one person, or of an
application that does not say who asks. Lists without a client_id may all be one person's, so beside clients they count
as one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tribrid.types import LoggedList

NOBODY = ""
"""The client that all lists without a client_id count as, where others have one."""
FEW_CLIENTS = 5
"""Fewer than this, and labels that two agree on would be so rare that little were left to learn from."""
CLIENTS_PER_VOTE = 5
"""So many clients in all for each one that a label needs, up to `mining.min_clients`."""

LISTS_PER_MINUTE, ACTS_PER_MINUTE = 40, 80
"""More in a minute than a person searches, or acts on: nobody reads a list in a second and a half."""
BREADTH, BREADTH_SHOWN, BREADTH_LENGTH = 0.9, 50, 5
"""The share of what it is shown that a bot acts on, of at least so many documents, in lists of at least this length."""
SHARE, SHARE_LISTS, TIMES_THE_OTHERS = 0.25, 200, 20
"""A client with this share of all lists, so many at least, and so many times what the others have on average."""
MINUTE_US, DAY_US = 60_000_000, 86_400_000_000

TOO_FAST, TOO_BROAD, TOO_MUCH = "too_fast", "acts_on_everything", "share_of_all"


@dataclass(slots=True)
class _Client:
    """What one client did, added up."""

    lists: int = 0
    acts: int = 0
    shown: int = 0
    acted: int = 0
    minute: int = -1
    lists_in_minute: int = 0
    acts_in_minute: int = 0
    fast: bool = False

    def add(self, logged: LoggedList) -> None:
        acted = {item.doc_id for item in logged.feedback if item.doc_id is not None}
        self.lists += 1
        self.acts += len(acted)
        if len(logged.doc_ids) >= BREADTH_LENGTH:
            self.shown += len(logged.doc_ids)
            self.acted += len(acted.intersection(logged.doc_ids))
        # A log that only knows days has all of a day at midnight: that is no minute with many searches.
        if logged.created_us % DAY_US == 0:
            return
        minute = logged.created_us // MINUTE_US
        if minute != self.minute:
            self.minute, self.lists_in_minute, self.acts_in_minute = minute, 0, 0
        self.lists_in_minute += 1
        self.acts_in_minute += len(acted)
        self.fast |= self.lists_in_minute > LISTS_PER_MINUTE or self.acts_in_minute > ACTS_PER_MINUTE

    def no_person(self, lists: int, clients: int) -> str | None:
        """Why this is no person, beside so many lists of so many clients in all."""
        if self.fast:
            return TOO_FAST
        if self.shown >= BREADTH_SHOWN and self.acted >= BREADTH * self.shown:
            return TOO_BROAD
        others = (lists - self.lists) / max(clients - 1, 1)
        if self.lists >= SHARE_LISTS and self.lists > SHARE * lists and self.lists > TIMES_THE_OTHERS * others:
            return TOO_MUCH
        return None


@dataclass(frozen=True, slots=True)
class Voters:
    """What a log's clients come to.

    Attributes:
        needed: distinct clients that a label needs to count in full; 1: there are too few clients to ask for several.
        clients: distinct client_ids that acted on something, bots not counted.
        bots: client_id → why it is taken for no person; its lists are left out.
        left_out: how many lists those are.
    """

    needed: int = 1
    clients: int = 0
    bots: dict[str, str] = field(default_factory=dict)
    left_out: int = 0

    @property
    def crowd(self) -> bool:
        """Whether a label needs several clients."""
        return self.needed > 1

    def voter(self, logged: LoggedList) -> str | None:
        """Whose votes a list's are; None where lists without a client_id are all there is to go by."""
        return logged.client_id or (NOBODY if self.crowd else None)

    @property
    def reasons(self) -> dict[str, int]:
        """Bots by reason."""
        return dict(sorted(Counter(self.bots.values()).items()))


def survey(lists: Iterable[LoggedList], min_clients: int) -> Voters:
    """Reads a log for who is behind it.

    Args:
        lists: those without a client_id tell nothing here.
        min_clients: distinct clients that a label needs where there are many; 1: it needs no other.
    """
    clients: dict[str, _Client] = {}
    for logged in lists:
        if logged.client_id:
            clients.setdefault(logged.client_id, _Client()).add(logged)
    bots = _bots(clients)
    acting = {name for name, client in clients.items() if client.acts}
    if acting <= bots.keys():  # a person who tries things out by script, and nobody who would suffer from it
        bots = {}
    people = len(acting - bots.keys())
    needed = 1 if people < FEW_CLIENTS else min(min_clients, max(2, people // CLIENTS_PER_VOTE))
    return Voters(needed, people, bots, sum(clients[name].lists for name in bots))


def _bots(clients: Mapping[str, _Client]) -> dict[str, str]:
    """Which of them are no people, and why."""
    total = sum(client.lists for client in clients.values())
    found = ((name, client.no_person(total, len(clients))) for name, client in clients.items())
    return {name: why for name, why in found if why}


def told(voters: Voters, anonymous: int) -> str:
    """In words: what asking for several clients means for this log.

    Args:
        anonymous: lists without a client_id that somebody acted on.
    """
    if voters.crowd:
        rest = f"; the {anonymous:,} acted-on lists without a client_id count as one" if anonymous else ""
        return f"{voters.clients:,} clients acted: a label needs {voters.needed} of them to count in full{rest}."
    if not voters.clients and not anonymous:
        return "Nobody acted on a list that may be learned from."
    if not voters.clients:
        return (
            "No list has a client_id, so all of it is taken for one person's, and everything that was done counts. If "
            "others search this corpus too, send a client_id with each search: else one of them can steer what all see."
        )
    who = "One client" if voters.clients == 1 else f"{voters.clients:,} clients"
    return (
        f"{who} acted, too few to ask that several agree on a label, so everything that was done counts. From "
        f"{FEW_CLIENTS} clients on a label needs more than one."
    )
