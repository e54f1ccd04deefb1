"""The worker keeps the log no longer than the setting says."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tribrid.answers.logs import PrunedLogs
from tribrid.app import Tribrid
from tribrid.jobs.pruning import Pruner
from tribrid.store.database import now_us
from tribrid.store.retention import BATCH_ROWS
from tribrid.types import Impression

DAY_US = 24 * 3600 * 1_000_000


@pytest.fixture
def tribrid(tmp_path: Path) -> Iterator[Tribrid]:
    """A corpus with a log of many old searches and one young one; 7 days are kept."""
    with Tribrid(tmp_path) as opened:
        opened.create_corpus("a")
        ages = [10] * (BATCH_ROWS + 5) + [1]
        opened.store.logs.add_impressions(
            [
                Impression(str(n), "a", "q", (), "retrieval", False, None, 1.0, now_us() - days * DAY_US)
                for n, days in enumerate(ages)
            ]
        )
        opened.patch_settings({"logs": {"retention_days": 7}})
        yield opened


def left(tribrid: Tribrid) -> int:
    return int(tribrid.corpus("a").logs.stats().impressions)


def test_one_batch_a_tick_and_then_nothing_for_a_day(tribrid: Tribrid) -> None:
    pruner = Pruner(tribrid.store, tribrid.environment)
    seen = []
    for _ in range(4):
        pruner.tick()
        seen.append(left(tribrid))
    assert seen == [6, 1, 1, 1]
    tribrid.patch_settings({"logs": {"retention_days": None}})
    pruner.tick()
    assert left(tribrid) == 1


@pytest.mark.slow
def test_the_worker_does_it_when_it_starts(tribrid: Tribrid) -> None:
    tribrid.supervisor.ensure_worker()
    deadline = time.monotonic() + 90
    while left(tribrid) > 1:
        assert time.monotonic() < deadline, tribrid.supervisor.health().detail
        time.sleep(0.1)


def test_a_setting_of_one_corpus_is_its_own(tribrid: Tribrid) -> None:
    tribrid.create_corpus("b")
    tribrid.corpus("a").patch_settings({"logs": {"retention_days": 36_500}})
    assert tribrid.prune_logs() == PrunedLogs(deleted=0, corpora={"a": 0, "b": 0})
