"""`tribrid serve` as a process: it starts, answers, follows signals, and keeps what it was given."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from http_examples import DOCUMENTS, TRAINING, ndjson
from tribrid.jobs.processes import WorkerLock
from waiting import until

pytestmark = pytest.mark.timeout(180)
START_S = 60
STOP_S = 15


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as any_free:
        port: int = any_free.getsockname()[1]
        return port


@contextmanager
def served(data_dir: Path, port: int, **environment: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-P", "-m", "tribrid.cli", "--data-dir", str(data_dir), "serve", "--port", str(port)]
    process = subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8"
    )
    try:
        deadline = time.monotonic() + START_S
        while not answers(port):
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield process
    finally:
        process.kill()
        process.communicate()


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health").is_success
    except httpx.TransportError:
        return False


@pytest.mark.slow
@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_in_good_order_while_clients_wait(sig: signal.Signals, tmp_path: Path) -> None:
    """Whoever waits is told, the worker ends too, and the exit code says that all was well."""
    port = free_port()
    told: list[Any] = []
    with served(tmp_path, port) as process, httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        client.post("/corpora", json={"corpus_id": "notes"}).raise_for_status()
        client.post("/corpora/notes/documents", content=ndjson(DOCUMENTS)).raise_for_status()
        client.put("/corpora/notes/judgments", json={"queries": TRAINING}).raise_for_status()
        until(lambda: WorkerLock(tmp_path).holder() is not None)
        waiting = threading.Thread(
            target=lambda: told.append(client.post("/reranker/mine", json={"corpus_id": "notes"}).json())
        )
        waiting.start()
        time.sleep(0.5)
        process.send_signal(sig)
        output, _ = process.communicate(timeout=STOP_S)
        waiting.join()
    assert process.returncode == 0, output
    assert "Traceback" not in output
    assert told[0]["status"] in ("interrupted", "succeeded")
    if told[0]["status"] == "interrupted":
        assert told[0]["status_url"].startswith("/jobs/")
    assert WorkerLock(tmp_path).holder() is None


@pytest.mark.slow
def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    port = free_port()
    with served(tmp_path, port) as process, httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        client.post("/corpora", json={"corpus_id": "notes"}).raise_for_status()
        client.post("/corpora/notes/documents", content=ndjson(DOCUMENTS)).raise_for_status()
        client.put("/corpora/notes/judgments", json={"queries": TRAINING}).raise_for_status()
        found = client.post("/search", json={"corpus_id": "notes", "query": "the soup"}).json()
        job = client.post("/reranker/mine", json={"corpus_id": "notes", "wait": False}).json()
        process.send_signal(signal.SIGKILL)
        process.wait()
    with served(tmp_path, port), httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        feedback = {"query_id": found["query_id"], "doc_id": found["results"][0]["doc_id"], "signal": "click"}
        assert client.post("/feedback", json=feedback).json()["ok"] is True
        deadline = time.monotonic() + 60
        while (state := client.get(job["status_url"]).json()["state"]) != "succeeded":
            assert state in ("queued", "running")
            assert time.monotonic() < deadline
            time.sleep(0.2)


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_it_does_not_listen_to_a_network_without_a_key(host: str, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-P",
        "-m",
        "tribrid.cli",
        "--json",
        "--data-dir",
        str(tmp_path),
        "serve",
        "--host",
        host,
    ]
    environment = {name: value for name, value in os.environ.items() if name != "TRIBRID_API_KEY"}
    done = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", timeout=START_S, check=False)
    assert done.returncode == 2
    assert "TRIBRID_API_KEY" in done.stdout + done.stderr


def test_a_port_that_is_taken_is_said_so(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-P", "-m", "tribrid.cli", "--data-dir", str(tmp_path), "serve", "--port", port]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=START_S, check=False)
    assert done.returncode == 5
    assert port in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_with_a_key_it_wants_it(tmp_path: Path) -> None:
    port = free_port()
    with served(tmp_path, port, TRIBRID_API_KEY="secret"):
        url = f"http://127.0.0.1:{port}/corpora"
        assert httpx.get(url).status_code == 401
        assert json.loads(httpx.get(url, headers={"Authorization": "Bearer secret"}).text) == {"corpora": []}
