"""Many callers share a few threads: each gets its turn, and a single piece of work waits for nobody."""

from __future__ import annotations

import threading

import pytest

from tribrid.encoders.turns import Turns


def quiet() -> None:
    """Nobody is gone."""


def test_results_come_in_order() -> None:
    assert list(Turns(2).map(lambda piece: piece * 2, range(50), quiet)) == list(range(0, 100, 2))
    assert list(Turns(2).map(lambda piece: piece, [], quiet)) == []


def test_a_single_piece_is_done_on_the_thread_that_asks_though_all_others_are_busy() -> None:
    turns, busy, done = Turns(1), threading.Event(), threading.Event()

    def hold(piece: int) -> int:
        busy.set()
        assert done.wait(20)
        return piece

    other = threading.Thread(target=lambda: list(turns.map(hold, range(3), quiet)))
    other.start()
    assert busy.wait(20)
    assert list(turns.map(lambda _: threading.current_thread(), [0], quiet)) == [threading.current_thread()]
    done.set()
    other.join(20)


def test_who_brings_little_does_not_wait_for_who_brings_much() -> None:
    turns, begun, order = Turns(1), threading.Event(), []
    go = threading.Event()

    def work(name: str) -> None:
        begun.set()
        assert go.wait(20)
        order.append(name)

    def bring(name: str, pieces: int) -> None:
        for _ in turns.map(work, [name] * pieces, quiet):
            pass

    much = threading.Thread(target=bring, args=("much", 100))
    much.start()
    assert begun.wait(20)
    little = threading.Thread(target=bring, args=("little", 4))
    little.start()
    while turns._pool._work_queue.qsize() < 3:  # one of much waits beside that which runs, and two of little
        pass
    go.set()
    little.join(20)
    much.join(20)
    assert max(at for at, name in enumerate(order) if name == "little") < 20


def test_who_is_gone_begins_nothing_more() -> None:
    done: list[int] = []

    def check() -> None:
        if len(done) >= 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        list(Turns(1).map(done.append, range(1000), check))
    assert len(done) < 10


def test_a_failure_is_the_callers_own() -> None:
    turns = Turns(2)
    with pytest.raises(ZeroDivisionError):
        list(turns.map(lambda piece: 1 // piece, [1, 1, 0, 1, 1], quiet))
    assert list(turns.map(lambda piece: 1 // piece, [1, 1, 1], quiet)) == [1, 1, 1]
