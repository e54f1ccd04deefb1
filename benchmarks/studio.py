"""How soon the page of an evaluation with many queries is there. Bar: 300 ms for 10,000 queries, sorted and searched.

    python benchmarks/studio.py [--queries N] [--times N]

A server of ours on loopback; the rows are made up, each with two rankings of ten documents.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import reports
from serving import running
from tribrid import studio
from tribrid.answers.report import QueryRow, TopDoc
from tribrid.app import Tribrid

BAR_S = 0.3


def rows(queries: int) -> list[QueryRow]:
    """Made-up rows."""
    chance = random.Random(1)
    top = tuple(TopDoc(rank=at, doc_id=f"docs/{at}.md", score=1.0, grade=None) for at in range(1, 11))
    return [
        QueryRow(
            query_id=f"q{at}",
            text=f"question {at} about {chance.choice(['soup', 'night', 'proxies'])}",
            before={"ndcg@10": 0.5},
            after={"ndcg@10": 0.5},
            delta_primary=chance.uniform(-1, 1),
            top_before=top,
            top_after=top,
        )
        for at in range(queries)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--times", type=int, default=20)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Tribrid(Path(folder)) as tribrid:
        tribrid.create_corpus("c")
        report = reports.report(corpus_id="c", delta={"ndcg@10": reports.DELTA})
        tribrid.folder.store.evaluations.put("e" * 32, "c", report, rows(asked.queries))
        with running(studio.create_app(tribrid)) as server, httpx.Client(base_url=server.url) as client:
            page = f"/studio/c/c/evaluations/{'e' * 32}"
            searched = {"in order": "?sort=", "sorted": "", "searched": "?q=soup"}
            for name, query in {**searched, "the last page": f"?offset={asked.queries - 25}"}.items():
                took = []
                for _ in range(asked.times):
                    started = time.perf_counter()
                    size = len(client.get(page + query).raise_for_status().content)
                    took.append(time.perf_counter() - started)
                median, worst = statistics.median(took), max(took)
                verdict = "within" if median <= BAR_S else "OVER"
                times = f"median {median * 1000:6.0f} ms, worst {worst * 1000:6.0f} ms"
                print(f"{name:<16} {times}, {size / 1000:.0f} kB  {verdict}")


if __name__ == "__main__":
    main()
