"""Which lists were given up: soon after one, the same user asked much the same in other words.

References:
    Radlinski, Joachims: Query chains, KDD 2005. Hassan et al.: Beyond clicks: query reformulation as a predictor of
    search satisfaction, CIKM 2013.
"""

from __future__ import annotations

from tribrid.corpus.lexical import normalise
from tribrid.mining.splits import content_words
from tribrid.types import LoggedList

SOON_US = 5 * 60 * 1_000_000
"""Longest time from a list to the query that gives it up, microseconds."""
MOST_WAITING = 10_000
"""Clients remembered before those whose time is over are forgotten."""


class Reformulations:
    """Follows a log in its order of time. Lists without a client_id tell nothing here."""

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[LoggedList, bool]] = {}
        self._room = MOST_WAITING

    def given_up(self, logged: LoggedList, satisfied: bool) -> LoggedList | None:
        """The list that this one's query is a reformulation of, if it is one.

        Args:
            satisfied: whether something in `logged` was used and not left again at once: then it cannot be given up.
        """
        if logged.client_id is None:
            return None
        before = self._waiting.get(logged.client_id)
        self._waiting[logged.client_id] = (logged, satisfied)
        if len(self._waiting) > self._room:
            self._forget(logged.created_us)
        if before is None or before[1] or not 0 <= logged.created_us - before[0].created_us <= SOON_US:
            return None
        return before[0] if reformulates(logged.query, before[0].query) else None

    def _forget(self, now_us: int) -> None:
        self._waiting = {
            client: found for client, found in self._waiting.items() if now_us - found[0].created_us <= SOON_US
        }
        self._room = max(MOST_WAITING, 2 * len(self._waiting))


def reformulates(query: str, earlier: str) -> bool:
    """Whether a query is another one in part: not the same text, but with a content word in common."""
    return normalise(query) != normalise(earlier) and bool(content_words(query) & content_words(earlier))
