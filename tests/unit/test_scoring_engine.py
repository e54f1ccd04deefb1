"""Many requests on few threads: what runs together, what waits, what is refused, and what is dropped."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from tribrid.encoders.budget import Budget
from tribrid.encoders.engine import LIKE, Engine, Lane, Runtime
from tribrid.encoders.onnx import FloatArray
from tribrid.encoders.score_cache import ScoreCache, score_key
from tribrid.errors import Cancelled, Overloaded, ScorerFailed
from waiting import until

DEADLINE_S = 30


class Model:
    """Scores a number by itself; waits before it does whenever its gate is closed."""

    def __init__(self, batch_tokens: int = 100) -> None:
        self.batches: list[list[Any]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.lane = Lane(self.run, batch_tokens)

    def run(self, rows: Sequence[Any]) -> FloatArray:
        self.batches.append(list(rows))
        assert self.gate.wait(DEADLINE_S)
        if "broken" in rows:
            raise ScorerFailed("a broken row")
        if "bug" in rows:
            raise ZeroDivisionError("a bug")
        return np.array(rows, np.float32)


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = Engine(threads=1, most_waiting=10)
    yield made
    made.close()


@pytest.fixture
def clients() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


def occupy(engine: Engine, model: Model, clients: ThreadPoolExecutor) -> Future[FloatArray]:
    """Have the engine's only thread wait at the gate, with one row."""
    model.gate.clear()
    first = clients.submit(engine.score, model.lane, [0], [1], Budget())
    until(lambda: len(model.batches) == 1)
    return first


def test_scores_come_back_in_the_order_given_whatever_ran_first() -> None:
    model, engine = Model(), Engine(threads=3, most_waiting=1000)
    lengths = np.random.default_rng(0).integers(1, 120, 200).tolist()
    np.testing.assert_array_equal(engine.score(model.lane, range(200), lengths, Budget()), np.arange(200))
    for batch in model.batches:
        taken = [lengths[row] for row in batch]
        assert len(batch) == 1 or max(taken) * len(batch) <= 100
        assert min(taken) >= LIKE * max(taken)
    engine.close()


def test_what_arrives_while_a_batch_runs_shares_the_next(engine: Engine, clients: ThreadPoolExecutor) -> None:
    model = Model()
    first = occupy(engine, model, clients)
    waiting = [clients.submit(engine.score, model.lane, [row], [10], Budget()) for row in (1, 2, 3)]
    until(lambda: engine.view()["waiting_pairs"] == 3)
    model.gate.set()
    assert [float(done.result(DEADLINE_S)[0]) for done in [first, *waiting]] == [0, 1, 2, 3]
    assert [sorted(batch) for batch in model.batches] == [[0], [1, 2, 3]]
    assert engine.view()["merged_batches"] == 1


def test_models_do_not_share_a_batch(engine: Engine, clients: ThreadPoolExecutor) -> None:
    one, other = Model(), Model()
    first = occupy(engine, one, clients)
    waiting = [clients.submit(engine.score, model.lane, [7], [10], Budget()) for model in (one, other)]
    until(lambda: engine.view()["waiting_pairs"] == 2)
    one.gate.set()
    for done in [first, *waiting]:
        done.result(DEADLINE_S)
    assert (one.batches, other.batches) == ([[0], [7]], [[7]])


def test_a_small_request_does_not_wait_for_a_large_one_before_it(engine: Engine, clients: ThreadPoolExecutor) -> None:
    model = Model(batch_tokens=1)
    occupy(engine, model, clients)
    large = clients.submit(engine.score, model.lane, list(range(1, 9)), [1_000_000] * 8, Budget())
    until(lambda: engine.view()["waiting_pairs"] == 8)
    small = clients.submit(engine.score, model.lane, [99], [1], Budget())
    until(lambda: engine.view()["waiting_pairs"] == 9)
    model.gate.set()
    assert small.result(DEADLINE_S).tolist() == [99]
    assert large.result(DEADLINE_S).tolist() == list(range(1, 9))
    assert model.batches[1] == [99]


def test_a_full_queue_refuses_and_says_when_to_come_again(engine: Engine, clients: ThreadPoolExecutor) -> None:
    model = Model()
    occupy(engine, model, clients)
    waiting = clients.submit(engine.score, model.lane, list(range(8)), [10] * 8, Budget())
    until(lambda: engine.view()["waiting_pairs"] == 8)
    with pytest.raises(Overloaded, match="8 pairs") as caught:
        engine.score(model.lane, [1, 2, 3], [10] * 3, Budget())
    assert caught.value.facts["retry_after_s"] >= 1
    model.gate.set()
    assert len(waiting.result(DEADLINE_S)) == 8
    assert len(engine.score(model.lane, list(range(50)), [10] * 50, Budget())) == 50  # alone, any length is taken


def test_when_time_is_over_the_best_candidates_are_those_that_were_read(
    engine: Engine, clients: ThreadPoolExecutor
) -> None:
    model = Model(batch_tokens=10)
    occupy(engine, model, clients)
    scores = engine.score(model.lane, list(range(1, 7)), [10] * 6, Budget(timeout_ms=10))
    assert np.isnan(scores).all()
    assert engine.view()["waiting_pairs"] == 0
    model.gate.set()
    begun = [row for batch in model.batches[1:] for row in batch]
    assert begun == sorted(begun)


def test_limited_time_is_given_to_the_first_candidates_first(engine: Engine) -> None:
    model = Model(batch_tokens=10)
    lengths = [5, 3, 9, 1, 8, 2, 7, 10, 4]
    found = engine.score(model.lane, list(range(9)), lengths, Budget(timeout_ms=600_000))
    np.testing.assert_array_equal(found, np.arange(9))
    order = [row for batch in model.batches for row in batch]
    # Within a wave the longest is first; no wave begins before the one of better candidates is begun.
    assert sorted(order[:5]) + sorted(order[5:]) == list(range(9))


def test_work_that_nobody_waits_for_is_not_begun(engine: Engine, clients: ThreadPoolExecutor) -> None:
    model, budget = Model(), Budget()
    first = occupy(engine, model, clients)
    left = clients.submit(engine.score, model.lane, [1, 2, 3], [10] * 3, budget)
    until(lambda: engine.view()["waiting_pairs"] == 3)
    budget.leave()
    with pytest.raises(Cancelled):
        left.result(DEADLINE_S)
    model.gate.set()
    first.result(DEADLINE_S)
    assert engine.score(model.lane, [4], [1], Budget()).tolist() == [4]
    assert model.batches == [[0], [4]]
    assert engine.view()["dropped_pairs"] == 3


def test_a_request_does_not_fail_with_anothers(engine: Engine, clients: ThreadPoolExecutor) -> None:
    model = Model()
    occupy(engine, model, clients)
    waiting = [clients.submit(engine.score, model.lane, [row], [10], Budget()) for row in (1, "broken")]
    until(lambda: engine.view()["waiting_pairs"] == 2)
    model.gate.set()
    assert waiting[0].result(DEADLINE_S).tolist() == [1]
    with pytest.raises(ScorerFailed, match="broken row"):
        waiting[1].result(DEADLINE_S)


def test_a_bug_in_a_model_is_told_to_who_waits_and_stops_nothing(engine: Engine) -> None:
    model = Model()
    with pytest.raises(ScorerFailed, match="ZeroDivisionError"):
        engine.score(model.lane, ["bug"], [1], Budget())
    assert engine.score(model.lane, [5], [1], Budget()).tolist() == [5]


def test_what_is_known_is_not_scored_again(engine: Engine) -> None:
    model, runtime = Model(), Runtime(engine, ScoreCache(100))

    def ask(rows: list[int], budget: Budget | None) -> list[float]:
        keys = [score_key("model", str(row)) for row in rows]

        def read(places: Sequence[int]) -> tuple[list[int], list[int]]:
            return [rows[i] for i in places], [1] * len(places)

        return [float(score) for score in runtime.score(model.lane, lambda: keys, read, len(rows), budget)]

    assert ask([1, 2, 3], Budget()) == [1, 2, 3]
    assert ask([3, 4, 1], Budget()) == [3, 4, 1]
    assert sorted(row for batch in model.batches for row in batch) == [1, 2, 3, 4]
    assert ask([3], None) == [3]  # who measures, measures
    assert model.batches[-1] == [3]


def test_the_cache_is_bounded_and_keeps_what_is_used() -> None:
    cache = ScoreCache(2)
    a, b, c = (score_key("m", "q", name) for name in "abc")
    cache.keep([a, b], np.array([1, 2], np.float32))
    assert cache.find([a]).tolist() == [1]
    cache.keep([c], np.array([3], np.float32))
    found = cache.find([a, b, c])
    assert np.isnan(found).tolist() == [False, True, False]
    cache.keep([b], np.array([np.nan], np.float32))
    assert cache.view() == {"scores": 2, "most": 2, "hits": 3, "misses": 1}


def test_keys_tell_apart_where_one_part_ends() -> None:
    assert len({score_key("ab", "c"), score_key("a", "bc"), score_key("abc"), score_key("abc", "")}) == 4


@pytest.mark.parametrize("gives", [np.zeros(1), np.zeros((2, 2)), np.zeros((2, 1)), ["a", "b"]])
def test_a_model_that_gives_something_else_stops_nothing(engine: Engine, gives: Any) -> None:
    with pytest.raises(ScorerFailed):
        engine.score(Lane(lambda _: gives, 100), [1, 2], [1, 1], Budget())
    assert engine.score(Model().lane, [5], [1], Budget()).tolist() == [5]


def test_the_largest_request_keeps_no_small_one_out(engine: Engine, clients: ThreadPoolExecutor) -> None:
    model = Model()
    occupy(engine, model, clients)
    large = clients.submit(engine.score, model.lane, list(range(50)), [1_000_000] * 50, Budget())
    until(lambda: engine.view()["waiting_pairs"] == 50)
    small = clients.submit(engine.score, model.lane, list(range(10)), [1] * 10, Budget())
    until(lambda: engine.view()["waiting_pairs"] == 60)
    with pytest.raises(Overloaded, match="10 pairs"):
        engine.score(model.lane, [1], [1], Budget())
    model.gate.set()
    assert small.result(DEADLINE_S).tolist() == list(range(10))
    assert large.result(DEADLINE_S).tolist() == list(range(50))
