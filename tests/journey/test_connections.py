"""Clients that connect and keep silent, against a server that can open few files: nobody else notices."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from http_examples import DOCUMENTS, ndjson
from tribrid.api.connections import HEAD_S, LEAST_RATE, SILENT_S
from waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
FILES = 256
SILENT = 300
LOG_BYTES_A_SECOND = 2000
ANSWER_S = 0.8 * HEAD_S
"""Less than a silent connection lives: what waited for one to end is no answer. A busy machine takes seconds."""
HALVES = {
    "nothing": b"",
    "half a head": b"GET /corpora HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Half: ",
    "half a body": b"POST /corpora/a/documents HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-ndjson\r\n"
    b'Content-Length: 100000\r\n\r\n{"_id": "a", ',
    "half a JSON body": b"POST /search HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b'Content-Length: 1000\r\n\r\n{"query',
    "a request, then idle": b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
}


@dataclass(frozen=True)
class Served:
    """A server as a process of its own."""

    url: str
    port: int
    log: Path
    process: subprocess.Popen[bytes]

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.url + path, timeout=ANSWER_S)

    def put(self, body: bytes) -> httpx.Response:
        return httpx.post(f"{self.url}/corpora/a/documents", content=body, timeout=60)

    @contextmanager
    def silent(self, sent: bytes, count: int = SILENT) -> Iterator[list[socket.socket]]:
        """So many connections that send this and then nothing."""
        with ExitStack() as stack:
            yield [stack.enter_context(self.connected(sent)) for _ in range(count)]

    def connected(self, sent: bytes = b"") -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=ANSWER_S)
        if sent:
            connection.sendall(sent)
        return connection


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    with socket.create_server(("127.0.0.1", 0)) as any_free:
        port = any_free.getsockname()[1]
    log = folder / "log"
    command = [sys.executable, "-P", "-m", "tribrid.cli", "--data-dir", str(folder / "data"), "serve"]
    with log.open("wb") as out:
        process = subprocess.Popen(
            ["/bin/sh", "-c", f'ulimit -n {FILES} && exec "$@"', "sh", *command, "--port", str(port)],
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    server = Served(f"http://127.0.0.1:{port}", port, log, process)
    try:
        until(lambda: _is_up(server))
        httpx.post(f"{server.url}/corpora", json={"corpus_id": "a"}).raise_for_status()
        server.put(ndjson(DOCUMENTS)).raise_for_status()
        until(lambda: server.get("/ready").is_success)
        yield server
    finally:
        process.kill()
        process.wait()


def _is_up(server: Served) -> bool:
    try:
        return server.get("/health").is_success
    except httpx.TransportError:
        return False


@pytest.mark.parametrize("half", HALVES)
def test_silent_connections_stop_nobody_and_fill_no_log(served: Served, half: str) -> None:
    before, started = served.log.stat().st_size, time.monotonic()
    with served.silent(HALVES[half]):
        for _ in range(10):
            assert served.get("/health").is_success
            time.sleep(0.2)
        assert served.get("/corpora").is_success  # and what costs more, once those who wait are known to be slow
        body = {"query": "leave", "corpus_id": "a"}
        assert httpx.post(f"{served.url}/search", json=body, timeout=10).is_success
    per_request = 300 * (SILENT + 20)  # a line each of those that had a whole head
    allowed = per_request + LOG_BYTES_A_SECOND * (time.monotonic() - started)
    assert served.log.stat().st_size - before < allowed
    assert b"too many open files" not in served.log.read_bytes().lower()


def _ends_within(connection: socket.socket, seconds: float) -> bytes:
    """What a connection says before it ends; fails where it does not end."""
    connection.settimeout(seconds)
    told = b""
    try:
        while got := connection.recv(4096):
            told += got
    except ConnectionResetError:
        pass
    return told


@pytest.mark.heavy
def test_a_head_and_a_body_that_never_come_end_their_connection_and_say_why(served: Served) -> None:
    with served.connected(HALVES["half a head"]) as head, served.connected(HALVES["half a body"]) as body:
        nothing = served.connected()
        assert _ends_within(head, HEAD_S + 5).startswith(b"HTTP/1.1 408 ")
        assert _ends_within(nothing, 5) == b""
        nothing.close()
        assert b"8 KiB a second" in _ends_within(body, SILENT_S + 5)


@pytest.mark.heavy
def test_a_drip_is_no_request(served: Served) -> None:
    with served.connected(HALVES["half a head"]) as head, served.connected(HALVES["half a body"]) as body:
        deadline = time.monotonic() + SILENT_S + 10
        while _takes(head) or _takes(body):
            assert time.monotonic() < deadline
            time.sleep(0.5)


def _takes(connection: socket.socket) -> bool:
    """Whether the server still takes a byte on it."""
    try:
        connection.sendall(b"x")
    except OSError:
        return False
    return True


@pytest.mark.heavy
def test_an_upload_may_take_longer_than_any_silence(served: Served) -> None:
    """Longer than SILENT_S in all, at a little over the least rate, and with pauses."""
    line = b'{"_id": "long", "text": "%s"}\n' % (b"word " * 4000)
    pieces = [b" " * (2 * LEAST_RATE) for _ in range(int(SILENT_S) // 2 + 3)]

    def slowly() -> Iterator[bytes]:
        yield line
        for piece in pieces:
            time.sleep(2)
            yield piece
        yield b"\n"

    answer = httpx.post(f"{served.url}/corpora/a/documents", content=slowly(), timeout=60)
    assert answer.status_code == 200, answer.text
    assert answer.json()["embedded"] == 1


def test_no_room_leaves_room_for_health(served: Served) -> None:
    """Every place at work: whoever waits for a job is not cut off, others are told, and /health answers."""
    job = b"POST /corpora/a/documents HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2000000\r\n\r\n"
    with served.silent(job, FILES // 4) as busy:
        told = []
        for _ in range(5):
            for one in busy:
                one.sendall(b" " * 2 * LEAST_RATE)
            time.sleep(0.3)
            told.append(served.get("/corpora").status_code)
            assert served.get("/health").is_success
        assert 503 in told


def test_accept_errors_are_told_once_a_second(served: Served) -> None:
    """Whatever else uses up the files, the log stays readable and the server comes back."""
    pid, before = served.process.pid, served.log.stat().st_size
    in_use = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}
    none_left = next(number for number in range(FILES) if number not in in_use)
    with ExitStack() as stack:
        try:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (none_left, FILES))

            def refused() -> bool:
                # What was open before may end only now, and leaves room for one more.
                stack.enter_context(served.connected())
                return "could not be accepted" in served.log.read_text()[before:]

            until(refused)
            time.sleep(3)
        finally:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (FILES, FILES))
    lines = served.log.read_text()[before:].splitlines()
    told = [line for line in lines if "tribrid.api.edge" not in line]  # those are of the requests before, that ended
    assert 1 <= sum("could not be accepted" in line for line in told) <= 5, told
    assert len(told) < 15, told
    until(lambda: _is_up(served))
