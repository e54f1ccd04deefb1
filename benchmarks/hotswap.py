"""A thousand promotions and rollbacks while eight clients search: does a request fail, does an answer mix two models?

    python benchmarks/hotswap.py ../shared/data/scifact

A real server on a loopback port with two models of different seeds; the clients search the collection's own queries
without a pause, an operator promotes and rolls back without a pause. An answer is whole if its model_id is one of the
two, nothing fell back, and its ranking is the one that this model gave that query before.
"""

from __future__ import annotations

import statistics
import threading
import time
from typing import Any

import httpx

from tribrid.api import create_app
from tribrid.api.server import Server, listen
from tribrid.app import Tribrid
from tribrid.evaluation.measures import evaluable
from workbench import indexed, judged, parser

QUERIES = 50
TIMEOUT_S = 60


class Watch:
    """What the clients saw."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.failed: list[str] = []
        self.rankings: dict[tuple[str, str], set[tuple[tuple[str, float], ...]]] = {}
        self.took_ms: list[float] = []

    def search(self, base_url: str, corpus: str, queries: list[str], start: int) -> None:
        with httpx.Client(base_url=base_url, timeout=TIMEOUT_S) as client:
            number = start
            while not self.done.is_set():
                query = queries[number % len(queries)]
                number += 1
                started = time.perf_counter()
                response = client.post("/search", json={"corpus_id": corpus, "query": query})
                self.took_ms.append((time.perf_counter() - started) * 1000)
                self.check(query, response)

    def check(self, query: str, response: httpx.Response) -> None:
        found: dict[str, Any] = response.json()
        if response.status_code != 200 or not found["reranked"] or found["fallback_reason"]:
            self.failed.append(response.text[:300])
            return
        ranking = tuple((row["doc_id"], round(row["score"], 6)) for row in found["results"])
        self.rankings.setdefault((found["model_id"], query), set()).add(ranking)


def swap(base_url: str, corpus: str, models: list[str], changes: int) -> list[float]:
    """Promote and roll back in turn; milliseconds of each."""
    took = []
    with httpx.Client(base_url=base_url, timeout=TIMEOUT_S) as operator:
        for number in range(changes):
            body: dict[str, Any] = {"corpus_id": corpus, "reason": "hot swap"}
            path = "/reranker/rollback"
            if number % 2 == 0:
                path, body = "/reranker/promote", {**body, "model_id": models[1], "force": True}
            started = time.perf_counter()
            operator.post(path, json=body).raise_for_status()
            took.append((time.perf_counter() - started) * 1000)
    return took


def measure(tribrid: Tribrid, corpus: str, queries: list[str], models: list[str], args: Any) -> None:
    tribrid.corpus(corpus).promote(models[0], "where it starts", force=True)
    tribrid.warm()
    listener = listen("127.0.0.1", 0)
    server = Server(create_app(tribrid))
    serving = threading.Thread(target=server.run, args=([listener],), daemon=True)
    serving.start()
    base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    while not server.started:
        time.sleep(0.05)
    watch = Watch()
    clients = [
        threading.Thread(target=watch.search, args=(base_url, corpus, queries, number))
        for number in range(args.clients)
    ]
    for client in clients:
        client.start()
    started = time.perf_counter()
    took = swap(base_url, corpus, models, args.changes)
    seconds = time.perf_counter() - started
    watch.done.set()
    for client in clients:
        client.join()
    server.should_exit = True
    serving.join()
    mixed = sum(len(found) > 1 for found in watch.rankings.values())
    strange = {model for model, _ in watch.rankings} - set(models)
    by_model = {name: sum(model == name for model, _ in watch.rankings) for name in models}
    print(
        f"{args.changes} changes in {seconds:.0f} s (median {statistics.median(took):.1f} ms), {args.clients} clients"
    )
    print(
        f"searches: {len(watch.took_ms)}, median {statistics.median(watch.took_ms):.0f} ms; queries by model {by_model}"
    )
    print(f"failed: {len(watch.failed)}; rankings that are no model's own: {mixed}; unknown models: {len(strange)}")
    names = tribrid.corpus(corpus).models()
    print(
        f"champion {names['champion']}, as its history says: {names['champion'] == names['promotions'][0]['model_id']}"
    )
    for failure in watch.failed[:3]:
        print(failure)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--train", default="qrels_train.tsv")
    arguments.add_argument("--changes", type=int, default=1000)
    arguments.add_argument("--clients", type=int, default=8)
    args = arguments.parse_args()
    corpus = args.folder.name
    queries = [query.text for query in evaluable(judged(args.folder, "qrels.tsv"))[:QUERIES]]
    with indexed(args.folder, args.cache) as tribrid:
        tribrid.corpus(corpus).judgments.put(judged(args.folder, args.train))
        tribrid.corpus(corpus).mine(max_pairs=200)
        models = [tribrid.corpus(corpus).train(seed=seed, cross_encoder=False).model_id for seed in args.seeds[:2]]
        measure(tribrid, corpus, queries, models, args)


if __name__ == "__main__":
    main()
