"""Does the import of logs keep its rate and its memory as the log grows? OpenSearch UBI records, one process a size.

    python benchmarks/log_import.py 10000 100000 1000000
    python benchmarks/log_import.py 10000000

A log of n events: each query has one record with ten hits and two events on them, the records in the order in which
they would be written, so that events of many queries are mixed. Ids are UUIDs, the queries some 20,000 different ones.
Memory is the process's peak; before anything is imported it is some 300 MiB, of libraries. On a machine that does other
work too, the seconds of processor time are what can be compared.
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from tribrid.app import Tribrid

EVENTS_PER_QUERY = 2
HITS = 10
DOCUMENTS = 100_000
QUERIES = 20_000
IN_FLIGHT = 500
START_MS = 1_700_000_000_000
COLUMNS = ("events", "queries", "seconds", "processor s", "events/processor s", "peak memory, MiB")
COLUMNS += ("of it for the import, MiB", "on disk, MiB", "again, s")


def records(events: int) -> Iterator[bytes]:
    """The log, line by line."""
    rng = random.Random(7)
    waiting: list[bytes] = []
    for number in range(events // EVENTS_PER_QUERY):
        query_id = str(uuid.UUID(int=rng.getrandbits(128), version=4))
        at = START_MS + number * 50
        hits = [f"B{rng.randrange(DOCUMENTS):09d}" for _ in range(HITS)]
        query = {
            "application": "shop",
            "query_id": query_id,
            "client_id": f"c{rng.randrange(50_000)}",
            "user_query": f"query number {rng.randrange(QUERIES)}",
            "query_response_hit_ids": hits,
            "timestamp": at,
        }
        yield json.dumps(query).encode() + b"\n"
        for _ in range(EVENTS_PER_QUERY):
            place = min(int(rng.expovariate(0.5)), HITS - 1)
            attributes = {"object": {"object_id": hits[place]}, "position": {"ordinal": place + 1}}
            event = {
                "application": "shop",
                "action_name": rng.choice(["click", "click", "click", "add_to_cart", "product_hover"]),
                "query_id": query_id,
                "timestamp": at + rng.randrange(60_000),
                "event_attributes": attributes,
            }
            waiting.append(json.dumps(event).encode() + b"\n")
        while len(waiting) > IN_FLIGHT:
            yield waiting.pop(rng.randrange(len(waiting)))
    yield from waiting


def one(path: Path) -> None:
    """Import the file into an empty data folder, and again; one row of the table."""
    with tempfile.TemporaryDirectory(dir=path.parent) as data_dir, Tribrid(data_dir) as tribrid:
        tribrid.create_corpus("shop")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        started, worked = time.monotonic(), time.process_time()
        with path.open("rb") as stream:
            done = tribrid.corpus("shop").logs.add(stream, "ubi")
        took, worked = time.monotonic() - started, time.process_time() - worked
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        started = time.monotonic()
        with path.open("rb") as stream:
            again = tribrid.corpus("shop").logs.add(stream, "ubi")
        repeated = time.monotonic() - started
        if again.feedback or again.impressions or again.known_feedback != done.feedback:
            raise SystemExit(f"the second import added something: {again}")
        disk = sum(file.stat().st_size for file in Path(data_dir).rglob("*") if file.is_file()) / (1 << 20)
    lines = sum(1 for _ in path.open("rb"))
    events = lines - done.impressions
    row = [events, done.impressions, f"{took:.1f}", f"{worked:.1f}", f"{events / worked:.0f}", f"{peak:.0f}"]
    row += [f"{peak - before:.0f}", f"{disk:.0f}", f"{repeated:.1f}"]
    print("|", " | ".join(map(str, row)), "|", flush=True)


def main() -> None:
    if sys.argv[1] == "--file":
        one(Path(sys.argv[2]))
        return
    print("|", " | ".join(COLUMNS), "|", flush=True)
    print("|---" * len(COLUMNS) + "|", flush=True)
    for size in map(int, sys.argv[1:]):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "ubi.ndjson"
            with path.open("wb") as file:
                file.writelines(records(size))
            # A process of its own: memory of one import must not be counted for the next.
            subprocess.run([sys.executable, __file__, "--file", str(path)], check=True)


if __name__ == "__main__":
    main()
