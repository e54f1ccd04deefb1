"""Two servers and two workers as processes that share PostgreSQL and an object store, and nothing else. Any may be
killed at any time.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import psycopg
import pytest

import bucket
from bucket import free_port
from http_examples import DOCUMENTS, FAST_TRAINING, TRAINING, ndjson, ok
from tribrid.app import Tribrid
from tribrid.config import read_environment
from tribrid.jobs.processes import WorkerLock
from tribrid.workspace.corpus import open_corpus
from waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.heavy, pytest.mark.timeout(600)]
KILLS = 8
SEED = 3


class Process:
    """A server or worker on a data folder of its own."""

    def __init__(self, place: Path, environment: dict[str, str], *words: str) -> None:
        self.place = place
        self._command = [sys.executable, "-P", "-m", "tribrid.cli", "--data-dir", str(place), *words]
        self._environment = environment
        self.start()

    def start(self) -> None:
        with (self.place.parent / f"{self.place.name}.log").open("ab") as log:
            self.process = subprocess.Popen(self._command, env=self._environment, stdout=log, stderr=log)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


class Server(Process):
    """With a client for it."""

    def __init__(self, place: Path, environment: dict[str, str]) -> None:
        port = free_port()
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)
        super().__init__(place, environment, "serve", "--no-worker", "--port", str(port))

    def is_up(self) -> bool:
        try:
            return self.client.get("/ready").is_success
        except httpx.TransportError:
            return False


class Machines:
    """All of them."""

    def __init__(self, place: Path, environment: dict[str, str], store: bucket.Bucket) -> None:
        self.environment, self.store = environment, store
        self.servers = [Server(place / f"server {number}", environment) for number in (1, 2)]
        self.workers = [Process(place / f"worker {number}", environment, "worker") for number in (1, 2)]

    def wait(self) -> None:
        for server in self.servers:
            until(server.is_up)
        for worker in self.workers:
            until(lambda worker=worker: WorkerLock(worker.place).holder() is not None)  # type: ignore[misc]


@pytest.fixture(scope="module")
def machines(postgres_socket: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    with psycopg.connect(f"host={postgres_socket} user=postgres dbname=postgres", autocommit=True) as connection:
        connection.execute("CREATE DATABASE machines")
    place = tmp_path_factory.mktemp("machines")
    with bucket.running(place / "objects") as store:
        shared = {
            "TRIBRID_DATABASE_URL": f"postgresql://postgres@/machines?host={postgres_socket}",
            "TRIBRID_STORAGE_URL": store.url,
        }
        found = Machines(place, {**os.environ, **store.environment, **shared}, store)
        try:
            found.wait()
            yield found
        finally:
            for process in [*found.servers, *found.workers]:
                process.kill()
            for server in found.servers:
                server.client.close()
    with psycopg.connect(f"host={postgres_socket} user=postgres dbname=postgres", autocommit=True) as connection:
        connection.execute("DROP DATABASE machines WITH (FORCE)")


def test_the_loop_over_machines(machines: Machines) -> None:
    one, other = (server.client for server in machines.servers)
    ok(one.post("/corpora", json={"corpus_id": "notes"}), 201)
    ok(one.post("/corpora/notes/documents", content=ndjson(DOCUMENTS)))
    ok(other.put("/corpora/notes/judgments", json={"queries": TRAINING}))

    def served_by(client: httpx.Client) -> str | None:
        found: str | None = ok(client.post("/search", json={"corpus_id": "notes", "query": "the soup"}))["model_id"]
        return found

    before = served_by(other)
    mining = ok(one.post("/reranker/mine", json={"corpus_id": "notes", "wait": False}), 202)
    until(lambda: ok(other.get(mining["status_url"]))["state"] == "succeeded")
    training = {"corpus_id": "notes", "wait": False, **FAST_TRAINING}
    job = ok(other.post("/reranker/train", json=training), 202)
    until(lambda: ok(one.get(job["status_url"]))["state"] in ("running", "succeeded"))
    for worker in machines.workers:  # whichever has it
        worker.kill()
        worker.start()
    until(lambda: ok(one.get(job["status_url"]))["state"] == "succeeded")
    (model,) = ok(one.get("/reranker/models", params={"corpus_id": "notes"}))["models"]
    promotion = {"corpus_id": "notes", "model_id": model["model_id"], "reason": "a test", "force": True}
    ok(one.post("/reranker/promote", json=promotion))
    assert served_by(one) == model["model_id"] != before
    until(lambda: served_by(other) == model["model_id"])
    assert not (machines.servers[0].place / "tribrid.db").exists()


class Uploads:
    """Uploads to one server, one document after the other, whatever becomes of the server."""

    def __init__(self, server: Server, name: str) -> None:
        self._server, self._name = server, name
        self._acknowledged: list[str] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        for number in itertools.count():
            if self._stopping.is_set():
                return
            record = {"_id": f"{self._name}-{number}", "text": f"document {number} of {self._name}"}
            try:
                sent = self._server.client.post("/corpora/kept/documents", content=ndjson([record]))
            except httpx.TransportError:  # it was killed
                time.sleep(0.1)
                continue
            if sent.is_success:
                self._acknowledged.append(record["_id"])

    def go_on(self) -> None:
        """Wait for the next that is acknowledged."""
        so_far = len(self._acknowledged)
        until(lambda: len(self._acknowledged) > so_far)

    def stop(self) -> set[str]:
        """What was acknowledged."""
        self._stopping.set()
        self._thread.join()
        return set(self._acknowledged)


def test_kill_9_of_any_at_any_time_loses_nothing_acknowledged(
    machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(SEED)
    ok(machines.servers[0].client.post("/corpora", json={"corpus_id": "kept"}), 201)
    uploads = [Uploads(server, name) for server, name in zip(machines.servers, "ab", strict=True)]
    killable: list[Process | bucket.Bucket] = [*machines.servers, *machines.workers, machines.store]
    for _ in range(KILLS):
        time.sleep(chance.uniform(0.5, 3))
        victim = chance.choice(killable)
        victim.kill()
        time.sleep(chance.uniform(0, 1))
        victim.start()
    machines.wait()
    for upload in uploads:
        upload.go_on()
    acknowledged = set().union(*(upload.stop() for upload in uploads))
    assert len(acknowledged) > KILLS
    for name, value in machines.store.environment.items():
        monkeypatch.setenv(name, value)
    place = machines.servers[0].place.parent / "fresh"
    with closing(Tribrid(place, environment=read_environment(machines.environment))) as fresh:
        stored = fresh.store.documents.hashes("kept")
        assert acknowledged <= set(stored)
        # What was stored and never acknowledged is ended by a server that is up.
        until(lambda: not fresh.folder.uploads.unfinished("kept") and not fresh.folder.uploads.under_way("kept"))
        until(lambda: open_corpus(fresh.folder, "kept").index.doc_hashes() == stored)
        open_corpus(fresh.folder, "kept").index.check(whole=True)
        best = fresh.corpus("kept").search("document 1 of a", top_k=3).results
        assert best[0].doc_id in stored
