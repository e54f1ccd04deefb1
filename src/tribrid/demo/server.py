"""The demo's own server: a real `tribrid serve` in a process of its own, which ends with the demo however that ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tribrid.errors import Failed, Unavailable
from tribrid.private import opener, own_folder

HOST = "127.0.0.1"
PORT = 8000
LONG_S = 60.0
STOP_TIMEOUT_S = 20.0
_POLL_S = 0.2
_LOG_TAIL_CHARS = 800


class Server:
    """A running server."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path, api_key: str | None) -> None:
        self.port = port
        self.url = f"http://{HOST}:{port}"
        self.log = log
        self.headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._process = process

    def check(self) -> None:
        """Pass while it lives.

        Raises:
            Failed: it ended; with the last it wrote.
        """
        code = self._process.poll()
        if code is not None:
            tail = self.log.read_bytes()[-4 * _LOG_TAIL_CHARS :].decode("utf-8", "replace")[-_LOG_TAIL_CHARS:].strip()
            raise Failed(f"The demo's server ended with code {code}. {self.log} ends: {tail}", log=str(self.log))

    def stop(self) -> None:
        """End it; what it had in hand goes on when it is started again."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


@contextmanager
def running_server(
    data_dir: Path, *, port: int | None, api_key: str | None, waiting: Callable[[str], None]
) -> Iterator[Server]:
    """A server on the data folder, ready to search, for the length of a `with` block.

    Args:
        port: None for PORT, or any free one where that is taken.
        api_key: the one that the server reads from the same environment.
        waiting: is told what is being waited for.

    Raises:
        Unavailable: the port asked for is taken.
        Failed: the server ended.
    """
    if not data_dir.exists():
        own_folder(data_dir)
    chosen = choose_port(port)
    log = data_dir / "server.log"
    # -P: a file `types.py` in the current folder is not the standard library's.
    command = [sys.executable, "-P", "-m", "tribrid.cli", "--data-dir", str(data_dir)]
    command += ["serve", "--host", HOST, "--port", str(chosen), "--parent-pid", str(os.getpid())]
    with open(log, "ab", opener=opener) as stream:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,  # Ctrl-C in the terminal is the demo's to handle
        )
    server = Server(process, chosen, log, api_key)
    try:
        _await(server, waiting)
        yield server
    finally:
        server.stop()


def choose_port(port: int | None) -> int:
    """The port asked for, or PORT, or where that is taken any free one.

    Raises:
        Unavailable: the port asked for is taken.
    """
    if _free(port or PORT):
        return port or PORT
    if port is not None:
        raise Unavailable(f"Port {port} is taken. Choose another with --port, or leave it out.", port=port)
    with socket.create_server((HOST, 0)) as any_free:
        chosen: int = any_free.getsockname()[1]
        return chosen


def _free(port: int) -> bool:
    try:
        with socket.create_server((HOST, port)):
            return True
    except OSError:
        return False


def _await(server: Server, waiting: Callable[[str], None]) -> None:
    """Return when it listens and its models are loaded, however long that takes, as long as it lives.

    The first start exports the encoder, which on a busy machine takes minutes: no clock can tell that from a failure.
    """
    started = time.monotonic()
    listening = False
    with httpx.Client(base_url=server.url, headers=server.headers, timeout=5) as client:
        while True:
            server.check()
            listening = listening or _ok(client, "/health")
            if listening and _ok(client, "/ready"):
                return
            passed_s = time.monotonic() - started
            patience = f", for {passed_s:.0f} s now; it lives, and writes {server.log}" if passed_s > LONG_S else ""
            waiting(("loading the models" if listening else "starting") + patience)
            time.sleep(_POLL_S)


def _ok(client: httpx.Client, path: str) -> bool:
    try:
        return client.get(path).is_success
    except httpx.TransportError:
        return False
