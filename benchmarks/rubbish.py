"""A thousand documents in one call, documents of 100,000 characters, 10,000 malformed calls: answered or refused?

    python benchmarks/rubbish.py ../shared/data/adi

Malformed calls are valid ones spoilt in a fixed random way: cut, shuffled, of the wrong types, too deep, not UTF-8,
with unknown fields, the wrong method or a path that climbs. Four clients send them to a real server, and good searches
in between. Nothing is lost if every good search was answered, and its query_id takes feedback when all is over.
"""

from __future__ import annotations

import collections
import json
import random
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from soak import server
from workbench import indexed, judged, parser

DOCUMENTS, LONG_DOCUMENTS, CHARACTERS, CLIENTS, GOOD_EVERY = 1000, 10, 100_000, 4, 100
SEVERAL_KINDS: tuple[Any, ...] = (None, True, -1, 1e308, "", "x" * 10_000, "a\x00b", [], [[]], {}, {"a": {}}, "../..")


def valid_calls(corpus: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Method, path and body of calls that would be taken; none of them starts work of minutes."""
    query, documents = {"query_id": "q", "text": "t", "judgments": {"1": 1}}, ["one", "two"]
    return [
        ("POST", "/search", {"corpus_id": corpus, "query": "information", "top_k": 5}),
        ("POST", "/feedback", {"query_id": "0" * 32, "signal": "click", "doc_id": "1"}),
        ("POST", "/corpora", {"corpus_id": "another"}),
        ("PUT", f"/corpora/{corpus}/judgments", {"queries": [query]}),
        ("PUT", f"/corpora/{corpus}/eval_dataset", {"queries": [query]}),
        ("PATCH", f"/corpora/{corpus}/config", {"reranking": {"reranker_mode": "none"}}),
        ("POST", "/reranker/promote", {"corpus_id": corpus, "model_id": "0" * 16}),
        ("POST", "/rerank", {"model": corpus, "query": "q", "documents": documents, "top_n": 1}),
        ("POST", "/v2/rerank", {"model": corpus, "query": "q", "documents": documents}),
        ("POST", "/voyage/v1/rerank", {"model": corpus, "query": "q", "documents": documents, "top_k": 1}),
        ("POST", "/rerank", {"query": "q", "texts": documents}),
    ]


def spoilt(rng: random.Random, call: tuple[str, str, dict[str, Any]]) -> tuple[str, str, bytes]:
    """The call as nobody should send it. Some of the ways leave it valid by chance, and then it may be taken."""
    method, path, body = call
    raw = json.dumps(body).encode()

    def other_value() -> bytes:
        return json.dumps({**body, rng.choice(list(body)): rng.choice(SEVERAL_KINDS)}).encode()

    def changed_bytes() -> bytes:
        garbled = bytearray(raw)
        for _ in range(rng.randint(1, 8)):
            garbled[rng.randrange(len(garbled))] = rng.randrange(256)
        return bytes(garbled)

    def without_one() -> bytes:
        missing = rng.choice(list(body))
        return json.dumps({name: value for name, value in body.items() if name != missing}).encode()

    ways: list[Callable[[], tuple[str, str, bytes]]] = [
        lambda: (method, path, raw[: rng.randrange(len(raw))]),
        lambda: (method, path, changed_bytes()),
        lambda: (method, path, other_value()),
        lambda: (method, path, json.dumps({**body, f"f{rng.randrange(99)}": 1}).encode()),
        lambda: (method, path, without_one()),
        lambda: (method, path, b"[" * rng.randint(1, 5000)),
        lambda: (method, path, rng.randbytes(rng.randint(0, 2000))),
        lambda: (method, path, b'{"query": "\xff\xfe", "corpus_id": NaN}'),
        lambda: (rng.choice(["GET", "PUT", "DELETE", "PATCH"]), path + "/x", raw),
        lambda: (method, f"/corpora/..%2f..%2f{rng.randrange(9)}/documents", raw),
    ]
    return rng.choice(ways)()


def refusal(answer: httpx.Response) -> str:
    """The answer's status; that of a refusal which does not say what is wrong gets a mark."""
    if answer.status_code < httpx.codes.BAD_REQUEST:
        return str(answer.status_code)
    told: Mapping[str, Any] = answer.json()
    explained = any(told.get(key) for key in ("detail", "message", "error"))
    return f"{answer.status_code}{'' if explained else ' without words'}"


def storm(url: str, corpus: str, seed: int, calls: int) -> tuple[collections.Counter[str], list[dict[str, Any]]]:
    """One client's calls; statuses of the malformed ones, and the answers to the good searches in between."""
    rng, statuses, good = random.Random(seed), collections.Counter[str](), []
    valid = valid_calls(corpus)
    with httpx.Client(base_url=url, timeout=60) as client:
        for number in range(calls):
            method, path, body = spoilt(rng, rng.choice(valid))
            headers = {"Content-Type": "application/json"}
            try:
                statuses[refusal(client.request(method, path, content=body, headers=headers))] += 1
            except (httpx.HTTPError, ValueError) as error:
                statuses[type(error).__name__] += 1
            if number % GOOD_EVERY == 0:
                answer = client.post("/search", json={"corpus_id": corpus, "query": f"information {seed} {number}"})
                good.append(answer.raise_for_status().json())
    return statuses, good


def large(url: str, corpus: str, texts: list[str]) -> None:
    """What a careless client sends in one call."""
    many = [f"{number} {texts[number % len(texts)]}" for number in range(DOCUMENTS)]
    long = [(f"{number} {' '.join(texts)} " * CHARACTERS)[:CHARACTERS] for number in range(LONG_DOCUMENTS)]
    lines = "".join(json.dumps({"_id": f"long{n}", "text": text}) + "\n" for n, text in enumerate(long))
    with httpx.Client(base_url=url, timeout=600) as client:
        given = {f"{DOCUMENTS} documents": many, f"{LONG_DOCUMENTS} of {CHARACTERS} characters": long}
        for name, documents in given.items():
            started = time.perf_counter()
            call = {"model": corpus, "query": "information retrieval", "documents": documents}
            answer = client.post("/rerank", json=call)
            count = len(answer.json()["results"]) if answer.is_success else answer.json()
            print(f"| rerank, {name} | {answer.status_code} | {count} results, {time.perf_counter() - started:.1f} s |")
        answer = client.post("/rerank", json={"model": corpus, "query": "q", "documents": [*many, "one more"]})
        print(f"| rerank, {DOCUMENTS + 1} documents | {answer.status_code} | {answer.json().get('detail', '')} |")
        started = time.perf_counter()
        ndjson = {"Content-Type": "application/x-ndjson"}
        answer = client.post(f"/corpora/{corpus}/documents", content=lines.encode(), headers=ndjson)
        told, took_s = answer.json(), time.perf_counter() - started
        outcome = f"{told.get('embedded')} passages embedded, {told.get('skipped_total')} skipped, {took_s:.1f} s"
        print(f"| index, {LONG_DOCUMENTS} of {CHARACTERS} characters | {answer.status_code} | {outcome} |")


def takes_feedback(url: str, found: Mapping[str, Any]) -> bool:
    """Whether a click on the search's first result is taken."""
    click = {"query_id": found["query_id"], "signal": "click", "doc_id": found["results"][0]["doc_id"]}
    return httpx.post(f"{url}/feedback", json=click).is_success


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--calls", type=int, default=10_000, help="malformed ones")
    args = arguments.parse_args()
    corpus = args.folder.name
    with indexed(args.folder, args.cache) as tribrid, tempfile.TemporaryDirectory() as work:
        texts = [query.text for query in judged(args.folder, "qrels.tsv")]
        data_dir = tribrid.folder.data_dir
        tribrid.close()
        with server(data_dir, Path(work) / "server.log") as (url, _, _):
            print("| call | status | answer |\n| --- | --- | --- |")
            large(url, corpus, texts)
            with ThreadPoolExecutor(CLIENTS) as pool:
                each = args.calls // CLIENTS
                found = list(pool.map(lambda seed: storm(url, corpus, seed, each), range(CLIENTS)))
            statuses = sum((counts for counts, _ in found), collections.Counter[str]())
            searches = [answer for _, answers in found for answer in answers]
            kept = [takes_feedback(url, answer) for answer in searches]
    print(f"\n{sum(statuses.values())} malformed calls: {dict(sorted(statuses.items()))}")
    print(f"{len(searches)} good searches in between, all answered; {sum(kept)} of them took feedback at the end")
    broken = {name: count for name, count in statuses.items() if not name.isdigit() or name >= "500"}
    print("\n- " + ("met: no 5xx, no refusal without words" if not broken else f"MISSED: {broken}"))
    print("- " + ("met" if all(kept) else "MISSED") + ": nothing lost")


if __name__ == "__main__":
    main()
