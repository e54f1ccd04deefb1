"""Lines to processes that do shards of work: which does what, what became of it, and what is done again.

Each process has a socket of its own and says with every answer how many shards it takes at once. What a process had
that died is given to another.
"""

from __future__ import annotations

import signal
import subprocess
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple, TypeVar

from tribrid.errors import Failed, from_problem

S = TypeVar("S")
R = TypeVar("R")
FIRST_ROOM = 2
"""Shards that a process takes: one to do, and one that waits, so that it never does."""
OPEN_FOR_EACH = 2
"""Shards that may be begun, or done and not yet taken, for each that can be in hand."""
ATTEMPTS = 3
"""Processes that a shard may end before it is given up."""


NO_SHARD = -1


class Answer(NamedTuple):
    """What a process says: of a shard, its number and either what came of it or the problem; and how many it takes.
    With NO_SHARD it says the latter alone.
    """

    number: int
    result: Any
    problem: Mapping[str, object] | None
    room: int


@dataclass(eq=False, slots=True)
class _Shard:
    """One of them. `lost`: how many processes have died over it."""

    number: int
    given: Any
    lost: int = 0
    done: bool = False
    result: Any = None


@dataclass(eq=False, slots=True)
class _Line:
    """A process, and the shards that it has."""

    process: subprocess.Popen[bytes]
    socket: Connection
    room: int = FIRST_ROOM
    given: dict[int, _Shard] = field(default_factory=dict)

    @classmethod
    def start(cls, command: Sequence[str], environ: Mapping[str, str], work: object) -> _Line:
        ours, theirs = Pipe()
        with theirs:
            # Its answers come by the socket; what a library prints belongs to nobody.
            process = subprocess.Popen(
                [*command, str(theirs.fileno())],
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        line = cls(process, ours)
        line.send(work)
        return line

    def give(self, shard: _Shard) -> None:
        self.given[shard.number] = shard
        self.send((shard.number, shard.given))

    def send(self, message: object) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # it died, which is seen when it is listened to
            self.socket.send(message)

    def end(self) -> int:
        """Kill it, if it lives; how it ended."""
        self.socket.close()
        self.process.kill()
        return self.process.wait()


class Lines:
    """See the module and `Shards`, which this is."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], most: int, threads: int) -> None:
        """Starts nothing yet.

        Args:
            command: starts a process; the number of its socket is appended.
            most: processes at once.
            threads: how many a shard's work may use.
        """
        self._command, self._environ, self._most, self._threads = command, environ, most, threads

    @property
    def threads(self) -> int:
        """How many a shard's work may use."""
        return self._threads

    def map(self, work: Callable[[S], R], shards: Iterable[S]) -> Iterator[R]:
        """As `Shards`."""
        coming = (_Shard(number, given) for number, given in enumerate(shards))
        at_work = _AtWork(coming, lambda: _Line.start(self._command, self._environ, work), self._most)
        try:
            for shard in at_work.done_in_order():
                yield shard.result
        finally:
            at_work.end()


class _AtWork:
    """The shards of one call, and the processes that do them."""

    def __init__(self, coming: Iterator[_Shard], start: Callable[[], _Line], most: int) -> None:
        self._coming, self._start, self._most = coming, start, most
        self._lines: list[_Line] = []
        self._again: deque[_Shard] = deque()
        self._open: deque[_Shard] = deque()

    def done_in_order(self) -> Iterator[_Shard]:
        while True:
            while self._takes_more() and (shard := self._next()):
                self._freest().give(shard)
            if not self._open:
                return
            if self._open[0].done:
                yield self._open.popleft()
            else:
                self._listen()

    def end(self) -> None:
        for line in self._lines:
            line.end()

    def _takes_more(self) -> bool:
        return len(self._lines) < self._most or any(len(line.given) < line.room for line in self._lines)

    def _next(self) -> _Shard | None:
        """What to do next; nothing where a slow one keeps so many results waiting that memory would be full of them."""
        if self._again:
            return self._again.popleft()
        room = sum(line.room for line in self._lines) + FIRST_ROOM * (self._most - len(self._lines))
        shard = next(self._coming, None) if len(self._open) < OPEN_FOR_EACH * room else None
        if shard is not None:
            self._open.append(shard)
        return shard

    def _freest(self) -> _Line:
        """Who has the least to do: a new one, if all have something and there may be more."""
        found = min(self._lines, key=lambda line: len(line.given) / line.room, default=None)
        if found is None or (found.given and len(self._lines) < self._most):
            found = self._start()
            self._lines.append(found)
        return found

    def _listen(self) -> None:
        """Wait for answers, and take them."""
        lines = {line.socket: line for line in self._lines}
        for socket in wait(list(lines)):
            line = lines[socket]  # type: ignore[index]
            try:
                answer: Answer = line.socket.recv()
            except (EOFError, ConnectionResetError):
                self._lost(line)
                continue
            if answer.problem is not None:
                raise from_problem(answer.problem)
            line.room = answer.room
            if answer.number != NO_SHARD:
                shard = line.given.pop(answer.number)
                shard.result, shard.done = answer.result, True

    def _lost(self, line: _Line) -> None:
        code = line.end()
        self._lines.remove(line)
        for shard in line.given.values():
            shard.lost += 1
            if shard.lost == ATTEMPTS:
                ending = signal.Signals(-code).name if code < 0 else f"code {code}"
                raise Failed(
                    f"{ATTEMPTS} processes ended ({ending}) over the same piece of work. The machine may lack memory."
                )
        self._again.extend(line.given.values())
