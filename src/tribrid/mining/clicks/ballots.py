"""One client, query and document: one vote, however often it is cast.

What a client did not choose is a vote as well, and repeated without end it would talk down what others found. So of a
client's lists for one query, the first in which nothing was done counts, and the first in which something was; of all
others only what it did with documents that it had not chosen before.

Without a client_id nothing can tell a person who repeats himself from another one, except time: the same list, shown
again within seconds, is taken for the same person's.
"""

from __future__ import annotations

from collections.abc import Mapping

from tribrid.corpus.lexical import normalise
from tribrid.mining.clicks.evidence import Evidence
from tribrid.mining.clicks.feedback import Opinion
from tribrid.mining.clicks.voters import Voters
from tribrid.mining.splits import content_words
from tribrid.types import LoggedList

SECONDS_US = 10_000_000
"""Time within which an anonymous list that is shown again is a repeat, microseconds."""

MOST_RECENT = 10_000
"""Anonymous lists remembered before those whose time is over are forgotten."""

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
        self._room = MOST_RECENT

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
        voter = self._voters.voter(logged)
        if voter is not None:
            return _Box(voter, self._cast)
        # The very list once more: another order is another occasion, and tells how much a rank is looked at.
        shown, at_us = hash((self._query(logged.query), *logged.doc_ids)), logged.created_us
        began_us, cast = self._recent.get(shown, (at_us, None))
        if cast is None or not 0 <= at_us - began_us <= SECONDS_US:
            self._forget(at_us)
            began_us, cast = self._recent[shown] = at_us, set()
        elif at_us == began_us:  # a log that knows no seconds
            return None
        return _Box(None, cast)

    def _forget(self, now_us: int) -> None:
        if len(self._recent) >= self._room:
            kept = {shown: seen for shown, seen in self._recent.items() if now_us - seen[0] <= SECONDS_US}
            self._recent, self._room = kept, max(MOST_RECENT, 2 * len(kept))

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
