"""The HTTP surface as clients meet it: real servers on loopback ports, called over real sockets."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from tribrid.api.server import Server, listen
from tribrid.api.waiting import LongWork
from tribrid.app import Tribrid
from tribrid.types import Job, JobKind

STARTUP_S = 30
CLIENT_TIMEOUT_S = 5  # httpx's own default


class Running:
    """A server that is up."""

    def __init__(self, server: Server, port: int, thread: threading.Thread) -> None:
        self.server, self.port, self._thread = server, port, thread
        self.url = f"http://127.0.0.1:{port}"
        self._clients: list[httpx.Client] = []

    def client(self, **headers: str) -> httpx.Client:
        """A client that gives up as httpx does, closed when the server stops."""
        client = httpx.Client(base_url=self.url, timeout=CLIENT_TIMEOUT_S, headers=headers)
        self._clients.append(client)
        return client

    def begin_stop(self) -> None:
        self.server.should_exit = True

    def stop(self) -> None:
        self.begin_stop()
        for client in self._clients:
            client.close()
        self._thread.join(STARTUP_S)
        assert not self._thread.is_alive(), "the server does not stop"

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=CLIENT_TIMEOUT_S)


@contextmanager
def running(app: FastAPI) -> Iterator[Running]:
    listener = listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    server = Server(app)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    deadline = time.monotonic() + STARTUP_S
    while not server.started:
        assert thread.is_alive(), "the server ended before it was up"
        assert time.monotonic() < deadline, "the server does not start"
        time.sleep(0.01)
    up = Running(server, port, thread)
    try:
        yield up
    finally:
        up.stop()


Serve = Callable[[FastAPI], Running]


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
    return idle_tribrid.store.jobs.create(JobKind.TRAIN, "a", {})


@pytest.fixture
def bare_app(idle_tribrid: Tribrid) -> FastAPI:
    """An app without routes of its own, with the state that waiting and streaming need."""
    app = FastAPI()
    app.state.tribrid = idle_tribrid
    app.state.long_work = LongWork()
    return app
