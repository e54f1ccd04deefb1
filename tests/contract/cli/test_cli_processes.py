"""The command line as a process: pipes, Ctrl-C, serving, and the demo's own conditions."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest

from cli_calls import Cli, start
from tribrid.errors import MissingExtra
from waiting import until


def test_nobody_reading_is_no_error(data_dir: Path, corpus: str) -> None:
    command = f"{sys.executable} -m tribrid.cli --data-dir {data_dir} config | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split() == ["141"]
    assert done.stderr.strip() == ""


def _at_a_terminal(data_dir: Path, *words: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Started in a process group of its own, and to hear SIGINT: where tests run in the background, it is ignored from
    the start, which a child takes over.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return start(data_dir, *words, env=env, start_new_session=True)
    finally:
        signal.signal(signal.SIGINT, before or signal.SIG_DFL)


@pytest.mark.slow
def test_ctrl_c_leaves_the_job_and_says_how_to_find_it(data_dir: Path, tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "long.txt").write_text("A text that is long enough to be asked about. " * 20)
    assert cli("index", "talk", str(tmp_path / "long.txt")).code == 0
    with socket.create_server(("127.0.0.1", 0)) as silent:  # a generator that never answers: the job cannot end first
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        generator = {"TRIBRID_GENERATION__BASE_URL": address, "TRIBRID_GENERATION__MODEL": "silent"}
        mining = _at_a_terminal(data_dir, "mine", "talk", env={**os.environ, **generator})
        silent.settimeout(60)
        asked, _ = silent.accept()
        with asked:
            os.killpg(mining.pid, signal.SIGINT)
            _, err = mining.communicate(timeout=30)
    assert mining.returncode == 130
    told = err.decode()
    assert "Traceback" not in told
    assert "no server runs, so the job stops too" in told
    found = re.search(r"runs (\w+) --follow", told)
    assert found, told
    assert cli("runs", found[1], "--json").document["interrupted"]
    assert "interrupted: goes on when a server runs" in cli("runs", found[1]).out
    assert cli("runs", found[1], "--cancel", "--json").document["state"] == "cancelled"


def test_a_folder_and_a_folder_in_it_at_once_lose_nothing(data_dir: Path, tmp_path: Path, cli: Cli) -> None:
    for name in ("bees", "bike"):
        (tmp_path / name).mkdir()
        for number in range(15):
            (tmp_path / name / f"{number}.md").write_text(f"About {name}, part {number}.")
    both = [start(data_dir, "index", "twice", str(folder)) for folder in (tmp_path, tmp_path / "bees")]
    for process in both:
        _, err = process.communicate(timeout=100)
        assert process.returncode == 0, err.decode()
    found = cli("corpora", "twice", "--json").document
    assert (found["documents"], found["passages"]) == (30, 30)


def test_a_folder_is_watched_until_ctrl_c(data_dir: Path, tmp_path: Path, cli: Cli) -> None:
    folder = tmp_path / "watched"
    folder.mkdir()
    (folder / "a.md").write_text("Soup by night.")
    watching = _at_a_terminal(data_dir, "index", "watched", str(folder), "--watch")
    try:
        until(lambda: cli("corpora", "watched").code == 0)
        until(lambda: documents_of(cli, "watched") == 1)
        (folder / "b.md").write_text("Soup by day.")
        until(lambda: documents_of(cli, "watched") == 2)
        folder.rename(tmp_path / "away")  # a round fails, and nothing is deleted
        assert watching.stderr is not None
        told = b""
        while b"cannot be read" not in told:
            told += os.read(watching.stderr.fileno(), 4096)
        assert documents_of(cli, "watched") == 2
        (tmp_path / "away" / "c.md").write_text("No soup.")
        (tmp_path / "away").rename(folder)
        until(lambda: documents_of(cli, "watched") == 3)
        (folder / "c.md").unlink()
        until(lambda: documents_of(cli, "watched") == 2)
        os.killpg(watching.pid, signal.SIGINT)
        _, err = watching.communicate(timeout=60)
    finally:
        watching.kill()
    assert watching.returncode in (0, 130)  # 130: the last round was just ending
    assert "Traceback" not in err.decode()
    assert cli("index", "watched", "-", "--watch").code == 2
    assert cli("index", "watched", str(folder), "--watch", "--dry-run").code == 2


def documents_of(cli: Cli, corpus_id: str) -> int:
    return int(cli("corpora", corpus_id, "--json").document["documents"])


@pytest.fixture
def server(data_dir: Path, corpus: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    port = 18_000 + os.getpid() % 1000
    serving = start(data_dir, "serve", "--port", str(port), start_new_session=True)
    deadline = time.monotonic() + 60
    while True:
        try:
            httpx.get(f"http://127.0.0.1:{port}/health").raise_for_status()
            break
        except httpx.TransportError:
            assert serving.poll() is None, serving.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.2)
    yield serving, port
    if serving.poll() is None:
        serving.kill()
    serving.communicate()


def test_it_serves_until_ctrl_c(server: tuple[subprocess.Popen[bytes], int], corpus: str, cli: Cli) -> None:
    serving, port = server
    body = {"corpus_id": corpus, "query": "open the proxy"}
    found = httpx.post(f"http://127.0.0.1:{port}/search", json=body, timeout=30).json()
    assert found["results"][0]["doc_id"] == "notes/proxy.md"
    taken = cli("serve", "--port", str(port), "--json")
    assert taken.code == 5
    assert str(port) in taken.document["detail"]
    serving.send_signal(signal.SIGINT)
    _, err = serving.communicate(timeout=30)
    assert serving.returncode == 0  # it was asked to stop, and did
    assert b"Traceback" not in err


# ------------------------------------------------------------------------------------------------ the demo


@pytest.mark.parametrize(
    ("variable", "value"),
    [("TRIBRID_DATABASE_URL", "sqlite:////tmp/other.db"), ("TRIBRID_STORAGE_URL", "s3://other/bucket")],
)
def test_the_demo_touches_nothing_elsewhere(
    variable: str, value: str, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    done = cli("demo", "--json")
    assert done.code == 2
    assert variable in done.document["detail"]


def test_the_demo_says_what_to_install(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "sys.modules['torch'] = None\n"
        "from tribrid.cli import main\n"
        f"main(['--data-dir', {str(tmp_path)!r}, 'demo', '--json'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path
    )
    assert done.returncode == MissingExtra.exit_code
    assert json.loads(done.stdout)["code"] == "missing_extra"
    assert "pip install '.[train]'" in done.stderr
