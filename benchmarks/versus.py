"""What a search takes over HTTP: this build against another checkout of Tribrid, both servers up, asked by turns.

    python benchmarks/versus.py OLD_CHECKOUT ../shared/data/scifact [--documents 1000] [--searches 200]

Each build has a data folder and a server of its own, with the same documents, the same judgments mined, and a model
that it trained on them without a cross-encoder and that serves. Then every query is asked of one and then of the other,
so that a busy machine slows both. Milliseconds by the client's clock.
Nothing of the old checkout is changed.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import cycle, islice
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[1]
WARM = 20
CORPUS = "versus"


def read(folder: Path, documents: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[str]]:
    """The first documents, the judged queries whose documents are among them, and other queries to ask."""
    with (folder / "corpus.jsonl").open(encoding="utf-8") as stream:
        rows = [json.loads(line) for line in islice(stream, documents)]
    texts = {row["_id"]: row["text"] for row in map(json.loads, (folder / "queries.jsonl").open(encoding="utf-8"))}
    known, judged = {row["_id"] for row in rows}, {}
    with (folder / "qrels_train.tsv").open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream, delimiter="\t"):
            if row["corpus-id"] in known and int(row["score"]) > 0:
                judged.setdefault(row["query-id"], {})[row["corpus-id"]] = int(row["score"])
    queries = [{"query_id": name, "text": texts[name], "judgments": of} for name, of in judged.items()]
    return rows, queries, [text for name, text in texts.items() if name not in judged]


@contextmanager
def server(checkout: Path, folder: Path) -> Iterator[httpx.Client]:
    """A server of this checkout on a free port, until the end of the block."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TRIBRID_", "PYTHON"))}
    env = {**kept, "PYTHONPATH": str(checkout / "src"), "HF_HUB_OFFLINE": "1"}
    call = [sys.executable, "-m", "tribrid.cli", "--data-dir", str(folder), "serve", "--port", str(port)]
    with (folder.parent / f"{folder.name}.log").open("wb") as log:
        process = subprocess.Popen(call, env=env, stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=3600) as client:
            until = time.monotonic() + 300
            while time.monotonic() < until:
                try:
                    if client.get("/ready").status_code == 200:
                        break
                except httpx.TransportError:
                    pass
                time.sleep(0.2)
            yield client
    finally:
        process.terminate()
        process.wait(30)


def prepare(client: httpx.Client, documents: list[dict[str, Any]], judged: list[dict[str, Any]]) -> dict[str, float]:
    """Index, mine, train and serve what was trained; seconds of each."""
    took = {}

    def call(name: str, route: str, body: Any, method: str = "POST") -> None:
        started = time.monotonic()
        answer = client.request(method, route, json=body).raise_for_status().json()
        if answer.get("status") == "failed":
            raise SystemExit(f"{route}: {answer}")
        took[name] = time.monotonic() - started

    call("create", "/corpora", {"corpus_id": CORPUS})
    call("index", f"/corpora/{CORPUS}/documents", documents)
    call("judge", f"/corpora/{CORPUS}/judgments", {"queries": judged}, "PUT")
    call("mine", "/reranker/mine", {"corpus_id": CORPUS})
    call("train", "/reranker/train", {"corpus_id": CORPUS, "cross_encoder": False, "wait": True})
    call("promote", "/reranker/promote", {"corpus_id": CORPUS, "reason": "to be measured", "force": True})
    return took


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("old", type=Path)
    arguments.add_argument("data", type=Path)
    arguments.add_argument("--documents", type=int, default=1000)
    arguments.add_argument("--searches", type=int, default=200)
    args = arguments.parse_args()
    documents, judged, queries = read(args.data, args.documents)
    with tempfile.TemporaryDirectory() as work, ExitStack() as up:
        clients = {}
        for name, checkout in (("old", args.old.resolve()), ("new", ROOT)):
            folder = Path(work) / name
            folder.mkdir()
            clients[name] = up.enter_context(server(checkout, folder))
            took = prepare(clients[name], documents, judged)
            print(name, {step: round(seconds, 2) for step, seconds in took.items()}, flush=True)
        times: dict[str, list[float]] = {name: [] for name in clients}
        for number, query in enumerate(islice(cycle(queries), args.searches + WARM)):
            order = list(clients) if number % 2 else list(reversed(clients))
            for name in order:
                started = time.perf_counter()
                found = clients[name].post("/search", json={"corpus_id": CORPUS, "query": query}).raise_for_status()
                took_ms = (time.perf_counter() - started) * 1000
                if not found.json()["reranked"]:
                    raise SystemExit(f"{name} did not rerank: {found.json()['fallback_reason']}")
                if number >= WARM:
                    times[name].append(took_ms)
    print(f"\n{len(documents)} documents, {len(judged)} judged queries, {args.searches} searches\n")
    print("| build | p50, ms | p95, ms |\n|---|---|---|")
    for name, of in times.items():
        print(f"| {name} | {median(of):.2f} | {quantiles(of, n=20)[-1]:.2f} |")
    print(f"\nnew / old at p50: {median(times['new']) / median(times['old']):.2f}")


if __name__ == "__main__":
    main()
