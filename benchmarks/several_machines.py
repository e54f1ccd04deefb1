"""Indexes and models in an object store: what a search costs, how soon others see what is new, and whether any is lost.

    python benchmarks/several_machines.py ../shared/data/medline --database postgresql://user@host/name

The database is emptied. Machines are data folders of this one; the store is localbucket on loopback, so nothing here
says how far away a real one is. A collection is indexed in a folder alone, with its rows in the same database; a copy
of the index moves to the store. Local and shared searches take turns. Then two machines take turns in indexing a
document, and the other asks until it finds it. A model is trained, promoted on one machine and waited for on the other.
Two machines index a corpus each, against one that indexes both. At last WRITERS processes index COMMITS documents each,
with the tiny encoder of the tests, and after every KILLED commits one of them is killed and started again.
"""

from __future__ import annotations

import json
import os
import selectors
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, Any

import psycopg

from tribrid.app import Tribrid
from tribrid.app.corpus import Corpus
from tribrid.config import read_environment
from tribrid.evaluation.measures import evaluable
from tribrid.workspace.corpus import open_corpus
from workbench import indexed, judged, parser

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import bucket
import tiny

WARM, SEARCHES, ROUNDS = 40, 600, 20
WRITERS, COMMITS, KILLED = 3, 50, 5
INDEXED = 150
WRITER = """
import sys
from tribrid.app import Tribrid
name, first, last = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with Tribrid(sys.argv[4]) as tribrid:
    for number in range(first, last):
        print(f"begin {name}-{number}", flush=True)
        tribrid.corpus("written").documents.add({f"{name}-{number}": f"document {number} of {name}"})
        print(f"done {name}-{number}", flush=True)
"""


def timed(work: Callable[[], Any]) -> float:
    """Seconds."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def until(seen: Callable[[], bool]) -> float:
    """Seconds until it is so."""
    started = time.perf_counter()
    while not seen():
        time.sleep(0.01)
    return time.perf_counter() - started


def searching(local: Corpus, shared: Corpus, queries: list[str]) -> None:
    took: dict[str, list[float]] = {"local": [], "shared": []}
    for number, query in enumerate(queries):
        turn = [("local", local), ("shared", shared)]
        for name, corpus in turn if number % 2 else turn[::-1]:
            seconds = timed(partial(corpus.search, query))
            if number >= WARM:
                took[name].append(seconds * 1000)
    p50 = {name: statistics.median(each) for name, each in took.items()}
    p95 = {name: sorted(each)[int(len(each) * 0.95)] for name, each in took.items()}
    told = ", ".join(f"{name} {p50[name]:.1f} ({p95[name]:.1f})" for name in p50)
    ratio = p50["shared"] / p50["local"]
    print(f"{len(took['local'])} searches each, ms p50 (p95): {told}; ratio of p50 {ratio:.2f}", flush=True)


def finds(corpus: Corpus, text: str, doc_id: str) -> bool:
    return corpus.search(text, top_k=1).results[0].doc_id == doc_id


def news(machines: list[Corpus]) -> None:
    """How long a document takes to be stored and indexed, and to be found on another machine after that."""
    adding, seeing = [], []
    for number in range(ROUNDS):
        one, other = machines[number % 2], machines[(number + 1) % 2]
        text, doc_id = f"xylophone{number} lesson", f"news-{number}"
        adding.append(timed(partial(one.documents.add, {doc_id: text})))
        seeing.append(until(partial(finds, other, text, doc_id)))
    print(f"a document is indexed in {statistics.median(adding):.2f} s (median of {ROUNDS}), and found on the ", end="")
    print(f"other machine {statistics.median(seeing):.2f} s later (longest {max(seeing):.2f})", flush=True)


def promotion(one: Corpus, other: Corpus, folder: Path) -> None:
    queries = evaluable(judged(folder, "qrels.tsv"))
    one.judgments.put(queries)
    one.mine()
    model = str(one.train(cross_encoder=False).model_id)
    one.promote(model, "a benchmark", force=True)
    took = until(lambda: other.search(queries[0].text).model_id == model)
    print(f"a promoted model serves on the other machine, fetched and loaded, {took:.2f} s later", flush=True)


class Writers:
    """Processes that index a document after the other, and are killed."""

    def __init__(self, place: Path, environment: dict[str, str]) -> None:
        self._place, self._environment = place, environment
        self._next = dict.fromkeys("abc"[:WRITERS], 0)
        self._running: dict[str, subprocess.Popen[str]] = {}
        self._watched = selectors.DefaultSelector()
        self.acknowledged: set[str] = set()
        self.kills = 0

    def run(self) -> None:
        for name in self._next:
            self._start(name)
        while self._running:
            for key, _ in self._watched.select():
                self._heard(str(key.data))

    def _start(self, name: str) -> None:
        if self._next[name] == COMMITS:
            return
        arguments = [name, str(self._next[name]), str(COMMITS), str(self._place / name)]
        command = [sys.executable, "-c", WRITER, *arguments]
        process = subprocess.Popen(command, env=self._environment, stdout=subprocess.PIPE, text=True, bufsize=1)
        self._running[name] = process
        self._watched.register(output(process), selectors.EVENT_READ, name)

    def _heard(self, name: str) -> None:
        process = self._running[name]
        verb, _, doc_id = output(process).readline().strip().partition(" ")
        if verb == "done":
            self.acknowledged.add(doc_id)
            self._next[name] += 1
        doomed = verb == "begin" and len(self.acknowledged) // KILLED > self.kills
        if doomed:
            time.sleep(0.05 * (self.kills % 8))  # at another point each time
            process.kill()
            self.kills += 1
        if doomed or not verb:
            process.wait()
            self._watched.unregister(output(process))
            output(self._running.pop(name)).close()
            self._start(name)


INDEXER = """
import json, sys
from tribrid.app import Tribrid
with Tribrid(sys.argv[1]) as tribrid:
    tribrid.folder.embedder(tribrid.folder.config()).embed_query("warm")
    texts = json.load(open(sys.argv[2]))
    print("ready", flush=True)
    sys.stdin.readline()
    for corpus in sys.argv[3:]:
        tribrid.corpus(corpus).documents.add(texts)
    print("done", flush=True)
"""


def indexing(args: Any, place: Path, store: bucket.Bucket, models: Path) -> None:
    """Two corpora, by one machine after the other and by two machines at once, each on one thread."""
    environment = {
        **os.environ,
        "TRIBRID_DATABASE_URL": args.database,
        "TRIBRID_STORAGE_URL": store.url,
        "TRIBRID_MODELS_DIR": str(models),
        "TRIBRID_SERVING__THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }
    with (args.folder / "corpus.jsonl").open("rb") as stream:
        read = [json.loads(line) for line in islice(stream, INDEXED)]
    (place / "texts.json").write_text(json.dumps({row["_id"]: row["text"] or row["title"] for row in read}))
    took: dict[int, list[float]] = {1: [], 2: []}
    with Tribrid(environment=read_environment({**environment, "TRIBRID_DATA_DIR": str(place / "maker")})) as maker:
        for number, machines in enumerate((1, 2, 2, 1)):
            corpora = [f"part-{number}-{half}" for half in "ab"]
            for corpus in corpora:
                maker.create_corpus(corpus)
            shares = [corpora] if machines == 1 else [[corpus] for corpus in corpora]
            took[machines].append(at_once(shares, environment, place / f"indexing-{number}"))
    one, two = (statistics.mean(took[machines]) for machines in (1, 2))
    print(f"{2 * INDEXED} documents of two corpora: one machine {one:.1f} s, two {two:.1f} s: {one / two:.2f} times")


def at_once(shares: list[list[str]], environment: dict[str, str], place: Path) -> float:
    """Seconds from the start of all, with their encoders loaded, to the end of the last."""
    pipe = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes: list[subprocess.Popen[str]] = []
    for number, corpora in enumerate(shares):
        command = [sys.executable, "-c", INDEXER, str(place / str(number)), str(place.parent / "texts.json"), *corpora]
        processes.append(subprocess.Popen(command, env=environment, **pipe))  # type: ignore[call-overload]
    for process in processes:
        output(process).readline()

    def work() -> None:
        for process in processes:
            process.stdin.write("go\n")  # type: ignore[union-attr]
            process.stdin.flush()  # type: ignore[union-attr]
        for process in processes:
            output(process).readline()

    took = timed(work)
    for process in processes:
        process.communicate()
    return took


def output(process: subprocess.Popen[str]) -> IO[str]:
    if process.stdout is None:
        raise RuntimeError("its output is a pipe")
    return process.stdout


def written(place: Path, environment: dict[str, str], fresh: Tribrid) -> None:
    """Documents that were acknowledged, and what became of them."""
    fresh.create_corpus("written")
    writers = Writers(place, environment)
    took = timed(writers.run)
    fresh.finish_uploads()
    held = set(open_corpus(fresh.folder, "written").index.doc_hashes())
    lost, only_stored = writers.acknowledged - held, set(fresh.store.documents.hashes("written")) - held
    print(f"{WRITERS} writers, {len(writers.acknowledged)} documents acknowledged in {took:.0f} s, ", end="")
    print(f"{writers.kills} killed: {len(lost)} lost, {len(only_stored)} stored and not indexed", flush=True)


def measured(args: Any, index: Path, place: Path, store: bucket.Bucket) -> None:
    environment, corpus, documents = read_environment(), args.folder.name, args.folder / "corpus.jsonl"

    def machine(name: str, **changed: object) -> Tribrid:
        shared = {"database_url": args.database, "storage_url": store.url, "data_dir": place / name}
        if name != "other":
            shutil.copytree(index, place / name / "indexes" / name)
        return Tribrid(environment=environment.model_copy(update=shared | changed))

    local, one = machine("alone", storage_url=None), machine(corpus)
    local.create_corpus("alone").documents.add_path(documents)
    other = machine("other")
    for tribrid in (one, other):
        tribrid.folder.share_encoders(local.folder)
    one.create_corpus(corpus)
    publishing = timed(lambda: one.corpus(corpus).documents.add_path(documents))
    held = sum(store.path(key).stat().st_size for key in store.keys("indexes"))
    print(f"{held / 2**20:.0f} MiB of an index: rows stored, published in {publishing:.1f} s", flush=True)
    queries = [query.text for query in judged(args.folder, "qrels.tsv")]
    first = timed(lambda: other.corpus(corpus).search(queries[0]))
    print(f"a new machine's first search, which fetches the index: {first:.2f} s", flush=True)
    searching(local.corpus("alone"), other.corpus(corpus), (queries * SEARCHES)[:SEARCHES])
    news([one.corpus(corpus), other.corpus(corpus)])
    promotion(one.corpus(corpus), other.corpus(corpus), args.folder)
    for tribrid in (one, other, local):
        tribrid.close()


def writing(args: Any, place: Path, store: bucket.Bucket) -> None:
    tiny.build_encoder(place / "tiny")
    environment = {
        **os.environ,
        "TRIBRID_DATABASE_URL": args.database,
        "TRIBRID_STORAGE_URL": store.url,
        "TRIBRID_INDEXING__EMBEDDING_MODEL": str(place / "tiny"),
        "TRIBRID_MODELS_DIR": str(place / "exports"),
    }
    fresh = read_environment({**environment, "TRIBRID_DATA_DIR": str(place / "fresh")})
    with Tribrid(environment=fresh) as tribrid:
        written(place, environment, tribrid)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--database", required=True)
    args = arguments.parse_args()
    with psycopg.connect(args.database, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    with tempfile.TemporaryDirectory() as temporary, bucket.running(Path(temporary) / "objects") as store:
        os.environ.update(store.environment)
        with indexed(args.folder, args.cache) as local:
            measured(args, local.folder.index_dir(args.folder.name), Path(temporary), store)
            indexing(args, Path(temporary), store, local.folder.models_dir)
        writing(args, Path(temporary), store)


if __name__ == "__main__":
    main()
