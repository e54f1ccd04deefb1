"""A real server on a loopback port, in a thread of the test's process."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
from fastapi import FastAPI

from tribrid.api.server import Server, listen

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
