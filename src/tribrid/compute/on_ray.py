"""Hands shards on to a Ray cluster. The only file that knows Ray, and only a process of its own runs it: where a
cluster goes away under it, Ray ends the process that asked.

A shard is a task of one core. Ray does it again elsewhere if its node dies; what came of it is fetched as soon as it is
there, so that a node takes nothing along but what it had in hand.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, NoReturn

from tribrid.compute.lines import NO_SHARD, Answer
from tribrid.compute.outcome import Outcome, Work, outcome
from tribrid.errors import Failed, MissingExtra, TribridError, Unavailable
from tribrid.version import __version__, source_sha256

SHARDS_A_CORE = 2
"""Given to the cluster at once: one in work, one that waits."""
LOOK_S = 0.05
RETRIES = 3
CONNECT_S = 10


def hand_on(
    work: Work, shards: SimpleQueue[tuple[int, Any]], answer: Callable[[Answer], None], address: str
) -> NoReturn:
    """Have a cluster do all shards that come, and answer with what came of each."""
    try:
        cluster = _Cluster(work, address)
        answer(Answer(NO_SHARD, None, None, cluster.room()))
        while True:
            for number, shard in _come(shards, None if cluster.is_idle else LOOK_S):
                cluster.give(number, shard)
            for number, found in cluster.done():
                answer(Answer(number, *found, cluster.room()))
    except TribridError as error:
        answer(Answer(NO_SHARD, None, error.problem(), 1))
        raise SystemExit(1) from None


def _come(shards: SimpleQueue[tuple[int, Any]], patience_s: float | None) -> list[tuple[int, Any]]:
    """The shards that are there, or come within this time."""
    try:
        found = [shards.get(timeout=patience_s)]
        while not shards.empty():
            found.append(shards.get())
    except Empty:
        return []
    return found


class _Cluster:
    """A cluster, and what it is doing for us."""

    def __init__(self, work: Work, address: str) -> None:
        self._ray = _connected(address)
        self._work = self._ray.put(work)
        self._task = self._ray.remote(num_cpus=1, max_retries=RETRIES)(on_node)
        self._numbers: dict[Any, int] = {}

    @property
    def is_idle(self) -> bool:
        return not self._numbers

    def room(self) -> int:
        """Shards that it takes at once; more when nodes come."""
        return max(1, SHARDS_A_CORE * int(self._ray.cluster_resources().get("CPU", 1)))

    def give(self, number: int, shard: object) -> None:
        self._numbers[self._task.remote(self._work, shard, __version__, source_sha256())] = number

    def done(self) -> list[tuple[int, Outcome]]:
        """What has been done since it was last asked."""
        waiting = list(self._numbers)
        ready, _ = self._ray.wait(waiting, num_returns=len(waiting), timeout=LOOK_S)
        return [(self._numbers.pop(one), self._fetched(one)) for one in ready]

    def _fetched(self, one: Any) -> Outcome:
        try:
            return Outcome(*self._ray.get(one))
        except self._ray.exceptions.RayError as error:
            said = str(error).strip().splitlines()
            problem = Failed(f"Ray gave up a piece of work: {type(error).__name__}: {said[-1] if said else ''}")
            return Outcome(None, problem.problem())


def _connected(address: str) -> Any:
    """Ray, as a driver of this cluster.

    Raises:
        MissingExtra: it is not installed.
        Unavailable: the cluster cannot be reached, or refuses.
    """
    try:
        import ray
    except ImportError:
        raise MissingExtra("ray", "ray", "compute.ray_address") from None
    host, _, port = address.rpartition(":")
    try:
        # Ray itself looks for a head that is not there for minutes.
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_S).close()
        ray.init(address, log_to_driver=False, logging_level=logging.WARNING)
    # Of many kinds: nobody there, another version, another token.
    except Exception as error:
        raise Unavailable(
            f"The Ray cluster at {address} (compute.ray_address) cannot be used: {type(error).__name__}: "
            f"{str(error).strip()[:500]}"
        ) from error
    return ray


def on_node(work: Work, shard: object, version: str, source: str) -> Outcome:
    """On a node: do a shard, if this is the same Tribrid."""
    if (__version__, source_sha256()) != (version, source):
        return outcome(_refused, version)
    return outcome(work, shard)


def _refused(version: str) -> NoReturn:
    raise Unavailable(
        f"A node of the Ray cluster has another Tribrid ({__version__}) than who asks ({version}), or other code under "
        "that number. Install the same on all."
    )
