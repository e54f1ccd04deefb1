"""Follow a job to its end from any process: polls the store, quickly while something happens, slowly while not."""

from __future__ import annotations

import time
from collections.abc import Callable

from tribrid.store import Store
from tribrid.types import Event, Job

SHORTEST_POLL_S = 0.05
LONGEST_POLL_S = 0.5
_PAGE = 1000


def wait(
    store: Store, job_id: str, timeout_s: float | None = None, on_event: Callable[[Event], None] | None = None
) -> Job:
    """The job as it ended, or as it is after `timeout_s` (None: for ever). Never raises because the job failed.

    `on_event` gets every event in order from the first one, in this thread.

    Raises:
        JobNotFound: there is no such job, or it was deleted meanwhile.
    """
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    follower = _Follower(store, job_id, on_event)
    poll_s = SHORTEST_POLL_S
    while True:
        job = store.jobs.get(job_id)  # before the events: a job that has ended has told them all
        news = follower.read()
        now = time.monotonic()
        if job.state.final or (deadline is not None and now >= deadline):
            return job
        poll_s = SHORTEST_POLL_S if news else min(poll_s * 1.3, LONGEST_POLL_S)
        time.sleep(poll_s if deadline is None else max(0.0, min(poll_s, deadline - now)))


class _Follower:
    def __init__(self, store: Store, job_id: str, on_event: Callable[[Event], None] | None) -> None:
        self._store, self._job_id, self._on_event = store, job_id, on_event
        self._after = 0

    def read(self) -> bool:
        """Hand on what is new; whether there was any."""
        start = self._after
        while self._on_event is not None:
            events = self._store.events.read(self._job_id, after_seq=self._after, limit=_PAGE)
            for event in events:
                self._on_event(event)
                self._after = event.seq
            if len(events) < _PAGE:
                break
        return self._after > start
