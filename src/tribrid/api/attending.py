"""Requests that cost something: how many at once, and no longer than somebody waits for the answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import anyio.to_thread
from fastapi import Request

from tribrid.encoders.budget import Budget
from tribrid.errors import Overloaded

RETRY_AFTER_S = 1
THREADS = 40
"""Requests at work at a time; of those inside, the others wait. They have threads of their own, so that who is refused,
and who asks how the server is doing, need not wait for one of them.
"""
T = TypeVar("T")


class Admission:
    """Counts requests that are at work or wait for a thread; belongs to the event loop."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.inside = 0
        self.refused = 0
        self.threads = anyio.CapacityLimiter(min(most, THREADS))

    def enter(self) -> None:
        """Come in.

        Raises:
            Overloaded: as many are inside as may be.
        """
        if self.inside >= self.most:
            self.refused += 1
            raise Overloaded(
                f"{self.inside} searches and rerank calls are being answered (serving.max_requests). Try again in "
                f"{RETRY_AFTER_S} s.",
                retry_after_s=RETRY_AFTER_S,
            )
        self.inside += 1

    def leave(self) -> None:
        """Go."""
        self.inside -= 1


async def attended(request: Request, work: Callable[[Budget], T]) -> T:
    """What `work` returns, in a thread; its budget knows as soon as the client has gone. The body was read before.

    Raises:
        Overloaded: too many requests are at work.
    """
    admission: Admission = request.app.state.admission
    admission.enter()
    budget = Budget()
    watcher = asyncio.create_task(_watch(request, budget))
    try:
        return await anyio.to_thread.run_sync(work, budget, limiter=admission.threads)
    finally:
        admission.leave()
        watcher.cancel()


async def admitted(request: Request) -> AsyncIterator[None]:
    """A dependency of what costs as much as a search: it counts as one for as long as it is at work.

    Raises:
        Overloaded: too many requests are at work.
    """
    admission: Admission = request.app.state.admission
    admission.enter()
    try:
        yield
    finally:
        admission.leave()


async def _watch(request: Request, budget: Budget) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    budget.leave()
