"""`tribrid demo` on a small part of the standard library: killed in mid-work, taken up again, shown again."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tribrid.answers.report import QueryRow, TopDoc
from tribrid.demo.examples import choose, relevant_rank
from tribrid.demo.memory import recall
from waiting import until

SMALL = """
import sys
from tribrid.demo import collection, loop
collection.DOCUMENTS, collection.EVAL_QUERIES, collection.TRAINING_QUERIES = 400, 40, 100
loop.TRAIN = {**loop.TRAIN, "epochs": 1, "cross_encoder": False}
from tribrid.cli import main
main(["--json", "demo", *sys.argv[1:]])
"""
RUN_S = 600


def start(folder: Path, *words: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", SMALL, *words]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finish(demo: subprocess.Popen[bytes]) -> dict[str, object]:
    out, err = demo.communicate(timeout=RUN_S)
    assert demo.returncode == 0, err.decode()
    shown: dict[str, object] = json.loads(out)
    return shown


@contextmanager
def taken(port: int) -> Iterator[None]:
    """Somebody listens on the port: we, unless it is somebody else already."""
    listener = socket.socket()
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen()
    except OSError:
        pass
    yield
    listener.close()


def living(folder: Path) -> list[str]:
    """Processes whose command line names the folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if any(word.startswith(os.fsencode(folder)) for word in words):
            found.append(b" ".join(words).decode())
    return found


@pytest.mark.slow
@pytest.mark.timeout(3 * RUN_S)
@pytest.mark.heavy
def test_the_demo_ends_although_it_was_killed_and_is_shown_again(tmp_path: Path) -> None:
    folder = tmp_path / ".tribrid-demo"
    killed = start(tmp_path)
    deadline = time.monotonic() + RUN_S
    while not ((memory := recall(folder)) and memory.mine_job):
        assert killed.poll() is None, killed.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    until(lambda: not living(folder))

    with taken(8000):
        shown = finish(start(tmp_path))
    report = shown["report"]
    assert isinstance(report, dict)
    assert report["eval_dataset"]["queries"] == 40
    assert report["before"] is not None
    assert report["after"] is not None
    after = recall(folder)
    assert after is not None
    assert after.mine_job == memory.mine_job, "the mining that was under way is not done twice"
    page = (tmp_path / "tribrid-demo-report.html").read_text(encoding="utf-8")
    assert report["verdict"]["decision"] in page
    assert not living(folder)

    again = finish(start(tmp_path))
    assert again["report"] == report
    assert recall(folder) == after, "nothing is done again: no job is new, and no stage took a second more"


@pytest.mark.slow
@pytest.mark.timeout(3 * RUN_S)
def test_the_demo_leaves_a_corpus_of_its_name_alone(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("my own notes")
    data = ["--data-dir", str(tmp_path / "data")]
    index = [sys.executable, "-m", "tribrid.cli", *data, "index", "tribrid", str(tmp_path / "a.md")]
    subprocess.run(index, check=True, capture_output=True, timeout=RUN_S)
    demo = start(tmp_path, *data)
    out, _ = demo.communicate(timeout=RUN_S)
    assert demo.returncode == 4
    assert json.loads(out)["code"] == "conflict"


def row(query_id: str, delta: float | None) -> QueryRow:
    return QueryRow(query_id=query_id, text=query_id, delta_primary=delta)


def test_the_biggest_win_and_a_typical_loss_are_shown() -> None:
    rows = [row("a", 0.1), row("b", 0.9), row("c", 0.0), row("d", -0.1), row("e", -0.3), row("f", -0.9)]
    assert [example.row.query_id for example in choose(rows)] == ["b", "e"]


def test_without_a_loss_the_second_win_is_shown() -> None:
    assert [example.row.query_id for example in choose([row("a", 0.1), row("b", 0.9)])] == ["b", "a"]


def test_without_a_change_nothing_is_shown() -> None:
    assert choose([row("a", 0.0), row("b", None)]) == []


def test_the_first_relevant_document_counts() -> None:
    ranking = [TopDoc(rank=rank, doc_id="d", score=1.0, grade=grade) for rank, grade in ((1, None), (2, 0), (3, 2))]
    assert relevant_rank(ranking) == 3
    assert relevant_rank(ranking[:2]) is None
