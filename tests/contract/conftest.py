"""The store on a real SQLite file and on a real PostgreSQL: a throwaway server of our own, on a Unix socket."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

import bucket
from tribrid.app import Tribrid
from tribrid.config import read_environment
from tribrid.store import Store

_STARTUP_S = 30


def _postgres_binaries() -> Path | None:
    """The folder of initdb and postgres: on the PATH, or where Debian puts it."""
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    return max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)


def _as_postgres() -> list[str]:
    """PostgreSQL refuses to run as root. The server also dies with us, however we die."""
    if shutil.which("setpriv") is None:
        return []
    user = ["--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.getuid() == 0 else []
    return ["setpriv", *user, "--pdeathsig=INT"]


def _wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _STARTUP_S
    while True:
        try:
            psycopg.connect(url).close()
            return
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


@pytest.fixture(scope="session")
def postgres_socket() -> Iterator[Path]:
    """The folder with the socket of a running PostgreSQL, user postgres."""
    binaries = _postgres_binaries()
    if binaries is None:
        if os.environ.get("TRIBRID_TEST_STRICT"):
            pytest.fail("no PostgreSQL binaries on this machine")
        pytest.skip("no PostgreSQL binaries on this machine")
    # Not pytest's tmp_path: its folders are closed to other users, and its names too long for a socket.
    folder = Path(tempfile.mkdtemp(prefix="tribrid-pg-"))
    if os.getuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    data = folder / "data"
    cluster = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
    initdb = [*_as_postgres(), str(binaries / "initdb"), f"--pgdata={data}", *cluster]
    subprocess.run(initdb, check=True, capture_output=True, cwd=folder)
    options = ["--listen_addresses=", f"--unix_socket_directories={folder}", "--fsync=off", "--full_page_writes=off"]
    log = (folder / "log").open("wb")
    server = subprocess.Popen(
        [*_as_postgres(), str(binaries / "postgres"), "-D", str(data), *options], cwd=folder, stdout=log, stderr=log
    )
    try:
        _wait_for(f"host={folder} user=postgres dbname=postgres", server)
        yield folder
    finally:
        server.send_signal(signal.SIGQUIT)  # at once: nothing of it needs to reach the disk
        server.wait(timeout=_STARTUP_S)
        log.close()
        shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A new, empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'test.db'}"
    socket = request.getfixturevalue("postgres_socket")
    # One database for all tests, emptied: a new one is 300 files, and deleting those takes longer than the tests.
    with psycopg.connect(f"host={socket} user=postgres dbname=postgres", autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    return f"postgresql://postgres@/postgres?host={socket}"


@pytest.fixture
def store(database_url: str, tmp_path: Path) -> Iterator[Store]:
    """An empty store with one corpus, "c"."""
    opened = Store.open(tmp_path / "data", database_url)
    opened.corpora.create("c", "Corpus")
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def _bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[bucket.Bucket]:
    with bucket.running(tmp_path_factory.mktemp("bucket")) as found:
        yield found


@pytest.fixture
def object_store(_bucket: bucket.Bucket, monkeypatch: pytest.MonkeyPatch) -> bucket.Bucket:
    """A real S3 server, empty, and the variables by which it is reached."""
    for name, value in _bucket.environment.items():
        monkeypatch.setenv(name, value)
    shutil.rmtree(_bucket.path(""), ignore_errors=True)
    return _bucket


Machine = Callable[..., Tribrid]


@pytest.fixture
def machine(database_url: str, object_store: bucket.Bucket, tmp_path: Path) -> Iterator[Machine]:
    """Makes a machine by its name: a data folder of its own, on the database and the object store of all."""
    opened: list[Tribrid] = []

    def make(name: str, **changed: Any) -> Tribrid:
        shared = {"data_dir": tmp_path / name, "database_url": database_url, "storage_url": object_store.url}
        opened.append(Tribrid(environment=read_environment().model_copy(update=shared | changed)))
        return opened[-1]

    yield make
    for one in opened:
        one.close()
