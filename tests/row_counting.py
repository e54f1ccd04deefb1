"""A log counted list by list, as one would without columns: what counting by columns is held against."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tribrid.corpus.lexical import normalise
from tribrid.mining.clicks.ballots import SECONDS_US
from tribrid.mining.clicks.counts import (
    ABOVE,
    ACT_BITS,
    BELOW,
    DOC_BITS,
    GIVEN_UP,
    MOST_RANKS,
    RANK_BITS,
    RECONSTRUCTED,
    SHOWN,
    USED,
    Stated,
)
from tribrid.mining.clicks.evidence import Evidence, evidence
from tribrid.mining.clicks.feedback import ACTS, Opinion
from tribrid.mining.clicks.reformulations import SOON_US
from tribrid.mining.clicks.voters import (
    ACTS_PER_MINUTE,
    BREADTH,
    BREADTH_LENGTH,
    BREADTH_SHOWN,
    CLIENTS_PER_VOTE,
    DAY_US,
    FEW_CLIENTS,
    LISTS_PER_MINUTE,
    MINUTE_US,
    SHARE,
    SHARE_LISTS,
    TIMES_THE_OTHERS,
    TOO_BROAD,
    TOO_FAST,
    TOO_MUCH,
    Voters,
)
from tribrid.mining.splits import content_words
from tribrid.types import LoggedList


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


_WHOLE, _SILENT, _GAVE_UP = range(3)  # beside doc_ids, which are strings

Ballot = tuple[LoggedList, Evidence]
"""A list, and what was done with it, cut down to what counts."""


class _Box:
    """What one voter has cast already: a number for each vote."""

    __slots__ = ("_cast", "_voter")

    def __init__(self, voter: str | None, cast: set[int]) -> None:
        self._voter, self._cast = voter, cast

    def first(self, query: int, what: str | int) -> bool:
        """Casts a vote; whether it is new."""
        before = len(self._cast)
        self._cast.add(hash((self._voter, query, what)))
        return len(self._cast) > before

    def has(self, query: int, what: str | int) -> bool:
        return hash((self._voter, query, what)) in self._cast


class Ballots:
    """Remembers who voted on what."""

    def __init__(self, voters: Voters) -> None:
        self._voters = voters
        self._cast: set[int] = set()
        self._asked: dict[str, int] = {}
        # Of the lists that nobody knows who saw: since when, and the votes in it.
        self._recent: dict[int, tuple[int, set[int]]] = {}

    def counted(self, logged: LoggedList, found: Evidence) -> Ballot | None:
        """What of a list is no repetition; None where nothing is."""
        box, query = self._box(logged), self._query(logged.query)
        if box is None:
            return logged, found
        if not found.opinions:
            fresh = box.first(query, _SILENT) and not box.has(query, _WHOLE)
            return (logged, found) if fresh else None
        # Ratings are told apart by who gave them where they are added up: the last word holds, not the first.
        new = {
            doc_id: opinion
            for doc_id, opinion in found.opinions.items()
            if box.first(query, doc_id) or opinion.explicit
        }
        if box.first(query, _WHOLE):
            return logged, found
        return _cut(logged, new) if new else None

    def gives_up(self, logged: LoggedList) -> bool:
        """Whether this client has not given up this query before."""
        box = self._box(logged)
        return box is None or box.first(self._query(logged.query), _GAVE_UP)

    def _box(self, logged: LoggedList) -> _Box | None:
        """None: whoever it was has voted on nothing yet."""
        voter = _voter(self._voters, logged)
        if voter is not None:
            return _Box(voter, self._cast)
        # The very list once more: another order is another occasion, and tells how much a rank is looked at.
        shown, at_us = hash((self._query(logged.query), *logged.doc_ids)), logged.created_us
        began_us, cast = self._recent.get(shown, (at_us, None))
        if cast is None or not 0 <= at_us - began_us <= SECONDS_US:
            began_us, cast = self._recent[shown] = at_us, set()
        elif at_us == began_us:  # a log that knows no seconds
            return None
        return _Box(None, cast)

    def _query(self, text: str) -> int:
        """The same for all queries that say the same in another spelling or order."""
        key = normalise(text)
        if key not in self._asked:
            self._asked[key] = hash(content_words(key))
        return self._asked[key]


def _cut(logged: LoggedList, new: Mapping[str, Opinion]) -> Ballot:
    """Of a list, the documents that somebody acted on for the first time."""
    places = [(doc_id, rank) for doc_id, rank in zip(logged.doc_ids, logged.ranks, strict=True) if doc_id in new]
    kept = logged._replace(doc_ids=[place[0] for place in places], ranks=[place[1] for place in places])
    return kept, Evidence(dict(new), 0)


class Reformulations:
    """Follows a log in its order of time. Lists without a client_id tell nothing here."""

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[LoggedList, bool]] = {}

    def given_up(self, logged: LoggedList, satisfied: bool) -> LoggedList | None:
        """The list that this one's query is a reformulation of, if it is one.

        Args:
            satisfied: whether something in `logged` was used and not left again at once: then it cannot be given up.
        """
        if logged.client_id is None:
            return None
        before = self._waiting.get(logged.client_id)
        self._waiting[logged.client_id] = (logged, satisfied)
        if before is None or before[1] or not 0 <= logged.created_us - before[0].created_us <= SOON_US:
            return None
        return before[0] if reformulates(logged.query, before[0].query) else None


def reformulates(query: str, earlier: str) -> bool:
    """Whether a query is another one in part: not the same text, but with a content word in common."""
    return normalise(query) != normalise(earlier) and bool(content_words(query) & content_words(earlier))


def _voter(voters: Voters, logged: LoggedList) -> str | None:
    return logged.client_id or ("" if voters.crowd else None)


@dataclass
class Counted:
    """What `LogCounts` has, in dictionaries."""

    queries: list[tuple[str, str]] = field(default_factory=list)
    doc_ids: dict[str, int] = field(default_factory=dict)
    cells: dict[int, list[int]] = field(default_factory=dict)
    acts: Counter[int] = field(default_factory=Counter)
    last_us: dict[int, int] = field(default_factory=dict)
    stated: dict[int, Stated] = field(default_factory=dict)
    first: dict[int, str] = field(default_factory=dict)
    filtered: set[int] = field(default_factory=set)
    clients: dict[str, int] = field(default_factory=dict)
    votes: list[tuple[int, int]] = field(default_factory=list)
    lists: int = 0
    anonymous: int = 0
    _numbers: dict[str, int] = field(default_factory=dict)

    def query(self, logged: LoggedList) -> int:
        number = self._numbers.setdefault(normalise(logged.query), len(self.queries))
        if number == len(self.queries):
            self.queries.append((logged.query, logged.query_id))
        return number

    def doc(self, doc_id: str) -> int:
        return self.doc_ids.setdefault(doc_id, len(self.doc_ids))

    def add(self, logged: LoggedList, found: Evidence, voter: str | None, below: int) -> None:
        recorded = logged.source != "reconstructed"
        if not recorded and not found.opinions:
            return
        best: dict[str, int] = {}
        for doc_id, rank in zip(logged.doc_ids, logged.ranks, strict=True):
            best[doc_id] = min(rank, best.get(doc_id, rank))
        for doc_id in best if recorded else found.opinions:
            self.doc(doc_id)
        query = self.query(logged)
        for doc_id, rank in best.items() if recorded else ():
            self._show(query, doc_id, min(rank, MOST_RANKS), found, below)
        for doc_id, opinion in found.opinions.items():
            self._act(query << DOC_BITS | self.doc(doc_id), logged, opinion, voter)

    def _show(self, query: int, doc_id: str, rank: int, found: Evidence, below: int) -> None:
        opinion = found.opinions.get(doc_id)
        cell = self.cells.setdefault((query << DOC_BITS | self.doc(doc_id)) << RANK_BITS | rank, [0] * 5)
        if opinion is None:
            cell[SHOWN] += 1
            cell[ABOVE] += rank < found.lowest
            cell[BELOW] += 0 < found.lowest <= rank <= found.lowest + below
        elif not opinion.explicit and opinion.strength > 0:
            cell[SHOWN] += 1
            cell[USED] += 1

    def _act(self, pair: int, logged: LoggedList, opinion: Opinion, voter: str | None) -> None:
        self.first.setdefault(pair, logged.query_id)
        if logged.filtered:
            self.filtered.add(pair)
        if opinion.explicit:
            said = self.stated.setdefault(pair, Stated())
            said.add((voter, 0 if voter is not None else len(said.said)), opinion)
            return
        key = pair << ACT_BITS | RECONSTRUCTED * (logged.source == "reconstructed") | ACTS.index(opinion.act)
        self.acts[key] += 1
        self.last_us[key] = max(opinion.at_us, self.last_us.get(key, opinion.at_us))
        if voter is not None and opinion.strength > 0:
            self.votes.append((pair, self.clients.setdefault(voter, len(self.clients))))

    def give_up(self, logged: LoggedList, found: Evidence) -> None:
        query = self.query(logged) << DOC_BITS
        for doc_id, rank in zip(logged.doc_ids, logged.ranks, strict=True):
            if doc_id not in found.opinions:
                key = (query | self.doc(doc_id)) << RANK_BITS | min(rank, MOST_RANKS)
                self.cells.setdefault(key, [0] * 5)[GIVEN_UP] += 1


def count(lists: Iterable[LoggedList], voters: Voters, below: int) -> Counted:
    """Counts a log in the order given."""
    counts, ballots, reformulations = Counted(), Ballots(voters), Reformulations()
    for logged in lists:
        counts.lists += 1
        counts.anonymous += bool(logged.feedback) and not logged.client_id
        if logged.client_id in voters.bots:
            continue
        found = evidence(logged)
        ballot = ballots.counted(logged, found)
        if ballot is not None:
            counts.add(*ballot, _voter(voters, logged), below)
        if logged.client_id is not None and logged.source != "reconstructed":
            earlier = reformulations.given_up(logged, found.satisfied)
            if earlier is not None and ballots.gives_up(earlier):
                counts.give_up(earlier, evidence(earlier))
    return counts
