"""A training run's events as they come, from the first: NDJSON, or Server-Sent Events for who asks for them.

Events are stored, so nothing is lost to a reader that comes late or again: it says the last `seq` it has (SSE clients
do, by `Last-Event-ID`) and gets what follows. The stream ends with the run.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from tribrid.answers.answer import time_at
from tribrid.answers.jobs import RunEvent
from tribrid.api.answers import json_bytes
from tribrid.api.waiting import LONGEST_POLL_S, SHORTEST_POLL_S, STREAMED, LongWork
from tribrid.app import Tribrid
from tribrid.errors import InvalidInput, NotFound
from tribrid.types import Event

NDJSON = "application/x-ndjson"
SSE = "text/event-stream"
HEARTBEAT_S = 2.0
PAGE = 1000
_FINAL = ("complete", "error")
# A run that is cancelled in the queue ends in its row first and tells of it a moment later.
_LAST_EVENT_GRACE_S = 1.5


def wants_sse(request: Request) -> bool:
    """Whether the client asks for Server-Sent Events."""
    return SSE in request.headers.get("accept", "").lower()


def last_event_id(request: Request) -> int | None:
    """The seq of the last event that a reconnecting client has.

    Raises:
        InvalidInput: it is none of ours.
    """
    given = request.headers.get("last-event-id")
    if given is None:
        return None
    if not given.isdecimal() or len(given) > 15:
        raise InvalidInput("Last-Event-ID: not the id of an event of this stream.", field="Last-Event-ID")
    return int(given)


def stream(request: Request, tribrid: Tribrid, run_id: str, *, after_seq: int, follow: bool) -> Response:
    """The run's events after that seq, to the end of the run, or with `follow` off to the end of what there is.

    Raises:
        RunNotFound: there is no such run.
    """
    more = tribrid.runs.events(run_id, after_seq=after_seq, limit=1)
    sse = wants_sse(request)
    if sse and not more and tribrid.jobs.wait(run_id, timeout_s=0.0).state.final:
        # What the standard has for "it is over": an EventSource that got all of it would come again for ever.
        return Response(status_code=204)
    reader = _Reader(tribrid, run_id, after_seq, _sse if sse else _ndjson)
    body = _follow(request, reader, heartbeat=b": still running\n\n" if sse else b"\n", follow=follow)
    return StreamingResponse(body, media_type=SSE if sse else NDJSON, headers=STREAMED)


async def _follow(request: Request, reader: _Reader, *, heartbeat: bytes, follow: bool) -> AsyncIterator[bytes]:
    going: LongWork = request.app.state.long_work
    poll_s, sent_at = SHORTEST_POLL_S, time.monotonic()
    while not reader.over and not going.stopping:
        lines = await run_in_threadpool(reader.read)
        if lines:
            yield lines
            poll_s, sent_at = SHORTEST_POLL_S, time.monotonic()
            continue
        if not follow:
            return
        if time.monotonic() - sent_at >= HEARTBEAT_S:
            yield heartbeat
            sent_at = time.monotonic()
        await asyncio.sleep(poll_s)
        poll_s = min(poll_s * 1.3, LONGEST_POLL_S)


class _Reader:
    """Reads a run's events page by page; `over` once there will be no more."""

    def __init__(self, tribrid: Tribrid, run_id: str, after_seq: int, line: Callable[[Event], bytes]) -> None:
        self.over = False
        self._tribrid, self._run_id, self._after, self._line = tribrid, run_id, after_seq, line
        self._ended_at: float | None = None

    def read(self) -> bytes:
        """The next page, written; empty if there is nothing new."""
        try:
            events = self._tribrid.runs.events(self._run_id, after_seq=self._after, limit=PAGE)
            self.over = events[-1].type in _FINAL if events else self._silent_end()
        except NotFound:  # it went with its corpus
            self.over, events = True, []
        if events:
            self._after = events[-1].seq
        return b"".join(map(self._line, events))

    def _silent_end(self) -> bool:
        """Whether the run ended without a last word: its worker died in between."""
        if not self._tribrid.jobs.wait(self._run_id, timeout_s=0.0).state.final:
            return False
        self._ended_at = self._ended_at or time.monotonic()
        return time.monotonic() - self._ended_at >= _LAST_EVENT_GRACE_S


def _ndjson(event: Event) -> bytes:
    return json_bytes(_body(event)) + b"\n"


def _sse(event: Event) -> bytes:
    # json_bytes writes no line feeds, so one data line it is.
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.seq, event.type.encode(), json_bytes(_body(event)))


def _body(event: Event) -> RunEvent:
    return RunEvent(seq=event.seq, type=event.type, at=time_at(event.at_us), data=dict(event.data))
