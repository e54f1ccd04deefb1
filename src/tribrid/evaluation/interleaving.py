"""One list out of two rankings, and what users' feedback on it says of the two.

Team draft: in each round a coin says which ranking picks first, and each picks the best of its documents that is not
in the list yet. Both so get the same places to fill, on average at the same ranks, and neither users nor feedback know
of teams. So for two rankings that are equally good a win is as likely as a loss, whatever users do, and whatever they
make of ranks.

A document that both would pick next is nobody's: to credit it to whom the coin happened to favour adds noise and no
evidence. Two rankings that agree over the whole list give a list without teams, which is a tie.

Of a client's searches on one day the first that tells the two apart is what counts; where none does, the day is a tie.
So a client that searches a hundred times says no more than one that searches once. Coins are thrown anew for each
search, so between equals the first that tells them apart is a win as often as a loss, whatever was searched before.

References:
    Radlinski, Kurup, Joachims: How does clickthrough data reflect retrieval quality? CIKM 2008 (team draft).
    Chapelle, Joachims, Radlinski, Yue: Large-scale validation and analysis of interleaved search evaluation, TOIS 2012
    (documents that both rank alike, what to credit).
"""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tribrid.mining.clicks.feedback import opinion
from tribrid.types import Feedback, Team


@dataclass(frozen=True, slots=True)
class Draft:
    """An interleaved list: documents, and the team of each."""

    doc_ids: list[str]
    teams: list[Team]


def team_draft(champion: Sequence[str], challenger: Sequence[str], length: int, seed: str) -> Draft:
    """The first `length` documents of the two rankings' draft; the same for the same seed.

    Args:
        seed: the coins are made of it. The query_id: another search of the same words gets other coins.
    """
    coins = random.Random(hashlib.sha256(seed.encode()).digest())
    rankings: dict[Team, _Ranking] = {"champion": _Ranking(champion), "challenger": _Ranking(challenger)}
    drafted: dict[str, Team] = {}
    while len(drafted) < length:
        picks = {team: ranking.best(drafted) for team, ranking in rankings.items()}
        if picks["champion"] == picks["challenger"]:
            if picks["champion"] is None:
                break
            drafted[picks["champion"]] = "both"
            continue
        first: list[Team] = ["champion", "challenger"] if coins.random() < 0.5 else ["challenger", "champion"]
        for team in first:
            picked = rankings[team].best(drafted)
            if picked is not None and len(drafted) < length:
                drafted[picked] = team
    return Draft(list(drafted), list(drafted.values()))


class _Ranking:
    """A ranking that is picked from, best first."""

    def __init__(self, doc_ids: Sequence[str]) -> None:
        self._doc_ids = doc_ids
        self._next = 0

    def best(self, drafted: dict[str, Team]) -> str | None:
        """The best document that nobody has; None when there is none left."""
        while self._next < len(self._doc_ids) and self._doc_ids[self._next] in drafted:
            self._next += 1
        return self._doc_ids[self._next] if self._next < len(self._doc_ids) else None


@dataclass(frozen=True, slots=True)
class Credit:
    """What each team's documents were worth to a user, in documents used."""

    champion: float = 0.0
    challenger: float = 0.0

    @property
    def outcome(self) -> int:
        """1: the challenger won the impression, -1: the champion did, 0: a tie."""
        return (self.challenger > self.champion) - (self.challenger < self.champion)


def credit(doc_ids: Sequence[str], teams: Sequence[Team], feedback: Iterable[Feedback]) -> Credit:
    """Sum up what was done with each team's documents.

    A document counts what `Opinion.use` says: 1 where it was used, however often, half where it was left at once, and
    1 or -1 by the last thumb or rating.
    """
    done: defaultdict[str | None, list[Feedback]] = defaultdict(list)
    for item in feedback:
        done[item.doc_id].append(item)
    sums: dict[Team, float] = {"champion": 0.0, "challenger": 0.0, "both": 0.0}
    for doc_id, team in zip(doc_ids, teams, strict=True):
        if doc_id in done:
            sums[team] += opinion(done[doc_id]).use
    return Credit(sums["champion"], sums["challenger"])


def outcome_of_day(earlier: int | None, now: int) -> int | None:
    """What a client's next search adds to its day; None: nothing.

    Args:
        earlier: what the day came to so far, 1, 0 or -1; None: this is its first search.
    """
    return now if earlier is None or (earlier == 0 and now != 0) else None
