"""How soon the page of an evaluation with many queries is there, and the first page beside a training.

    python benchmarks/studio.py ../shared/data/scifact [--queries N] [--times N]

Bars: 300 ms for 10,000 queries, sorted and searched; 1 s for the first page. A server of ours on loopback. The rows of
the evaluation are made up, each with two rankings of ten documents; the training is of the collection's first
documents, by a worker of the server.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import reports
from serving import running
from tribrid import studio
from tribrid.answers.report import QueryRow, TopDoc
from tribrid.app import Tribrid
from tribrid.types import Document, JudgedQuery
from workbench import judged

BAR_S, FIRST_PAGE_S = 0.3, 1.0
DOCUMENTS = 1000


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


def timed(client: httpx.Client, name: str, address: str, times: int, bar_s: float) -> None:
    """Print how long the page takes."""
    took = []
    for _ in range(times):
        started = time.perf_counter()
        size = len(client.get(address).raise_for_status().content)
        took.append(time.perf_counter() - started)
    median, worst = statistics.median(took), max(took)
    verdict = "within" if median <= bar_s else "OVER"
    print(f"{name:<24} median {median * 1000:6.0f} ms, worst {worst * 1000:6.0f} ms, {size / 1000:.0f} kB  {verdict}")


def evaluation(tribrid: Tribrid, client: httpx.Client, queries: int, times: int) -> None:
    """The page of an evaluation."""
    tribrid.create_corpus("c")
    report = reports.report(corpus_id="c", delta={"ndcg@10": reports.DELTA})
    tribrid.folder.store.evaluations.put("e" * 32, "c", report, rows(queries))
    page = f"/studio/c/c/evaluations/{'e' * 32}"
    searched = {"in order": "?sort=", "sorted": "", "searched": "?q=soup", "the last page": f"?offset={queries - 25}"}
    for name, query in searched.items():
        timed(client, name, page + query, times, BAR_S)


def beside_a_training(tribrid: Tribrid, client: httpx.Client, folder: Path, times: int) -> None:
    """The first pages, while a worker trains on the collection's first documents."""
    documents, taught = first_documents(folder)
    corpus = tribrid.create_corpus("taught")
    corpus.documents.add(documents)
    corpus.judgments.put(taught)
    corpus.mine()
    job = client.post("/reranker/train", json={"corpus_id": "taught", "cross_encoder": True, "wait": False}).json()
    address = f"/jobs/{job['job_id']}"
    while client.get(address).json()["state"] == "queued":
        time.sleep(0.1)
    for name, page in {"home, training": "/", "loop, training": "/studio/c/taught"}.items():
        timed(client, name, page, times, FIRST_PAGE_S)
    if client.get(address).json()["state"] != "running":
        raise SystemExit("the training ended before the pages were read: take more documents")
    client.post(f"{address}/cancel").raise_for_status()


def first_documents(folder: Path) -> tuple[list[Document], list[JudgedQuery]]:
    """Some of the collection's documents, and the queries that have a judged one among them."""
    with (folder / "corpus.jsonl").open(encoding="utf-8") as stream:
        read = [json.loads(line) for line in islice(stream, DOCUMENTS)]
    ids = {row["_id"] for row in read}
    queries = [query for query in judged(folder, "qrels_train.tsv") if ids.intersection(query.judgments)]
    return [Document(row["_id"], row["text"], row["title"]) for row in read], queries


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--times", type=int, default=20)
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        Tribrid(Path(folder)) as tribrid,
        running(studio.create_app(tribrid)) as server,
        httpx.Client(base_url=server.url) as client,
    ):
        evaluation(tribrid, client, asked.queries, asked.times)
        beside_a_training(tribrid, client, asked.folder, asked.times)


if __name__ == "__main__":
    main()
