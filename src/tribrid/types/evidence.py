"""What an eval dataset rests on whose labels nobody gave: a span of a log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

Chances = Mapping[str, Mapping[str, float]]
"""query_id → doc_id → a number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEvidence:
    """A held-out span of a log, and what it says of documents.

    Attributes:
        since_us, until_us: the first moment of the span, and the first after it.
        clients: distinct ones whose acts count; 0: none is known.
        searches: lists that were read.
        examination: chance that each of the first ranks is looked at.
        good: how likely each document that was shown is good, with what is usual at its ranks assumed.
        log_odds: what recorded lists alone add to the log-odds of each document that was shown in them.
    """

    since_us: int
    until_us: int
    clients: int
    searches: int
    examination: tuple[float, ...]
    good: Chances
    log_odds: Chances

    def to_json(self) -> dict[str, Any]:
        """As it is stored."""
        return {name: getattr(self, name) for name in _FIELDS}

    @classmethod
    def of_json(cls, stored: Mapping[str, Any]) -> LogEvidence:
        """What `to_json` wrote."""
        return cls(**{**stored, "examination": tuple(stored["examination"])})

    def left(self, judgments: Mapping[str, Mapping[str, int]]) -> LogEvidence:
        """The same of these queries and documents alone, query_id → doc_id → grade: what is erased there is here."""
        kept = {
            name: {
                query_id: {doc_id: value for doc_id, value in of.items() if doc_id in judgments[query_id]}
                for query_id, of in getattr(self, name).items()
                if query_id in judgments
            }
            for name in ("good", "log_odds")
        }
        return replace(self, good=kept["good"], log_odds=kept["log_odds"])


_FIELDS = ("since_us", "until_us", "clients", "searches", "examination", "good", "log_odds")
