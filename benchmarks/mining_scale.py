"""Is mining a log fast, small and linear? 10,000 to 1,000,000 events of an imported log in a real store.

    python benchmarks/mining_scale.py
    python benchmarks/mining_scale.py --events 1000000 --queries 200000 --keep /tmp/logs

An event is an impression of ten documents or a click; half of them are each. Users are position-based and three
model versions ranked, so that the click model has everything to do. Each mining runs in a process of its own; time and
memory are that process's, from opening the store to the last triplet, with a first stage that answers at once.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator
from pathlib import Path

from tribrid.app import Tribrid
from tribrid.config.sections import MiningConfig
from tribrid.mining.mine import MiningInputs, mine
from tribrid.store import Store
from tribrid.types import Candidate, LegScore, Passage

DOCUMENTS, SHOWN, RANKINGS, WORDS = 100_000, 10, 3, 20_000
CORPUS = "log"
START_S = 1_700_000_000


def ranking(query: int, version: int) -> list[str]:
    """The documents of a query, as one model version ranks them: the same ten, most of them near their place."""
    drawn = random.Random(query)
    docs = [f"doc{drawn.randrange(DOCUMENTS):06}" for _ in range(SHOWN)]
    mixed = random.Random(query * RANKINGS + version)
    return sorted(dict.fromkeys(docs), key=lambda doc: docs.index(doc) + mixed.uniform(0, 3))


def query_text(number: int) -> str:
    drawn = random.Random(-number - 1)
    words = (min(WORDS - 1, int(drawn.paretovariate(0.6))) for _ in range(drawn.randint(2, 5)))
    return " ".join([*(f"word{word}" for word in words), f"own{number}"])


def served(events: int, queries: int) -> Iterator[dict[str, object]]:
    """Lists with a click each, on average: every fifth has none, every tenth is clicked thrice."""
    drawn = random.Random(7)
    for number in range(events // 2):
        query = drawn.randrange(queries)
        docs = ranking(query, drawn.randrange(RANKINGS))
        query_id, at_s = f"{number:032x}", START_S + number
        yield {
            "query_id": query_id,
            "user_query": query_text(query),
            "query_response_hit_ids": docs,
            "timestamp": at_s,
        }
        times = (0, 0, 1, 1, 1, 1, 1, 1, 1, 3)[number % 10]
        clicked = {docs[min(int(drawn.paretovariate(1.0)), len(docs)) - 1] for _ in range(times)}
        for doc in sorted(clicked):
            attributes = {"object": {"object_id": doc}}
            event = {"action_name": "click", "query_id": query_id, "timestamp": at_s + 1}
            yield {**event, "event_attributes": attributes}


def fill(folder: Path, events: int, queries: int) -> None:
    with Tribrid(folder) as opened:
        opened.create_corpus(CORPUS)
        lines = (json.dumps(record).encode() + b"\n" for record in served(events, queries))
        opened.corpus(CORPUS).logs.add(lines, "ubi")


def first_stage(query: str) -> list[Candidate]:
    """Fifty documents, at once: retrieval's own time is another benchmark's."""
    drawn = random.Random(query)
    docs = ranking(int(query.rpartition("own")[2]), 0) + [f"doc{drawn.randrange(DOCUMENTS):06}" for _ in range(40)]
    return [
        Candidate(passages(doc)[0], rank, 1 / rank, {"sparse": LegScore(rank, 1 / rank)})
        for rank, doc in enumerate(dict.fromkeys(docs), 1)
    ]


def passages(doc_id: str) -> list[Passage]:
    text = f"what {doc_id} says of {int(doc_id[3:]) * 7919} and {int(doc_id[3:]) * 104729}"
    return [Passage(doc_id, 0, 0, len(text), "", text)]


def passages_of(doc_ids: Collection[str]) -> dict[str, list[Passage]]:
    return {doc_id: passages(doc_id) for doc_id in doc_ids}


def mine_once(folder: Path) -> None:
    """Mines with the default settings and tells what it took."""
    started, cpu = time.monotonic(), time.process_time()
    store = Store.open(folder)
    inputs = MiningInputs(
        known=set,
        passages_of=passages_of,
        impressions=store.logs.blocks_with_feedback(CORPUS),
        named=store.logs.blocks_with_feedback(CORPUS, named=True),
    )
    mined = mine(inputs, first_stage, MiningConfig.model_validate({}), lambda *_: None)
    took = {
        "seconds": time.monotonic() - started,
        "cpu_seconds": time.process_time() - cpu,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "impressions": mined.counts["impressions"],
        "triplets": mined.counts["triplets"],
    }
    print(json.dumps(took))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--queries", type=int, nargs="+", default=[20_000, 200_000], help="distinct queries asked")
    parser.add_argument("--keep", type=Path, default=None, help="keep the stores here, and use them again")
    parser.add_argument("--mine", type=Path, default=None, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.mine:
        mine_once(args.mine)
        return
    print("| events | queries to ask | seconds | of them CPU | microseconds an event | peak memory, MiB | triplets |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        for queries in args.queries:
            for events in args.events:
                folder = (args.keep or Path(temporary)) / f"{events}-{queries}"
                if not folder.exists():
                    fill(folder, events, queries)
                command = [sys.executable, __file__, "--mine", str(folder)]
                took = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
                print(
                    f"| {events:,} | {queries:,} | {took['seconds']:.1f} | {took['cpu_seconds']:.1f} "
                    f"| {took['seconds'] / events * 1e6:.0f} | {took['peak_mib']:.0f} | {took['triplets']:,} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
