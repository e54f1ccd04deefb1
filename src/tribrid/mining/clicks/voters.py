"""Who is behind a log: how many clients, whether there are enough to ask for several, and which of them are no people.

One client must not decide what all others see, so a label needs several distinct ones to count in full. Where a log has
too few of them in all, there is nobody to protect, and every label counts: that is the corpus of one person, or of an
application that does not say who asks. Lists without a client_id may all be one person's, so beside clients they count
as one.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from tribrid.mining.clicks.lists import Numbers, places
from tribrid.types import LoggedList
from tribrid.types.logblocks import Ints, Log, LogBlock, in_blocks

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


_LISTS, _ACTS, _SHOWN, _ACTED = range(4)


class _Survey:
    """What each client did, added up.

    Attributes:
        done: (clients, 4) lists, documents acted on, documents shown in lists of some length, and acted on of those.
        fast: (clients,) did more in a minute than a person.
    """

    def __init__(self) -> None:
        self.clients = Numbers()
        self.done = np.zeros((0, 4), np.int64)
        self.fast = np.zeros(0, np.bool_)
        # Minutes that may go on in the next block: client, minute, lists, acts.
        self._minutes = np.zeros((0, 4), np.int64)

    def add(self, block: LogBlock) -> None:
        """Adds lists of known clients."""
        client = self.clients.of(block.clients)
        new = len(self.clients) - len(self.done)
        self.done = np.concatenate([self.done, np.zeros((new, 4), np.int64)])
        self.fast = np.concatenate([self.fast, np.zeros(new, np.bool_)])
        acted, inside = _acted(block)
        lengths = np.diff(block.ends, prepend=0)
        long = lengths >= BREADTH_LENGTH
        counts = (np.ones(len(block), np.int64), acted, np.where(long, lengths, 0), np.where(long, inside, 0))
        for column, values in enumerate(counts):
            self.done[:, column] += np.bincount(client, values, len(self.done)).astype(np.int64)
        # A log that only knows days has all of a day at midnight: that is no minute with many searches.
        timed = block.at_us % DAY_US != 0
        minute = block.at_us[timed] // MINUTE_US
        rows = np.stack([client[timed], minute, np.ones(len(minute), np.int64), acted[timed]], axis=1)
        rows = np.concatenate([self._minutes, rows])
        if len(rows):
            rows = _summed(rows)
            self.fast[rows[(rows[:, 2] > LISTS_PER_MINUTE) | (rows[:, 3] > ACTS_PER_MINUTE), 0]] = True
            self._minutes = rows[rows[:, 1] == rows[:, 1].max()]

    def bots(self) -> dict[str, str]:
        """Which of them are no people, and why."""
        lists, _, shown, acted = self.done.T
        others = (lists.sum() - lists) / max(len(lists) - 1, 1)
        broad = (shown >= BREADTH_SHOWN) & (acted >= BREADTH * shown)
        much = (lists >= SHARE_LISTS) & (lists > SHARE * lists.sum()) & (lists > TIMES_THE_OTHERS * others)
        reasons = np.select([self.fast, broad, much], [1, 2, 3])
        names = (TOO_FAST, TOO_BROAD, TOO_MUCH)
        return {self.clients.name(at): names[reasons[at] - 1] for at in np.flatnonzero(reasons).tolist()}


def _summed(rows: Ints) -> Ints:
    """Rows of the same client and minute as one."""
    rows = rows[np.lexsort((rows[:, 1], rows[:, 0]))]
    starts = np.flatnonzero((np.diff(rows[:, 0], prepend=-1) != 0) | (np.diff(rows[:, 1], prepend=-1) != 0))
    return np.concatenate([rows[starts, :2], np.add.reduceat(rows[:, 2:], starts, axis=0)], axis=1)


def _acted(block: LogBlock) -> tuple[Ints, Ints]:
    """(n,) how many documents were acted on in each list, and how many of those that it showed."""
    numbers = Numbers()
    doc, wanted = numbers.of(block.docs), numbers.of(block.acts.docs)
    named = wanted >= 0
    pairs = np.unique(np.stack([block.acts.row[named], wanted[named]], axis=1), axis=0)
    there, _ = places(doc, pairs[:, 0], block.starts, np.diff(block.ends, prepend=0), pairs[:, 1])
    of = (np.bincount(rows, minlength=len(block)) for rows in (pairs[:, 0], pairs[there, 0]))
    acted, inside = of
    return acted, inside


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


def survey(lists: Log, min_clients: int) -> Voters:
    """Reads a log, in the order of time, for who is behind it.

    Args:
        lists: those without a client_id tell nothing here.
        min_clients: distinct clients that a label needs where there are many; 1: it needs no other.
    """
    found = _Survey()
    for block in in_blocks(lists):
        named = np.array([*map(bool, block.clients.texts), False])[block.clients.codes]
        if named.any():
            found.add(block.where(named))
    bots = found.bots()
    acting = {found.clients.name(at) for at in np.flatnonzero(found.done[:, _ACTS]).tolist()}
    if acting <= bots.keys():  # a person who tries things out by script, and nobody who would suffer from it
        bots = {}
    people = len(acting - bots.keys())
    needed = 1 if people < FEW_CLIENTS else min(min_clients, max(2, people // CLIENTS_PER_VOTE))
    return Voters(needed, people, bots, sum(int(found.done[found.clients[name], _LISTS]) for name in bots))


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
