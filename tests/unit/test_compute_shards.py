"""Work in shards on processes: the same as in a loop, in order, and once, whoever dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sharded import Square
from tribrid.compute.shards import Shards, processes, ray_cluster
from tribrid.errors import Failed, MissingExtra, NoDocuments, TribridError, Unavailable

pytestmark = pytest.mark.slow
TESTS = Path(__file__).parents[1]


def environ() -> dict[str, str]:
    """Of a process that finds the tests."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


@pytest.fixture
def two() -> Shards:
    return processes(2, 1, environ())


def test_the_same_as_in_a_loop_and_in_order(two: Shards, tmp_path: Path) -> None:
    work = Square(tmp_path)
    assert list(two.map(work, range(20))) == [number**2 for number in range(20)]
    assert work.begun() == list(range(20))
    assert str(os.getpid()) not in work.who()
    assert len(work.who()) == 2


def test_nothing_to_do_starts_nobody(two: Shards, tmp_path: Path) -> None:
    work = Square(tmp_path)
    assert list(two.map(work, [])) == []
    assert list(two.map(work, [3])) == [9]
    assert len(work.who()) == 1


def test_a_process_that_dies_costs_what_it_had_in_hand(two: Shards, tmp_path: Path) -> None:
    work = Square(tmp_path, dies_at=5)
    assert list(two.map(work, range(12))) == [number**2 for number in range(12)]
    assert work.begun() == sorted([*range(12), 5])


def test_work_that_ends_every_process_is_given_up(two: Shards, tmp_path: Path) -> None:
    work = Square(tmp_path, dies_at=1, always=True)
    with pytest.raises(Failed, match="SIGKILL") as raised:
        list(two.map(work, range(4)))
    assert type(raised.value) is Failed
    assert work.begun().count(1) == 3


def test_an_error_is_raised_here_as_it_was_there(two: Shards, tmp_path: Path) -> None:
    done = two.map(Square(tmp_path, refuses=3), range(8))
    with pytest.raises(NoDocuments, match=r"There is no 3\.") as raised:
        list(done)
    assert raised.value.facts == {"number": 3}


def test_an_error_that_nobody_foresaw_is_named(two: Shards, tmp_path: Path) -> None:
    with pytest.raises(TribridError, match="ZeroDivisionError: by a number"):
        list(two.map(Square(tmp_path, breaks=2), range(8)))


def test_shards_are_asked_for_as_they_are_needed(two: Shards, tmp_path: Path) -> None:
    asked = []

    def numbers() -> Iterator[int]:
        for number in range(1000):
            asked.append(number)
            yield number

    done = two.map(Square(tmp_path), numbers())
    assert [next(done) for _ in range(3)] == [0, 1, 4]
    assert len(asked) < 20
    done.close()  # type: ignore[attr-defined]


def test_whoever_stops_early_leaves_no_process(two: Shards, tmp_path: Path) -> None:
    work = Square(tmp_path)
    done = two.map(work, range(1000))
    next(done)
    done.close()  # type: ignore[attr-defined]
    for pid in map(int, work.who()):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_no_process_outlives_who_asked(tmp_path: Path) -> None:
    script = (
        "import os, pathlib, sharded\n"
        "from tribrid.compute.shards import processes\n"
        f"work = sharded.Square(pathlib.Path({str(tmp_path)!r}), seconds=60)\n"
        "list(processes(2, 1, dict(os.environ)).map(work, range(10)))\n"
    )
    work = Square(tmp_path)
    asker = subprocess.Popen([sys.executable, "-c", script], env=environ())
    deadline = time.monotonic() + 60
    while len(work.who()) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    asker.send_signal(signal.SIGKILL)
    asker.wait()
    assert len(work.who()) == 2
    while any(Path(f"/proc/{pid}").exists() for pid in work.who()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [pid for pid in work.who() if Path(f"/proc/{pid}").exists()]


def test_a_cluster_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises((Unavailable, MissingExtra)) as raised:
        list(ray_cluster("127.0.0.1:9", environ()).map(Square(tmp_path), range(3)))
    assert "compute.ray_address" in raised.value.detail
