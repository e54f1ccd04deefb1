"""Shards of work: what a function makes of each, on processes of this machine or on a Ray cluster.

A shard's result must depend on the shard and the function alone. So it does not matter who does it, nor whether it is
done twice: what a process or a node had in hand when it died is done again, and no more than that. Results come back in
order, and whoever asked commits them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol, TypeVar

from tribrid.compute.lines import Lines

S = TypeVar("S")
R = TypeVar("R")
_COMMAND = (sys.executable, "-P", "-m", "tribrid.compute.worker")


class Shards(Protocol):
    """Where shards of work are done."""

    @property
    def threads(self) -> int:
        """How many each shard's work may use."""

    def map(self, work: Callable[[S], R], shards: Iterable[S]) -> Iterator[R]:
        """What `work` makes of each shard, in order. Shards are asked for as they are needed.

        Args:
            work: of a module of Tribrid, and pickled with what it holds; as are shards and results.

        Raises:
            TribridError: what `work` raised.
            Failed: a shard ended the process that did it, again and again.
            Unavailable: nobody can be reached who would do it.
        """


def processes(count: int, threads: int, environ: Mapping[str, str]) -> Shards:
    """So many processes of this machine, started when there is something to do, and ended after it.

    Args:
        threads: how many each may use.
        environ: the processes' environment.
    """
    return Lines(_COMMAND, environ, count, threads)


def ray_cluster(address: str, environ: Mapping[str, str]) -> Shards:
    """A Ray cluster, of which this machine is a node: a shard has one core, and there are as many at once as cores.

    Args:
        address: of its head, `host:port`.
        environ: of the process that speaks to the cluster. What works on a node has the node's own.
    """
    return Lines((*_COMMAND, "--ray", address), environ, 1, 1)
