"""This build against another checkout of Tribrid, from an empty folder to a server under load: what each step takes.

    python benchmarks/versus.py OLD_CHECKOUT ../shared/data/scifact [--documents N] [--searches 200]

Each checkout runs in its own environment (`.venv`, as `make install` leaves it; without one, in this one), with a data
folder and an empty home of its own, so that a first start exports the encoder. What takes long (index, train) runs one
build after the other; searches and calls of `/rerank` are asked by turns, so that a busy machine slows both. Memory is
the largest sum of a server's processes' resident sets. Nothing of the old checkout is changed.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import httpx
import psutil

ROOT = Path(__file__).resolve().parents[1]
CORPUS, WARM, CLIENTS = "versus", 20, 16
SEED_CALLS = {"mine": {"max_pairs": 500}, "train": {"epochs": 2, "batch_size": 16, "wait": True}}
MIXED_S, RATE_S, RATE = 60, 20, 12
"""Seconds of mixed load; seconds and searches a second of the load at one rate."""


@dataclass
class Build:
    """A checkout, its data folder and what was measured of it."""

    name: str
    checkout: Path
    folder: Path
    client: httpx.Client = field(init=False)
    process: psutil.Process = field(init=False)
    found: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def up(self, what: str) -> Iterator[None]:
        """A server until the end of the block; the seconds to /ready are kept as `what`."""
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        own = self.checkout / ".venv/bin/python"
        home = self.folder / "home"
        home.mkdir(parents=True, exist_ok=True)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TRIBRID_", "PYTHON"))}
        env = {**kept, "PYTHONPATH": str(self.checkout / "src"), "HF_HUB_OFFLINE": "1", "HOME": str(home)}
        python = str(own) if own.exists() else sys.executable
        call = [python, "-m", "tribrid.cli", "--data-dir", str(self.folder / "data"), "serve", "--port", str(port)]
        started = time.monotonic()
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(call, env=env, stdout=log, stderr=log)
        self.process = psutil.Process(process.pid)
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=3600) as self.client:
                self._wait(process)
                self.found[what] = time.monotonic() - started
                yield
        finally:
            process.terminate()
            process.wait(60)

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        for _ in range(6000):
            try:
                if self.client.get("/ready").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            if process.poll() is not None:
                break
            time.sleep(0.05)
        raise SystemExit(f"{self.name} did not become ready: see {self.folder / 'log'}")

    def memory(self) -> float:
        """MiB of all its processes now."""
        total = 0
        for process in (self.process, *self.process.children(recursive=True)):
            try:
                total += process.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        return total / 2**20

    @contextmanager
    def measured(self, what: str) -> Iterator[None]:
        """Keep the seconds of the block and the memory at its peak."""
        peak, ended = [self.memory()], threading.Event()

        def watch() -> None:
            while not ended.wait(0.2):
                peak.append(self.memory())

        watcher = threading.Thread(target=watch)
        watcher.start()
        started = time.monotonic()
        try:
            yield
        finally:
            self.found[f"{what}, s"] = time.monotonic() - started
            ended.set()
            watcher.join()
            self.found[f"{what}, peak MiB"] = max(peak)

    def call(self, route: str, body: Any, method: str = "POST") -> Any:
        """The answer of a route; a job that failed ends the benchmark."""
        answer = self.client.request(method, route, json=body)
        if answer.is_error:
            raise SystemExit(f"{self.name}: {route}: {answer.status_code} {answer.text[:500]}")
        found = answer.json()
        if isinstance(found, dict) and found.get("status") == "failed":
            raise SystemExit(f"{self.name}: {route}: {found}")
        return found


@dataclass(frozen=True)
class Data:
    """Documents, judged queries to learn from and to be measured on, and texts of queries."""

    documents: list[dict[str, Any]]
    taught: list[dict[str, Any]]
    judged: list[dict[str, Any]]

    @property
    def texts(self) -> list[str]:
        """Queries to ask."""
        return [query["text"] for query in self.judged]


def read(folder: Path, documents: int | None) -> Data:
    """The first documents and the judged queries whose documents are among them."""
    with (folder / "corpus.jsonl").open(encoding="utf-8") as stream:
        rows = [json.loads(line) for line in itertools.islice(stream, documents)]
    texts = {row["_id"]: row["text"] for row in map(json.loads, (folder / "queries.jsonl").open(encoding="utf-8"))}
    known = {row["_id"] for row in rows}

    def judged(name: str) -> list[dict[str, Any]]:
        found: dict[str, dict[str, int]] = {}
        with (folder / name).open(encoding="utf-8") as stream:
            for row in csv.DictReader(stream, delimiter="\t"):
                if row["corpus-id"] in known and int(row["score"]) > 0:
                    found.setdefault(row["query-id"], {})[row["corpus-id"]] = int(row["score"])
        return [{"query_id": query_id, "text": texts[query_id], "judgments": of} for query_id, of in found.items()]

    return Data(rows, judged("qrels_train.tsv"), judged("qrels.tsv"))


def loop(build: Build, data: Data) -> None:
    """Index, the seed's two calls, evaluate; what was trained serves, whatever it is worth."""
    build.call("/corpora", {"corpus_id": CORPUS})
    with build.measured("index"):
        build.call(f"/corpora/{CORPUS}/documents", data.documents)
    build.found["index, documents/s"] = len(data.documents) / build.found["index, s"]
    size = sum(path.stat().st_size for path in (build.folder / "data").rglob("*") if path.is_file())
    build.found["data folder after indexing, kB a document"] = size / 1000 / len(data.documents)
    build.call(f"/corpora/{CORPUS}/judgments", {"queries": data.taught}, "PUT")
    build.call(f"/corpora/{CORPUS}/eval_dataset", {"queries": data.judged}, "PUT")
    with build.measured("mine"):
        build.call("/reranker/mine", {"corpus_id": CORPUS, **SEED_CALLS["mine"]})
    with build.measured("train"):
        build.call("/reranker/train", {"corpus_id": CORPUS, **SEED_CALLS["train"]})
    with build.measured("evaluate"):
        report = build.call("/reranker/evaluate", {"corpus_id": CORPUS, "wait": True})
    for when in ("before", "after"):
        build.found[f"nDCG@10 {when}"] = report[when]["ndcg@10"]
    build.call("/reranker/promote", {"corpus_id": CORPUS, "reason": "to be measured", "force": True})


def by_turns(builds: Sequence[Build], what: str, ask: Callable[[Build, int], Any], times: int, warm: int) -> None:
    """Ask one build and then the other; the median and the 95th percentile in ms."""
    took: dict[str, list[float]] = {build.name: [] for build in builds}
    for number in range(times + warm):
        for build in builds if number % 2 else reversed(builds):
            started = time.perf_counter()
            ask(build, number)
            if number >= warm:
                took[build.name].append((time.perf_counter() - started) * 1000)
    for build in builds:
        build.found[f"{what}, p50 ms"] = median(took[build.name])
        build.found[f"{what}, p95 ms"] = quantiles(took[build.name], n=20)[-1]


class Unseen:
    """Texts that no cache has: words of the collection, drawn anew."""

    def __init__(self, data: Data, seed: int) -> None:
        """Draw from these documents."""
        self._words = " ".join(row["text"] for row in data.documents[:500]).split()
        self._random = random.Random(seed)

    def texts(self, count: int, characters: int) -> list[str]:
        """So many texts of about so many characters."""
        made = []
        for _ in range(count):
            at = self._random.randrange(len(self._words) - 1000)
            made.append(f"{self._random.random()} {' '.join(self._words[at : at + characters // 4])}"[:characters])
        return made


def searches(build: Build, text: str) -> None:
    """One search, which the model must have ranked."""
    found = build.call("/search", {"corpus_id": CORPUS, "query": text})
    if not found["reranked"]:
        raise SystemExit(f"{build.name} did not rerank: {found['fallback_reason']}")


def at_a_rate(build: Build, texts: Sequence[str]) -> None:
    """Many clients, together so many searches a second whatever is answered: from when a search was due."""
    begin, took = time.perf_counter() + 0.5, []

    def one(number: int) -> None:
        due = begin + number / RATE
        time.sleep(max(0.0, due - time.perf_counter()))
        searches(build, texts[number % len(texts)])
        took.append((time.perf_counter() - due) * 1000)

    with ThreadPoolExecutor(CLIENTS) as clients:
        list(clients.map(one, range(RATE * RATE_S)))
    build.found[f"{CLIENTS} clients, {RATE} searches/s, p50 ms"] = median(took)
    build.found[f"{CLIENTS} clients, {RATE} searches/s, p99 ms"] = quantiles(took, n=100)[-1]


def mixed(build: Build, data: Data) -> None:
    """Half the clients search, half rerank 20 unseen documents of 2,000 characters, each as soon as it is answered."""
    until, took = time.monotonic() + MIXED_S, {"search": [], "rerank": []}

    def client(number: int) -> None:
        chance, unseen = random.Random(number), Unseen(data, number)
        while time.monotonic() < until:
            started = time.perf_counter()
            if number % 2:
                build.call("/search", {"corpus_id": CORPUS, "query": chance.choice(data.texts)})
            else:
                rerank(build, chance.choice(data.texts), unseen.texts(20, 2000))
            took["rerank" if number % 2 == 0 else "search"].append(time.perf_counter() - started)

    with build.measured("mixed load"), ThreadPoolExecutor(CLIENTS) as clients:
        list(clients.map(client, range(CLIENTS)))
    del build.found["mixed load, s"]
    build.found["mixed load, search p50 s"] = median(took["search"])
    build.found["mixed load, searches/s"] = len(took["search"]) / MIXED_S
    build.found["mixed load, rerank p50 s"] = median(took["rerank"])
    build.found["mixed load, reranks/s"] = len(took["rerank"]) / MIXED_S


def rerank(build: Build, query: str, documents: Sequence[str]) -> None:
    """One call of /rerank."""
    build.call("/rerank", {"corpus_id": CORPUS, "query": query, "documents": list(documents)})


def table(builds: Sequence[Build]) -> None:
    """Print what was measured, and the ratio of this build to the old one."""
    old, new = builds
    print("\n| what | old | new | new / old |\n|---|---|---|---|")
    for what in new.found:
        if what in old.found:
            before, after = old.found[what], new.found[what]
            print(f"| {what} | {before:.4g} | {after:.4g} | {after / before:.2f} |")


def main() -> None:
    """Measure both."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("old", type=Path)
    arguments.add_argument("data", type=Path)
    arguments.add_argument("--documents", type=int, default=None, help="default: all")
    arguments.add_argument("--searches", type=int, default=200)
    args = arguments.parse_args()
    data = read(args.data, args.documents)
    with tempfile.TemporaryDirectory() as work:
        builds = [
            Build(name, checkout, Path(work) / name) for name, checkout in (("old", args.old.resolve()), ("new", ROOT))
        ]
        for build in builds:
            with build.up("first start, s"):
                loop(build, data)
            print(build.name, {what: round(value, 3) for what, value in build.found.items()}, flush=True)
        with ExitStack() as up:
            for build in builds:
                up.enter_context(build.up("start with a champion, s"))
            texts, unseen = data.texts, Unseen(data, CLIENTS)
            by_turns(builds, "search", lambda build, at: searches(build, texts[at % len(texts)]), args.searches, WARM)
            for characters in (600, 1200):
                given = [unseen.texts(50, characters) for _ in range(24)]
                what = f"/rerank of 50 unseen of {characters} characters"
                by_turns(builds, what, lambda build, at, of=given: rerank(build, texts[at % len(texts)], of[at]), 20, 2)
            for build in builds:
                at_a_rate(build, texts)
        for build in builds:
            with build.up("start again, s"):
                mixed(build, data)
        table(builds)


if __name__ == "__main__":
    main()
