"""How a comparison of two rankings on live searches stands."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field

from tribrid.answers.answer import Answer, Time
from tribrid.types import Verdict


class Contestant(Answer):
    """One of the two rankings."""

    model_id: str = Field(
        description="`retrieval`: no trained model; `given`: the order in which the documents of a rerank came."
    )
    credit: float = Field(
        description="Feedback on what it had put into the lists; of an A/B, what its clients' searches were worth "
        "together: 1 / rank of the best document used."
    )
    clients: int | None = Field(default=None, description="Of an A/B: clients counted who saw its lists.")

    @property
    def is_model(self) -> bool:
        return self.model_id not in _ORDERS

    @property
    def name(self) -> str:
        """What it is, short."""
        return _ORDERS.get(self.model_id, self.model_id[:8])


_ORDERS = {"retrieval": "no trained model", "given": "the order given", "untrained": "the order before any label"}


class Challenger(Contestant):
    """The ranking that is tried."""

    loaded: bool | None = Field(default=None, description="Null: the experiment does not run, or it is no model.")
    problem: str | None = Field(default=None, description="Why it is not loaded.")


class CountedSearches(Answer):
    """What was counted: one outcome a client and day (UTC), the first search that told the two apart; of an A/B one
    outcome a client, its first search.
    """

    counted: int = Field(description="Outcomes.")
    wins: int = Field(description="Of the challenger.")
    losses: int
    ties: int
    identical: int = Field(description="Ties in which both gave the same list.")
    repeated: int = Field(description="Searches besides the one that is their client's outcome.")
    nameless: int = Field(description="Searches without a client_id, that count as one client's.")
    clients: int = Field(description="Clients whose searches told the two apart.")
    least_clients: int = Field(description="Without so many there is no verdict.")
    pending: int = Field(description="Searches still waiting for feedback.")
    excluded: int = Field(description="Searches not counted.")
    last_excluded: str | None = Field(description="Why the last of those is not.")
    budget: int = Field(description="After so many it ends.")


class WinShare(Answer):
    """The challenger's share of the searches that told the two apart, with its confidence sequence."""

    observed: float | None
    low: float
    high: float


class ExperimentDay(Answer):
    """How it stood at the end of a day (UTC) on which something told the two apart."""

    day: date
    wins: int = Field(description="Of the challenger, from the beginning.")
    losses: int
    low: float = Field(description="Of the confidence sequence of its share.")
    high: float


class ExperimentWaiting(Answer):
    """An experiment that is switched on and has not begun."""

    state: Literal["waiting"] = "waiting"
    reason: str


class ExperimentStatus(Answer):
    """An experiment as it stands."""

    experiment_id: str
    state: Literal["running", "paused", "decided", "ended"]
    design: Literal["interleave", "ab"] = Field(
        default="interleave", description="Both rankings mixed in each list, or one of them for each client."
    )
    started_at: Time
    finished_at: Time | None
    champion: Contestant
    challenger: Challenger
    impressions: CountedSearches
    win_share: WinShare
    e_value: float = Field(description="Evidence that the two differ.")
    decided_at: float = Field(description="The e_value at which it is decided.")
    alpha: float = Field(description="The chance of a wrong verdict.")
    window_s: float = Field(description="How long a search waits for feedback.")
    on_win: str = Field(description="What happens if the challenger wins.")
    verdict: Verdict | None
    promoted: bool
    not_promoted: str | None = Field(
        default=None, description="Why a challenger that won, and was to be promoted, is not."
    )
    reason: str
    ends_in_days: float | None = Field(
        default=None,
        description="At the traffic of the last days, if users go on choosing as they do; null: not known.",
    )
    forecast: str | None = Field(default=None, description="The same in words; null: it does not run.")
    waiting: str | None = Field(description="Why the next experiment does not begin.")


class CorpusExperiment(Answer):
    """How a corpus's experiment stands; null: there was none."""

    corpus_id: str
    experiment: ExperimentStatus | ExperimentWaiting | None
