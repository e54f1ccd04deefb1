"""A server under load: many clients at once while it trains, then for a long time; and how soon it is ready.

    python benchmarks/soak.py ../shared/data/scifact --cache /tmp/cache --seconds 60 --minutes 30

The server has a trained champion (the start to /ready is measured with it) and then reranks with a cross-encoder, where
there is one (`--cross-encoder`, or as benchmarks/serving.py makes it in the cache), so that every search is work and no
score is kept; without one, with the champion. Every query is asked once before, by the blend, so that what the soak
adds to memory is not the index.
Throughput with many clients is compared with one client that asks one search after the other, both beside a training.
"""

from __future__ import annotations

import collections
import itertools
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tribrid.app import Tribrid
from workbench import indexed, judged, parser, train_and_evaluate

START_S = 120
LEAST_BACKOFF_S = 0.05


@contextmanager
def server(data_dir: Path, log: Path) -> Iterator[tuple[str, int, float]]:
    """A server on this data folder; yields its address, its process id and the seconds to /ready."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = {**os.environ, "TRIBRID_DATA_DIR": str(data_dir), "TRIBRID_PORT": str(port),
           "TRIBRID_SERVING__CACHED_SCORES": "0"}  # fmt: skip
    started = time.monotonic()
    with log.open("ab") as out:
        process = subprocess.Popen([sys.executable, "-m", "tribrid.cli", "serve"], env=env, stdout=out, stderr=out)
    try:
        url = f"http://127.0.0.1:{port}"
        while True:
            try:
                if httpx.get(f"{url}/ready", timeout=2).is_success:
                    break
            except httpx.TransportError:
                pass
            if process.poll() is not None or time.monotonic() - started > START_S:
                raise SystemExit(f"the server did not become ready; see {log}")
            time.sleep(0.02)
        yield url, process.pid, time.monotonic() - started
    finally:
        process.terminate()
        process.wait(60)


def resident_mib(pid: int) -> float:
    """Resident memory of a process, MiB (Linux)."""
    status = Path(f"/proc/{pid}/status").read_text("utf-8")
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


class Load:
    """Clients that search until told to stop."""

    def __init__(self, url: str, corpus: str, queries: Sequence[str]) -> None:
        self._url, self._corpus = url, corpus
        self._queries = itertools.cycle(queries)
        self._lock = threading.Lock()
        self.statuses: collections.Counter[str] = collections.Counter()
        self.times_ms: list[float] = []

    def run(self, clients: int, seconds: float) -> float:
        """Answers a second."""
        with self._lock:
            self.statuses.clear()
            self.times_ms.clear()
        until = time.monotonic() + seconds
        threads = [threading.Thread(target=self._client, args=(until,)) for _ in range(clients)]
        started = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return len(self.times_ms) / (time.monotonic() - started)

    def _client(self, until: float) -> None:
        with httpx.Client(base_url=self._url, timeout=60) as client:
            while time.monotonic() < until:
                with self._lock:
                    query = next(self._queries)
                started = time.perf_counter()
                try:
                    answer = client.post("/search", json={"corpus_id": self._corpus, "query": query})
                except httpx.HTTPError as error:
                    with self._lock:
                        self.statuses[type(error).__name__] += 1
                    continue
                took_ms = (time.perf_counter() - started) * 1000
                body = answer.json()
                fell_back = answer.is_success and not body["reranked"]
                with self._lock:
                    self.statuses["not reranked" if fell_back else str(answer.status_code)] += 1
                    if answer.is_success:
                        self.times_ms.append(took_ms)
                if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
                    time.sleep(max(LEAST_BACKOFF_S, float(answer.headers["retry-after"])))

    def p(self, share: float) -> float:
        """Milliseconds."""
        return sorted(self.times_ms)[min(len(self.times_ms) - 1, int(len(self.times_ms) * share))]


@contextmanager
def training(url: str, corpus: str) -> Iterator[str]:
    """A training that runs meanwhile, and longer; cancelled at the end."""
    settings = {"corpus_id": corpus, "epochs": 50, "patience": 0}
    run_id = httpx.post(f"{url}/reranker/train", json=settings, timeout=30).raise_for_status().json()["run_id"]
    while httpx.get(f"{url}/jobs/{run_id}").json()["state"] == "queued":
        time.sleep(0.2)
    try:
        yield run_id
    finally:
        job = httpx.get(f"{url}/jobs/{run_id}").json()
        state = job["state"]
        print(f"(the training was {state} at the end{': ' + job['problem']['detail'] if job['problem'] else ''})")
        if state == "running":
            httpx.post(f"{url}/reranker/train/run/{run_id}/cancel", timeout=30)


def soak(load: Load, pid: int, clients: int, minutes: float, warm_up: float) -> None:
    """Load for so long, with resident memory on the way."""
    load.run(clients, warm_up)
    before = resident_mib(pid)
    peaks, until = [before], time.monotonic() + minutes * 60
    while time.monotonic() < until:
        load.run(clients, min(30.0, max(1.0, until - time.monotonic())))
        peaks.append(resident_mib(pid))
        sys.stderr.write(f"resident {peaks[-1]:.0f} MiB, {dict(load.statuses)}\n")
    growth = (statistics.median(peaks[-3:]) / before - 1) * 100
    print(f"| soak, {minutes:g} min | {before:.0f} MiB after warm-up | {peaks[-1]:.0f} MiB, most {max(peaks):.0f} "
          f"| {growth:+.1f} % ({'met' if growth < 5 else 'MISSED'}: < 5 %) |")  # fmt: skip


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--train", default="qrels_train.tsv")
    arguments.add_argument("--cross-encoder", type=Path, default=None, help="default: the one in the cache, if any")
    arguments.add_argument("--max-pairs", type=int, default=500, help="to train the champion from")
    arguments.add_argument("--clients", type=int, default=16)
    arguments.add_argument("--seconds", type=float, default=60, help="of each phase beside a training")
    arguments.add_argument("--minutes", type=float, default=30, help="of the soak; 0: none")
    arguments.add_argument("--warm-up", type=float, default=120, help="seconds before memory is measured")
    arguments.add_argument("--starts", type=int, default=5)
    arguments.add_argument("--topn", type=int, default=50, help="candidates to rerank")
    args = arguments.parse_args()
    corpus = args.folder.name
    model = args.cross_encoder or (args.cache or Path()) / f"cross-encoder-{corpus}"
    if args.cross_encoder and not model.is_dir():
        raise SystemExit(f"There is no cross-encoder at {model}.")
    texts = [query.text for query in (*judged(args.folder, args.train), *judged(args.folder, "qrels.tsv"))]
    with indexed(args.folder, args.cache) as tribrid:
        prepare(tribrid, args)
        data_dir = tribrid.environment.data_dir
        log = data_dir / "server.log"
        ready_s = []
        for _ in range(args.starts):
            with server(data_dir, log) as (_, _, seconds):
                ready_s.append(seconds)
        told = ", ".join(f"{seconds:.1f}" for seconds in ready_s)
        print(f"start to /ready with a trained model: {told} s ({'met' if max(ready_s) <= 5 else 'MISSED'}: <= 5 s)\n")
        reranking = chosen(model) | {"tribrid_reranker_topn": args.topn}
        with server(data_dir, log) as (url, pid, _):
            for text in texts:  # by the blend; afterwards what searches read of the index is in memory
                httpx.post(f"{url}/search", json={"corpus_id": corpus, "query": text}, timeout=60).raise_for_status()
            tribrid.corpus(corpus).patch_settings({"reranking": reranking})
            under_load(url, pid, corpus, texts, args)


def chosen(model: Path) -> dict[str, Any]:
    """The settings of who serves: the cross-encoder, or the champion where there is none."""
    if not model.is_dir():
        print("served by the champion")
        return {}
    print("served by the cross-encoder")
    return {"reranker_mode": "local", "reranker_local_model": str(model)}


def prepare(tribrid: Tribrid, args: Any) -> None:
    """A trained champion, and triplets for the training that will run."""
    corpus = args.folder.name
    tribrid.corpus(corpus).judgments.put(judged(args.folder, args.train))
    tribrid.corpus(corpus).eval_dataset.put(judged(args.folder, "qrels.tsv"))
    tribrid.corpus(corpus).mine(max_pairs=args.max_pairs)
    report = train_and_evaluate(tribrid, corpus, args.seeds[:1], ["cross_encoder=false", *args.set])[0]
    tribrid.corpus(corpus).promote(report.model_id, "the soak serves it", force=True)
    tribrid.supervisor.stop()  # the server's own worker trains


def under_load(url: str, pid: int, corpus: str, texts: Sequence[str], args: Any) -> None:
    load = Load(url, corpus, texts)
    load.run(1, 5)
    with training(url, corpus):
        alone = load.run(1, args.seconds)
        alone_p50 = load.p(0.5)
        together = load.run(args.clients, args.seconds)
    errors = sum(n for status, n in load.statuses.items() if status not in ("200", "429"))
    share = together / alone
    print("| beside a training | searches a second | p50, ms | p99, ms | answers |\n|---|---|---|---|---|")
    print(f"| 1 client | {alone:.2f} | {alone_p50:.0f} | | |")
    print(
        f"| {args.clients} clients | {together:.2f} | {load.p(0.5):.0f} | {load.p(0.99):.0f} | {dict(load.statuses)} |"
    )
    print(f"\n- {'met' if not errors else 'MISSED'}: no error but 429 ({errors})")
    print(f"- {'met' if share >= 0.9 else 'MISSED'}: throughput {share:.0%} of one after the other (at least 90 %)\n")
    if args.minutes:
        soak(load, pid, args.clients, args.minutes, args.warm_up)


if __name__ == "__main__":
    main()
