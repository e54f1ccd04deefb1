"""Runs the pairs of all requests on a few threads: sorted by length, batched by tokens, those of different requests
together where they fit.

Each thread runs whole batches with a session of one thread: two batches side by side need no agreement within every
matrix product, as two threads on one batch do. What waits is ordered by arrival, plus the time that it will take: a
request of a thousand pairs lets small ones pass, and waits for none that comes later than its own length.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tribrid.encoders.budget import Budget
from tribrid.encoders.onnx import FloatArray, token_batches
from tribrid.encoders.score_cache import ScoreCache
from tribrid.errors import Overloaded, ScorerFailed, TribridError

LIKE = 0.75
"""Pairs share a batch if the shorter has at least this share of the longer's tokens."""
WAVE_BATCHES = 2
"""Batches a thread gets of the best candidates, before the next best are begun, where time is limited."""
FIRST_RATE = 20_000.0
"""Tokens a second that are expected until something was measured."""
LONGEST_RETRY_S = 60


@dataclass(frozen=True, eq=False, slots=True)
class Lane:
    """One model's way of running a batch: rows, each with all that its score depends on → float32 (n,).

    Attributes:
        run: raises ScorerFailed.
        batch_tokens: most tokens of a batch, padding included; one longer row is a batch of its own.
    """

    run: Callable[[Sequence[Any]], FloatArray]
    batch_tokens: int


@dataclass(eq=False, slots=True)
class _Request:
    """One request's rows. `todo` has the places that nobody has begun, longest first, of the current wave."""

    lane: Lane
    rows: Sequence[Any]
    lengths: Sequence[int]
    due_s: float
    waves: list[list[int]]
    scores: FloatArray
    open: int
    settled: threading.Event = field(default_factory=threading.Event)
    error: TribridError | None = None
    todo: list[int] = field(default_factory=list)

    def waiting(self) -> int:
        return len(self.todo) + sum(len(wave) for wave in self.waves)

    def next_wave(self) -> bool:
        """Whether there is something to begin."""
        if not self.todo and self.waves:
            self.todo = sorted(self.waves.pop(0), key=lambda place: -self.lengths[place])
        return bool(self.todo)

    def take(self, longest: int, most: int) -> list[int]:
        """At most `most` places that fit beside a row of `longest` tokens, no longer than it; they are begun."""
        fit = [p for p in self.todo if LIKE * longest <= self.lengths[p] <= longest][:most]
        if fit:
            begun = set(fit)
            self.todo = [p for p in self.todo if p not in begun]
        return fit


_Batch = list[tuple[_Request, int]]


class Engine:
    """See the module. Threads start with the first request and sleep when there is none."""

    def __init__(self, threads: int, most_waiting: int) -> None:
        """Nothing runs yet.

        Args:
            threads: batches that run side by side.
            most_waiting: pairs that may wait; a request beyond is refused, unless nothing else waits. One that is
                larger than that by itself does not count against those that it lets pass.
        """
        self.threads, self._most_waiting = threads, most_waiting
        self._pool = ThreadPoolExecutor(threads, "reranker")
        self._lock = threading.Lock()
        self._requests: list[_Request] = []
        self._busy = 0
        self._rate = FIRST_RATE
        self._counts = {"pairs": 0, "batches": 0, "merged_batches": 0, "refused": 0, "dropped_pairs": 0}

    def close(self) -> None:
        """Begin nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def view(self) -> dict[str, int]:
        """What waits, and what was done, as numbers."""
        with self._lock:
            waiting = self._waiting()
            return {
                "threads": self.threads,
                "waiting_pairs": waiting,
                "most_waiting_pairs": self._most_waiting,
                "tokens_per_s": round(self._rate),
                **self._counts,
            }

    def score(self, lane: Lane, rows: Sequence[Any], lengths: Sequence[int], budget: Budget) -> FloatArray:
        """float32 (n,), in the order given; NaN for rows for which the budget's time did not suffice, the first rows
        being the last to miss.

        Raises:
            Overloaded: too much waits already.
            Cancelled: whoever asked is gone; what was not begun is dropped.
            ScorerFailed: the model failed.
        """
        request = _Request(
            lane=lane,
            rows=rows,
            lengths=lengths,
            due_s=time.monotonic() + sum(lengths) / self._rate,
            waves=self._waves(lane, lengths, budget),
            scores=np.full(len(rows), np.nan, np.float32),
            open=len(rows),
        )
        if not rows:
            return request.scores
        self._admit(request)
        budget.on_leave(request.settled.set)
        request.settled.wait(budget.left_s())
        with self._lock:
            self._drop(request)
            scores = request.scores.copy()
        budget.check()
        if request.error is not None:
            raise request.error
        return scores

    def _waves(self, lane: Lane, lengths: Sequence[int], budget: Budget) -> list[list[int]]:
        """Places in the order in which they may begin. With all the time there is one wave: nothing need be padded."""
        if not budget.limited:
            return [list(range(len(lengths)))]
        waves, room = list[list[int]](), 0
        for place, length in enumerate(lengths):
            if room <= 0:
                waves.append([])
                room = WAVE_BATCHES * self.threads * lane.batch_tokens
            waves[-1].append(place)
            room -= length
        return waves

    def _admit(self, request: _Request) -> None:
        with self._lock:
            ahead = self._ahead_of(request)
            waiting = sum(other.waiting() for other in ahead)
            if waiting and waiting + len(request.rows) > self._most_waiting:
                self._counts["refused"] += 1
                tokens = sum(r.lengths[p] for r in ahead for wave in (r.todo, *r.waves) for p in wave)
                retry_after_s = min(LONGEST_RETRY_S, max(1, math.ceil(tokens / self._rate)))
                raise Overloaded(
                    f"{waiting} pairs of query and passage wait for the reranker already; it takes "
                    f"{self._most_waiting} (serving.max_waiting_pairs). Try again in {retry_after_s} s.",
                    retry_after_s=retry_after_s,
                )
            self._requests.append(request)
            wanted = min(self.threads - self._busy, len(request.rows))
            for _ in range(wanted):
                self._busy += 1
                self._pool.submit(self._work)

    def _ahead_of(self, request: _Request) -> list[_Request]:
        """Those that count against a new one: all but one that is too large for any queue, and lets this one pass."""
        passed = next((r for r in self._requests if r.due_s > request.due_s and len(r.rows) > self._most_waiting), None)
        return [other for other in self._requests if other is not passed]

    def _waiting(self) -> int:
        return sum(request.waiting() for request in self._requests)

    def _drop(self, request: _Request) -> None:
        if request in self._requests:
            self._counts["dropped_pairs"] += request.waiting()
            self._requests.remove(request)

    def _work(self) -> None:
        while True:
            with self._lock:
                batch = self._take()
                if not batch:
                    self._busy -= 1
                    return
            self._run(batch)

    def _take(self) -> _Batch:
        """The next batch: the longest row of the request that is due first, and what fits beside it."""
        ready = sorted((r for r in self._requests if r.next_wave()), key=lambda r: r.due_s)
        if not ready:
            return []
        lane, longest = ready[0].lane, ready[0].lengths[ready[0].todo[0]]
        most = max(1, lane.batch_tokens // max(1, longest))
        batch: _Batch = []
        for request in ready:
            if request.lane is lane and len(batch) < most:
                batch += [(request, place) for place in request.take(longest, most - len(batch))]
        return batch

    def _run(self, batch: _Batch) -> None:
        lane, started = batch[0][0].lane, time.monotonic()
        parts = len({id(request) for request, _ in batch})
        try:
            scores = _scores(lane, [request.rows[place] for request, place in batch])
        except TribridError as error:
            if parts > 1:  # one request must not fail with another's
                for request in {id(r): r for r, _ in batch}.values():
                    self._run([item for item in batch if item[0] is request])
                return
            self._failed(batch[0][0], error)
            return
        took_s = max(time.monotonic() - started, 1e-6)
        tokens = sum(request.lengths[place] for request, place in batch)
        with self._lock:
            self._rate += 0.05 * (self.threads * tokens / took_s - self._rate)
            self._counts["pairs"] += len(batch)
            self._counts["batches"] += 1
            self._counts["merged_batches"] += parts > 1
            for (request, place), score in zip(batch, scores, strict=True):
                request.scores[place] = score
                request.open -= 1
                if not request.open:
                    self._requests = [r for r in self._requests if r is not request]
                    request.settled.set()

    def _failed(self, request: _Request, error: TribridError) -> None:
        with self._lock:
            self._drop(request)
            request.error = error
        request.settled.set()


def _scores(lane: Lane, rows: Sequence[Any]) -> FloatArray:
    try:
        scores = np.asarray(lane.run(rows), np.float32)
    except TribridError:
        raise
    # Whatever it was, somebody waits for this batch, and has to be told.
    except Exception as error:
        raise ScorerFailed(f"The cross-encoder failed: {error!r}") from error
    if scores.shape != (len(rows),):
        raise ScorerFailed(f"The cross-encoder gave scores of shape {scores.shape} for {len(rows)} pairs.")
    return scores


class Runtime:
    """What a cross-encoder runs on: an engine that is shared by all, or else the calling thread; and known scores."""

    def __init__(self, engine: Engine | None = None, cache: ScoreCache | None = None) -> None:
        self.engine, self.cache = engine, cache

    def score(
        self,
        lane: Lane,
        keys: Callable[[], Sequence[bytes]],
        read: Callable[[Sequence[int]], tuple[Sequence[Any], Sequence[int]]],
        n: int,
        budget: Budget | None,
    ) -> FloatArray:
        """float32 (n,); with a budget, known scores are used again, and NaN stands where its time did not suffice.

        Args:
            lane: the model.
            keys: what the n scores are known by.
            read: makes rows and their tokens of these places.

        Raises:
            Overloaded, Cancelled, ScorerFailed: as Engine.score.
        """
        cache = self.cache if budget is not None else None
        known_by = keys() if cache is not None else ()
        scores = cache.find(known_by) if cache is not None else np.full(n, np.nan, np.float32)
        missing: list[int] = np.flatnonzero(np.isnan(scores)).tolist()
        if missing:
            rows, lengths = read(missing)
            if self.engine is not None:
                found = self.engine.score(lane, rows, lengths, budget or Budget())
            else:
                found = _run_here(lane, rows, lengths)
            scores[missing] = found
            if cache is not None:
                cache.keep([known_by[place] for place in missing], found)
        return scores


def _run_here(lane: Lane, rows: Sequence[Any], lengths: Sequence[int]) -> FloatArray:
    scores = np.zeros(len(rows), np.float32)
    for batch in token_batches(lengths, lane.batch_tokens):
        scores[batch] = lane.run([rows[place] for place in batch])
    return scores
