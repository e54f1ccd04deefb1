"""One collection through the whole loop by HTTP: index, judgments, eval dataset, and the three calls of the promise.

    python benchmarks/loop.py ../shared/data/scifact --train qrels_train.tsv --eval qrels.tsv

Starts its own server on a new data folder, prints a Markdown table of quality, time and memory, and checks that the
report's means are ir_measures' means of the rankings it serves query by query. `--split` judges with one file and
deals its queries into training and eval by the hash of their text, for collections with one set of judgments.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import ir_measures
from ir_measures import nDCG

from tribrid.types import JudgedQuery
from workbench import halves, judged

TOLERANCE = 1e-6


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="BEIR folder: corpus.jsonl, queries.jsonl and qrels")
    parser.add_argument("--train", default="qrels_train.tsv", help="judgments to train from; none: heuristics only")
    parser.add_argument("--eval", default="qrels.tsv", help="judgments of the eval dataset")
    parser.add_argument("--split", action="store_true", help="halve the queries of --eval instead of using --train")
    parser.add_argument("--seeds", type=int, nargs="+", default=[13], help="one training each, same data")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="training hyperparameters")
    parser.add_argument("--models-dir", type=Path, default=None, help="share exports of base models")
    return parser.parse_args()


@contextmanager
def server(models_dir: Path | None) -> Iterator[tuple[httpx.Client, int]]:
    """A server of its own on a free port; yields a client and the server's process id."""
    with tempfile.TemporaryDirectory() as data_dir, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        env = {**os.environ, "TRIBRID_DATA_DIR": data_dir, "TRIBRID_PORT": str(port)}
        if models_dir:
            env["TRIBRID_MODELS_DIR"] = str(models_dir)
        command = [sys.executable, "-m", "tribrid.cli", "serve"]
        process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=httpx.Timeout(30, read=None))
            deadline = time.monotonic() + 180
            while True:
                try:
                    if client.get("/ready").is_success:
                        break
                except httpx.TransportError:
                    pass
                if time.monotonic() > deadline or process.poll() is not None:
                    raise SystemExit("the server did not become ready")
                time.sleep(0.2)
            yield client, process.pid
        finally:
            process.terminate()
            process.wait(30)


def peak_mib(pid: int) -> float:
    """Peak resident memory of a process, MiB (Linux)."""
    status = Path(f"/proc/{pid}/status").read_text("utf-8")
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


def ok(response: httpx.Response) -> Any:
    if response.is_error:
        raise SystemExit(f"{response.request.url.path}: {response.status_code} {response.text[:2000]}")
    return response.json()


def body(queries: list[JudgedQuery]) -> dict[str, Any]:
    return {"queries": [{"query_id": q.query_id, "text": q.text, "judgments": dict(q.judgments)} for q in queries]}


def check_means(client: httpx.Client, report: dict[str, Any], queries: list[JudgedQuery]) -> float:
    """Largest difference between the report's nDCG@10 and ir_measures' of the served top ten."""
    path = f"/reranker/evaluations/{report['evaluation_id']}/queries"
    rows: list[dict[str, Any]] = []
    while len(rows) < (page := ok(client.get(path, params={"offset": len(rows), "limit": 500})))["total"]:
        rows += page["queries"]
    qrels = [
        ir_measures.Qrel(q.query_id, doc_id, grade)
        for q in queries
        if q.has_positive
        for doc_id, grade in q.judgments.items()
    ]
    worst = 0.0
    for side in ("before", "after"):
        run = [
            ir_measures.ScoredDoc(row["query_id"], doc["doc_id"], -float(rank))
            for row in rows
            for rank, doc in enumerate(row[f"top_{side}"])
        ]
        mean = ir_measures.calc_aggregate([nDCG @ 10], qrels, run)[nDCG @ 10]
        worst = max(worst, abs(mean - report[side]["ndcg@10"]))
    return worst


def job_peak_mib(client: httpx.Client, run_id: str) -> float:
    lines = client.get(f"/reranker/train/run/{run_id}/metrics", params={"follow": "false"}).text.splitlines()
    peaks = [json.loads(line)["data"].get("peak_memory_bytes", 0) for line in lines if line.strip()]
    return max(peaks, default=0) / 2**20


class Stages:
    """Wall time and peak memory of each stage, as rows to print."""

    def __init__(self, pid: int) -> None:
        self._pid, self._started = pid, time.monotonic()
        self.rows: list[tuple[str, float, float]] = []

    def start(self) -> None:
        self._started = time.monotonic()

    def done(self, name: str, peak: float | None = None) -> None:
        self.rows.append((name, time.monotonic() - self._started, peak or peak_mib(self._pid)))


def collections(args: argparse.Namespace) -> tuple[list[JudgedQuery], list[JudgedQuery]]:
    """The judgments to train from and the eval dataset's."""
    evaluation = judged(args.folder, args.eval)
    if args.split:
        return halves(evaluation)
    return ([] if args.train == "none" else judged(args.folder, args.train)), evaluation


def feed(
    client: httpx.Client, folder: Path, training: list[JudgedQuery], evaluation: list[JudgedQuery], stages: Stages
) -> None:
    corpus = folder.name
    ok(client.post("/corpora", json={"corpus_id": corpus}))
    stages.start()
    with (folder / "corpus.jsonl").open("rb") as stream:
        indexed = ok(client.post(f"/corpora/{corpus}/documents", content=stream))
    stages.done("index")
    if training:
        ok(client.put(f"/corpora/{corpus}/judgments", json=body(training)))
    ok(client.put(f"/corpora/{corpus}/eval_dataset", json=body(evaluation)))
    stages.start()
    mined = ok(client.post("/reranker/mine", json={"corpus_id": corpus, "max_pairs": 500}))
    stages.done("mine")
    pairs = {source: found.pairs for source, found in mined.by_source.items()}
    print(f"## {corpus}\n\n{indexed['documents']} documents, {indexed['passages']} passages; pairs mined: {pairs}\n")


def train_and_evaluate(
    client: httpx.Client, corpus: str, seed: int, extra: dict[str, str], stages: Stages
) -> dict[str, Any]:
    call = {"corpus_id": corpus, "epochs": 2, "batch_size": 16, "seed": seed, **extra}
    stages.start()
    run_id = ok(client.post("/reranker/train", json=call))["run_id"]
    with client.stream("GET", f"/reranker/train/run/{run_id}/metrics") as response:
        for line in response.iter_lines():
            sys.stderr.write(f"\r{line[:110]:110}")
    stages.done(f"train (seed {seed})", job_peak_mib(client, run_id))
    stages.start()
    report: dict[str, Any] = ok(client.post("/reranker/evaluate", json={"corpus_id": corpus}))
    if report.get("status") != "succeeded":
        raise SystemExit(json.dumps(report, indent=1))
    stages.done("evaluate")
    delta, made = report["delta"]["ndcg@10"], report["training"]
    print(
        f"| {seed} | {report['before']['ndcg@10']:.4f} | {report['after']['ndcg@10']:.4f} "
        f"| {delta['mean']:+.4f} [{delta['ci95'][0]:+.4f}, {delta['ci95'][1]:+.4f}] "
        f"| {report['verdict']['decision']} | {made['blend']['form']}, memory {made['blend']['memory']} "
        f"| {made['cross_encoder'].get('weight')} |",
        flush=True,
    )
    return report


def show(report: dict[str, Any], stages: Stages) -> None:
    print("\n| system (last seed) | nDCG@10 | MRR@10 | R@10 |\n|---|---|---|---|")
    for name, row in report["systems"].items():
        if row:
            print(f"| {name} | {row['ndcg@10']:.4f} | {row['mrr@10']:.4f} | {row['recall@10']:.4f} |")
    print("\n| stage | seconds | peak memory, MiB |\n|---|---|---|")
    for name, seconds, peak in stages.rows:
        print(f"| {name} | {seconds:.1f} | {peak:.0f} |")
    latency = report["latency_ms"]
    print(f"\nReranking one query: p50 {latency['p50']:.1f} ms, p95 {latency['p95']:.1f} ms")


def main() -> None:
    args = arguments()
    training, evaluation = collections(args)
    corpus = args.folder.name
    extra = dict(pair.split("=", 1) for pair in args.set)
    with server(args.models_dir) as (client, pid):
        stages = Stages(pid)
        feed(client, args.folder, training, evaluation, stages)
        print("| seed | before | after | delta (95 %) | verdict | blend | cross-encoder weight |")
        print("|---|---|---|---|---|---|---|")
        for number, seed in enumerate(args.seeds, 1):
            report = train_and_evaluate(client, corpus, seed, extra, stages)
            if report["promoted"] and number < len(args.seeds):
                # Every seed is compared with retrieval, not with the seed before it.
                ok(client.post("/reranker/rollback", json={"corpus_id": corpus}))
        show(report, stages)
        worst = check_means(client, report, evaluation)
    print(f"Largest difference from ir_measures on the served rankings: {worst:.1e}")
    if worst > TOLERANCE:
        raise SystemExit(f"the report's means differ from ir_measures by {worst:.1e}")


if __name__ == "__main__":
    main()
