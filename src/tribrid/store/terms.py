"""What an experiment was agreed to be, what was counted, and how it stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tribrid.types import Feedback, Team, Verdict

Design = Literal["interleave", "ab"]
"""Both rankings mixed in each list, or one of them for each client."""
NAMELESS = ""
"""The client of all searches that name none."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What an experiment was started with. It holds to its end, as a test's terms must.

    `impressions`: the most outcomes to count; `window_s`: how long feedback on a search counts, seconds;
    `least_clients`: without so many clients whose searches told the two apart there is no verdict. `design`: whether
    lists are mixed, or clients are split.
    """

    alpha: float
    impressions: int
    window_s: int
    on_win: Literal["report", "promote"]
    least_clients: int = 20
    design: Design = "interleave"


@dataclass(frozen=True, slots=True)
class Tally:
    """What was counted, from the challenger's side: one outcome a client and day, of an A/B one a client.

    `identical` of the ties are lists on which both rankings agreed; credit is in documents used, of an A/B what the
    searches of each side were worth together. `repeated` are searches besides the one that is a client's outcome,
    `nameless` those (of all) without a client_id. `clients`: whose searches told the two apart. `challenger_shown`: of
    an A/B, the outcomes of clients who saw the challenger's ranking.
    """

    wins: int = 0
    losses: int = 0
    ties: int = 0
    identical: int = 0
    champion_credit: float = 0.0
    challenger_credit: float = 0.0
    repeated: int = 0
    nameless: int = 0
    clients: int = 0
    challenger_shown: int = 0

    @property
    def counted(self) -> int:
        return self.wins + self.losses + self.ties


@dataclass(frozen=True, slots=True)
class Experiment:
    """A champion (None: the retrieval order) and a challenger: a model, `retrieval` or `given`.

    `running` until there is a verdict (`decided`) or one of the two is no longer what it was (`ended`). `joined` counts
    the searches that took part, `excluded` those of them that do not count, `settled` is the number of the last search
    whose outcome is in the tally.
    """

    experiment_id: str
    corpus_id: str
    champion_id: str | None
    challenger_id: str
    terms: Terms
    state: Literal["running", "decided", "ended"]
    created_us: int
    finished_us: int | None
    joined: int
    excluded: int
    settled: int
    tally: Tally
    verdict: Verdict | None
    reason: str | None
    promoted: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """A search that took part, with the feedback that counts. `teams` is empty where it was excluded.

    `client` is NAMELESS where nobody said; `day` is the search's, in days since 1970 (UTC).
    """

    position: int
    client: str
    day: int
    doc_ids: tuple[str, ...]
    teams: tuple[Team, ...]
    feedback: tuple[Feedback, ...]
