"""The demo's server is waited for as long as it lives, and no longer."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tribrid.demo import server
from tribrid.errors import Failed

SLOW = """
import sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer
class Ready(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_):
        pass
time.sleep(1)
HTTPServer(("127.0.0.1", int(sys.argv[1])), Ready).serve_forever()
"""


def started(program: str, tmp_path: Path) -> tuple[server.Server, subprocess.Popen[bytes]]:
    with socket.create_server((server.HOST, 0)) as free:
        port: int = free.getsockname()[1]
    log = tmp_path / "server.log"
    log.write_text("last words\n")
    process = subprocess.Popen([sys.executable, "-c", program, str(port)])
    return server.Server(process, port, log, None), process


def test_a_slow_start_is_waited_for_and_said_to_be_slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "LONG_S", 0.1)
    slow, process = started(SLOW, tmp_path)
    told: list[str] = []
    try:
        server._await(slow, told.append)
    finally:
        process.kill()
        process.wait()
    assert told[0].startswith("starting")
    assert "it lives, and writes" in told[-1]


def test_one_that_ends_is_not_waited_for(tmp_path: Path) -> None:
    dead, process = started("raise SystemExit(3)", tmp_path)
    with pytest.raises(Failed, match=r"ended with code 3.*last words"):
        server._await(dead, lambda _what: None)
    process.wait()
