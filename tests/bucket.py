"""An S3 store for tests: localbucket on loopback, in a process of its own that can be killed and stopped."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BUCKET = "bucket"
STARTUP_S = 30


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


class Bucket:
    """A running store. `environment` is what reaches it, `url` where Tribrid is to keep its objects."""

    def __init__(self, root: Path) -> None:
        self.root, self.url = root, f"s3://{BUCKET}/tribrid"
        root.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.environment = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "not secret",
            "AWS_REGION": "us-east-1",
            "AWS_DISABLE_BULK_DELETE": "true",  # the one request that localbucket does not know
        }
        self.start()

    def start(self) -> None:
        """Start it, again after `kill`, and make the bucket."""
        command = [sys.executable, "-m", "localbucket", str(self.root), "--port", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + STARTUP_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                break
            except OSError:
                assert self.process.poll() is None, "localbucket ended"
                assert time.monotonic() < deadline, "localbucket does not start"
                time.sleep(0.02)
        if not (self.root / BUCKET).exists():
            url = f"http://127.0.0.1:{self.port}/{BUCKET}"
            urllib.request.urlopen(urllib.request.Request(url, method="PUT"), timeout=STARTUP_S).close()

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait()

    def keys(self, prefix: str = "") -> set[str]:
        """The objects below the address."""
        top = self.root / BUCKET / "tribrid"
        return {path.relative_to(top).as_posix() for path in (top / prefix).rglob("*") if path.is_file()}

    def path(self, key: str) -> Path:
        """The file that holds an object."""
        return self.root / BUCKET / "tribrid" / key


@contextmanager
def running(root: Path) -> Iterator[Bucket]:
    """A store that keeps its objects in a folder."""
    bucket = Bucket(root)
    try:
        yield bucket
    finally:
        bucket.kill()
