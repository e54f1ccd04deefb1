"""The HTTP surface as clients meet it: real servers on loopback ports, called over real sockets."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from fastapi import Depends, FastAPI, Request

from conforming import Conforming
from conftest import REPO_ROOT, STRICT
from http_examples import DOCUMENTS, EVALUATION, TRAINING, ndjson
from serving import Serve, running
from tribrid.api import create_app
from tribrid.api.auth import EVERYTHING, Caller
from tribrid.api.waiting import LongWork
from tribrid.app import Tribrid
from tribrid.types import Job, JobKind

WARM_S = 120
PYTHON = Path(os.environ.get("RERANK_CLIENTS_PYTHON") or REPO_ROOT / ".venv-clients" / "bin" / "python")
"""Where the frameworks and other services' clients are."""


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serve an app until the test ends."""
    with ExitStack() as stack:
        yield lambda app: stack.enter_context(running(app))


@pytest.fixture(scope="module")
def serve_all() -> Iterator[Serve]:
    """Serve an app until the module's tests are done."""
    with ExitStack() as stack:
        yield lambda app: stack.enter_context(running(app))


@pytest.fixture
def idle_tribrid(tmp_path: Path) -> Iterator[Tribrid]:
    """A Tribrid with one corpus, "a", and without a worker: the test itself moves its jobs along."""
    with Tribrid(tmp_path / "data") as tribrid:
        tribrid.create_corpus("a")
        yield tribrid


@pytest.fixture
def queued(idle_tribrid: Tribrid) -> Job:
    """A training run that nobody works on."""
    job: Job = idle_tribrid.store.jobs.create(JobKind.TRAIN, "a", {})
    return job


@pytest.fixture
def bare_app(idle_tribrid: Tribrid) -> FastAPI:
    """An app without routes of its own, with the state that waiting and streaming need."""
    app = FastAPI(dependencies=[Depends(anybody)])
    app.state.tribrid = idle_tribrid
    app.state.long_work = LongWork()
    return app


def anybody(request: Request) -> None:
    """In the place of the guard."""
    request.state.caller = Caller("anybody", EVERYTHING)


@pytest.fixture(scope="module")
def client(serve_all: Serve, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a whole server: real Tribrid, real worker, models loaded. It holds every answer to its schema."""
    with Tribrid(tmp_path_factory.mktemp("served")) as tribrid:
        app = create_app(tribrid)
        client = serve_all(app).client()
        client.event_hooks["response"].append(Conforming(app.openapi()))
        deadline = time.monotonic() + WARM_S
        while (response := client.get("/ready")).status_code != 200:
            assert response.status_code == 503, response.text
            assert int(response.headers["retry-after"]) > 0
            assert time.monotonic() < deadline, response.text
            time.sleep(0.1)
        yield client


@pytest.fixture(scope="session")
def in_frameworks(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Run Python where the frameworks are, with Tribrid's packages from their folders: what it prints."""
    if not PYTHON.exists():
        if os.environ.get(STRICT):
            pytest.fail(f"the frameworks are not installed: there is no {PYTHON}. Run `make clients`")
        pytest.skip("the frameworks are not installed: run `make clients`")
    folder = tmp_path_factory.mktemp("frameworks")
    kept = {"PATH": os.environ["PATH"], "HOME": str(folder), "HAYSTACK_TELEMETRY_ENABLED": "False"}

    def ran(*arguments: str, **variables: str) -> str:
        command = [str(PYTHON), str(REPO_ROOT / "tests" / "clients" / "joined.py"), *arguments]
        environment = {**kept, **variables}
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, encoding="utf-8", timeout=240, check=False
        )
        assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    return ran


@pytest.fixture(scope="module")
def corpus(client: httpx.Client) -> str:
    """The id of an indexed corpus with judgments and an eval dataset."""
    made = client.post("/corpora", json={"corpus_id": "notes", "name": "Notes"})
    assert made.status_code == 201
    assert made.headers["location"] == "/corpora/notes"
    indexed = client.post("/corpora/notes/documents", content=ndjson(DOCUMENTS)).json()
    assert indexed["documents"] == len(DOCUMENTS)
    client.put("/corpora/notes/judgments", json={"queries": TRAINING}).raise_for_status()
    client.put("/corpora/notes/eval_dataset", json={"queries": EVALUATION}).raise_for_status()
    return "notes"


@pytest.fixture
def fresh(client: httpx.Client) -> Iterator[str]:
    """The path of a new corpus, gone after the test."""
    client.post("/corpora", json={"corpus_id": "fresh"}).raise_for_status()
    yield "/corpora/fresh"
    client.delete("/corpora/fresh")
