"""A Ray cluster of this machine, in a process of its own: `python ray_nodes.py NODES`. Says its address, then takes
commands: `kill` ends the last node as a power cut would. Ends with stdin.

All that Ray listens on is bound to 127.0.0.1. On Linux it takes that for the host's own address wherever it reads it,
but for the switch by which it leaves clusters of many machines alone on other systems.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

TOKEN = "0123456789abcdef" * 4


def environment(home: Path) -> dict[str, str]:
    """What Ray reads: a token, a home folder and a temporary one of its own, patience, and nobody to tell anything."""
    return {
        "HOME": str(home),
        "RAY_TMPDIR": str(home),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": TOKEN,
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_raylet_start_wait_time_s": "120",
        "RAY_health_check_period_ms": "500",
        "RAY_health_check_initial_delay_ms": "500",
    }


class Nodes:
    """The cluster, as whoever started it sees it."""

    def __init__(self, process: subprocess.Popen[str], address: str) -> None:
        self.address, self._process = address, process

    def kill(self) -> None:
        """End the last node, and wait until it is dead."""
        self._ask("kill\n")

    def _ask(self, command: str) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(command)
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n"


@contextmanager
def nodes(count: int, environ: dict[str, str]) -> Iterator[Nodes]:
    """A cluster of so many nodes of one core each."""
    command = [sys.executable, __file__, str(count)]
    with subprocess.Popen(
        command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        assert process.stdout is not None
        address = ""
        for line in process.stdout:
            if line.startswith("address "):
                address = line.split()[1]
                break
        assert address, "the cluster did not come up"
        yield Nodes(process, address)


def main() -> None:
    from ray.cluster_utils import Cluster

    cluster: Any = Cluster()
    started = [
        cluster.add_node(num_cpus=1, node_ip_address="127.0.0.1", include_dashboard=False)
        for _ in range(int(sys.argv[1]))
    ]
    sys.stdout.write(f"address {cluster.address}\n")
    sys.stdout.flush()
    for _ in sys.stdin:
        cluster.remove_node(started.pop(), allow_graceful=False)
        sys.stdout.write("done\n")
        sys.stdout.flush()
    cluster.shutdown()
    os._exit(0)


if __name__ == "__main__":
    main()
