"""What a connection may cost: it sends its request in time, or it ends, and there are no more of them than there are
files to open.

uvicorn waits for ever for the rest of a request, and takes connections until no file can be opened; then nobody is
answered. Here a head has `HEAD_S`, a body comes at `LEAST_RATE` or faster, and an answer is read. Where there are as
many connections as may be, a newcomer takes the place of the one that has kept the server waiting longest. Where all of
them are at work, it is answered if it asks for what is always answered (GET /health), and told to come again otherwise.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import resource
import time
from collections.abc import Collection
from typing import Any

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.server import ServerState

HEAD_S = 10.0
"""From a connection's start, or from the answer before, to the end of a request's head."""
SILENT_S = 30.0
"""How far a body may be behind `LEAST_RATE`, and how long an answer may wait for its reader."""
LEAST_RATE = 8 * 1024
"""Bytes of a body a second. No limit of its whole time: an upload may be large."""
SLOW_S = 1.0
"""Who has kept the server waiting this long may lose its place to a newcomer."""
MOST_OPEN_FILES = 16_384
MOST_CONNECTIONS = 4096
LEAST_CONNECTIONS = 8
RESERVE = 8
"""Connections beyond the most, for those that are always answered."""
ACCEPT_AT_ONCE = 4
"""asyncio opens this many before it looks at the first: few, so that they cannot use up the files."""
CROWDED = "crowded"
"""In a request's state: there is no room for it."""
_NO_FILES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_LATE = (
    f"The request did not come in time: its head has {HEAD_S:.0f} s, and its body must come at "
    f"{LEAST_RATE // 1024} KiB a second or faster."
)
_log = logging.getLogger(__name__)


def raise_open_files() -> None:
    """Let this process open as many files as the system lets it, up to `MOST_OPEN_FILES`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def most_connections() -> int:
    """A quarter of the files that may be open: an upload needs a second one, the database and the indexes the rest."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return max(LEAST_CONNECTIONS, min(soft // 4, MOST_CONNECTIONS))


class Room:
    """How many connections there may be, and which one ends where there are too many. Belongs to the event loop."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._connections: Collection[Connection] = ()
        self._ended = 0
        self._not_accepted = 0

    def enter(self, newcomer: Connection, connections: Collection[Any]) -> bool:
        """Take one more in.

        Args:
            connections: all there are, the newcomer among them.

        Returns:
            Whether there is room; if not, only what is always answered may be.
        """
        self._connections = connections
        if len(connections) <= self.most or self._make_room(newcomer, after_s=SLOW_S):
            return True
        # The last of a crowd may be who looks after this server: it is heard before those who came first, and wait.
        if len(connections) > self.most + RESERVE and not self._make_room(newcomer, after_s=0.0):
            self._end(newcomer)
        return False

    def not_accepted(self) -> None:
        """The system has no file for a connection."""
        self._not_accepted += 1
        self._make_room(None, after_s=0.0)

    def sweep(self, now: float) -> None:
        """End those whose time is over, and say how many did since the last time. To be called once a second."""
        for connection in list(self._connections):
            if connection.overdue(now):
                self._ended += 1
                connection.end_late()
        if self._not_accepted:
            _log.warning("%d connections could not be accepted: too many open files.", self._not_accepted)
        if self._ended:
            _log.info("%d connections were ended: they kept the server waiting.", self._ended)
        self._ended = self._not_accepted = 0

    def _make_room(self, newcomer: Connection | None, *, after_s: float) -> bool:
        now = time.monotonic()
        others = [one for one in self._connections if one is not newcomer and one.keeps_waiting(now, after_s)]
        if others:
            self._end(min(others, key=lambda one: one.due_at))
        return bool(others)

    def _end(self, connection: Connection) -> None:
        self._ended += 1
        connection.transport.abort()


class Connection(H11Protocol):
    """uvicorn's, with an end to its patience.

    Attributes:
        due_at: by the monotonic clock: when what the server waits for must have come.
    """

    def __init__(self, room: Room, config: Config, server_state: ServerState, app_state: dict[str, Any], **more: Any):
        super().__init__(config, server_state, app_state, **more)
        self._room = room
        self._has_room = True
        self._begun = False
        self._unread = 0
        self._reader_due_at = float("inf")
        self.due_at = time.monotonic() + HEAD_S

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._has_room = self._room.enter(self, self.connections)
        if not self._has_room:
            self.app_state = {**self.app_state, CROWDED: True}

    def data_received(self, data: bytes) -> None:
        cycle, now = self.cycle, time.monotonic()
        in_body = self.conn.their_state is h11.SEND_BODY
        self._begun = True
        super().data_received(data)
        if self.cycle is not cycle:
            self.due_at = now + SILENT_S
        elif in_body:
            self.due_at = min(now + SILENT_S, self.due_at + len(data) / LEAST_RATE)

    def on_response_complete(self) -> None:
        if not self._has_room:
            self.transport.close()
        # What is left of a body keeps its own time; the next head begins to have its.
        if self.conn.their_state is not h11.SEND_BODY:
            self.due_at = time.monotonic() + HEAD_S
            self._begun = False
        super().on_response_complete()

    def keeps_waiting(self, now: float, after_s: float) -> bool:
        """Whether nothing is at work for it: it is between two requests, or has kept the server waiting for longer than
        this for one.
        """
        if self.transport.is_closing() or not self._awaited:
            return False
        if self.conn.their_state is h11.SEND_BODY:
            return self.due_at < now + SILENT_S - max(after_s, SLOW_S)
        idle = self._last is not None and not self._begun
        return idle or self.due_at <= now + HEAD_S - after_s

    def overdue(self, now: float) -> bool:
        """Whether its time is over. To be asked once a second."""
        unread = self.transport.get_write_buffer_size()
        if not unread or unread < self._unread:
            self._reader_due_at = now + SILENT_S
        self._unread = unread
        if unread and now > self._reader_due_at:
            return True
        if self.flow.read_paused:  # it waits for us
            self.due_at = now + SILENT_S
        return self._awaited and now > self.due_at

    @property
    def _last(self) -> RequestResponseCycle | None:
        """The newest request whose head came whole; None before the first."""
        return self.cycle

    @property
    def _awaited(self) -> bool:
        """Whether it is its turn to send."""
        cycle = self._last
        return cycle is None or cycle.response_complete or (cycle.more_body and not self.flow.read_paused)

    def end_late(self) -> None:
        """Say why, where a request had begun and no answer has, and hang up."""
        if self._unread or self.transport.is_closing():
            self.transport.abort()
            return
        if self._begun and self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._answer_408()
        self.transport.close()

    def _answer_408(self) -> None:
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
        answer = (h11.Response(status_code=408, headers=headers), h11.Data(data=_LATE.encode()), h11.EndOfMessage())
        for event in answer:
            self.transport.write(self.conn.send(event) or b"")
        if self._last is not None:  # what the app has still to say has nowhere to go
            self.cycle.disconnected = True
            self.cycle.message_event.set()


def out_of_files(context: dict[str, Any]) -> bool:
    """Whether an error that asyncio's loop reports is one of accept() for want of files."""
    error = context.get("exception")
    return isinstance(error, OSError) and error.errno in _NO_FILES and "socket" in context
