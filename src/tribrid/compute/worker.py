"""The process at the other end of a line: `python -m tribrid.compute.worker SOCKET`, started by lines.py.

It takes a function, then shards, and answers with what the function makes of each. When whoever started it is gone it
ends at once.
"""

from __future__ import annotations

import argparse
import os
import threading
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

from tribrid.compute.lines import FIRST_ROOM, Answer
from tribrid.compute.outcome import Work, outcome

Shards = SimpleQueue[tuple[int, Any]]


def _read(socket: Connection, shards: Shards) -> None:
    """Read what comes at once, so that whoever sends it is not kept waiting."""
    while True:
        try:
            shards.put(socket.recv())
        except (EOFError, ConnectionResetError):
            os._exit(0)  # nobody waits for an answer any more


def main() -> None:
    """Serve one line, until it is cut."""
    parser = argparse.ArgumentParser(prog="python -m tribrid.compute.worker", description=__doc__)
    parser.add_argument("--ray", metavar="HOST:PORT", help="hand shards on to this cluster")
    parser.add_argument("socket", type=int)
    args = parser.parse_args()
    socket = Connection(args.socket)
    shards: Shards = SimpleQueue()
    work: Work = socket.recv()
    threading.Thread(target=_read, args=(socket, shards), name="shards", daemon=True).start()
    if args.ray:
        from tribrid.compute.on_ray import hand_on  # here: nobody else needs Ray

        hand_on(work, shards, socket.send, args.ray)
    while True:
        number, shard = shards.get()
        socket.send(Answer(number, *outcome(work, shard), FIRST_ROOM))


if __name__ == "__main__":
    main()
