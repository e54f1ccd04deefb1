"""Which searches a training must not read, where an eval dataset was made from a span of the log.

The span is left out whole, and so is whatever else is of the clients who are measured with: what a person likes,
learned before, would be measured again. But people come back, and where all did, nobody would be left to learn from. So
those who searched before the span as well are dealt: half of them are measured with, the others learned from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tribrid.types import LoggedList
from tribrid.types.logblocks import Log, LogBlock, in_blocks
from tribrid.types.stored import MinedCounts


def measured_with(client_id: str, *, earlier: bool) -> bool:
    """Whether a client of the span is measured with, and so not learned from.

    Args:
        earlier: it searched before the span too.
    """
    return not earlier or hashlib.sha256(client_id.encode("utf-8", "surrogatepass")).digest()[0] % 2 == 0


@dataclass(frozen=True, slots=True)
class HeldOut:
    """A span, the first moment of it and the first after it, and the clients that are measured with."""

    since_us: int
    until_us: int
    clients: frozenset[str]

    def holds(self, logged: LoggedList) -> bool:
        """Whether a list may not be learned from."""
        return self.since_us <= logged.created_us < self.until_us or logged.client_id in self.clients

    def measures(self, logged: LoggedList) -> bool:
        """Whether a list of the span is measured with: those of clients nobody named are."""
        return logged.client_id is None or logged.client_id in self.clients


def without(lists: Log, held: HeldOut | None) -> Log:
    """The lists that may be learned from."""
    return lists if held is None else _left(lists, held)


def _left(lists: Log, held: HeldOut) -> Iterator[LogBlock]:
    for block in in_blocks(lists):
        measured = np.array([*(name in held.clients for name in block.clients.texts), False])[block.clients.codes]
        yield block.where(~(measured | ((block.at_us >= held.since_us) & (block.at_us < held.until_us))))


def facts_of(held: HeldOut | None) -> MinedCounts:
    """What a mining counts of it."""
    return {} if held is None else {"held_out": {"since_us": held.since_us, "until_us": held.until_us}}
