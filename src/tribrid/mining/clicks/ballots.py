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

_WHOLE, _SILENT, _GAVE_UP = range(3)  # beside doc_ids, which are strings

Ballot = tuple[LoggedList, Evidence]
"""A list, and what was done with it, cut down to what counts."""


class Ballots:
    """Remembers who voted on what: a number for each, whatever the length of the query."""

    def __init__(self, voters: Voters) -> None:
        self._voters = voters
        self._cast: set[int] = set()
        self._asked: dict[str, int] = {}
        self._began_us: dict[int, int] = {}

    def counted(self, logged: LoggedList, found: Evidence) -> Ballot | None:
        """What of a list is no repetition; None where nothing is."""
        voter = self._voter(logged)
        if voter is None:
            return logged, found
        query = self._query(logged.query)
        if not found.opinions:
            return (logged, found) if self._first_silence(voter, query) else None
        # Ratings are told apart by who gave them where they are added up: the last word holds, not the first.
        new = {
            doc_id: opinion
            for doc_id, opinion in found.opinions.items()
            if self._first(voter, query, doc_id) or opinion.explicit
        }
        if self._first(voter, query, _WHOLE):
            return logged, found
        return _cut(logged, new) if new else None

    def gives_up(self, logged: LoggedList) -> bool:
        """Whether this client has not given up this query before."""
        voter = self._voter(logged)
        return voter is None or self._first(voter, self._query(logged.query), _GAVE_UP)

    def _voter(self, logged: LoggedList) -> str | int | None:
        voter = self._voters.voter(logged)
        if voter is not None:
            return voter
        # The very list once more: another order is another occasion, and tells how much a rank is looked at.
        shown, at_us = hash((self._query(logged.query), *logged.doc_ids)), logged.created_us
        began_us = self._began_us.get(shown)
        if began_us is None or not 0 <= at_us - began_us <= SECONDS_US:
            self._began_us[shown] = began_us = at_us
        elif at_us == began_us:  # a log that knows no seconds
            return None
        return hash((shown, began_us))

    def _query(self, text: str) -> int:
        """The same for all queries that say the same in another spelling or order."""
        key = normalise(text)
        if key not in self._asked:
            self._asked[key] = hash(content_words(key))
        return self._asked[key]

    def _first_silence(self, voter: str | int, query: int) -> bool:
        return self._first(voter, query, _SILENT) and hash((voter, query, _WHOLE)) not in self._cast

    def _first(self, voter: str | int, query: int, what: str | int) -> bool:
        before = len(self._cast)
        self._cast.add(hash((voter, query, what)))
        return len(self._cast) > before


def _cut(logged: LoggedList, new: Mapping[str, Opinion]) -> Ballot:
    """Of a list, the documents that somebody acted on for the first time."""
    places = [(doc_id, rank) for doc_id, rank in zip(logged.doc_ids, logged.ranks, strict=True) if doc_id in new]
    kept = logged._replace(doc_ids=[place[0] for place in places], ranks=[place[1] for place in places])
    return kept, Evidence(dict(new), 0)
