"""Keeps the log no longer than the setting logs.retention_days: the worker does it at its start and once a day."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

from tribrid.config import Environment, resolve
from tribrid.errors import TribridError
from tribrid.store import Store
from tribrid.store.database import now_us

INTERVAL_S = 24 * 3600.0
RETRY_S = 600.0
_DAY_US = 24 * 3600 * 1_000_000

log = logging.getLogger(__name__)


def cutoffs(store: Store, environment: Environment, days: int | None = None) -> dict[str, int]:
    """Before which time each corpus's searches go, microseconds; corpora that keep all are left out.

    Args:
        days: for every corpus, instead of the setting.

    Raises:
        Unavailable: the store cannot be reached.
    """
    everywhere, found = store.settings.get(""), {}
    for corpus in store.corpora.list():
        own = store.settings.get(corpus.corpus_id)
        config = resolve(environment=environment.overrides, stored=everywhere, corpus=own)[0]
        kept = days or config.logs.retention_days
        if kept is not None:
            found[corpus.corpus_id] = now_us() - kept * _DAY_US
    return found


def prune(store: Store, before: dict[str, int]) -> Iterator[tuple[str, int]]:
    """Delete what is older, a batch at a time; each batch's corpus and count."""
    for corpus_id, before_us in before.items():
        while gone := store.retention.prune(corpus_id, before_us):
            yield corpus_id, gone


class Pruner:
    """The worker's: `tick` does one batch when it is due, so that new jobs are not kept waiting."""

    def __init__(self, store: Store, environment: Environment) -> None:
        self._store, self._environment = store, environment
        self._due = time.monotonic()
        self._under_way: Iterator[tuple[str, int]] | None = None
        self._gone = 0

    def tick(self) -> None:
        """Does nothing until the day is over. What fails is tried again: a log kept too long is a broken promise."""
        if time.monotonic() < self._due:
            return
        try:
            if self._under_way is None:
                self._under_way = prune(self._store, cutoffs(self._store, self._environment))
            batch = next(self._under_way, None)
        except TribridError as error:
            log.warning("The log could not be pruned (%s); next try in %.0f s.", error.code, RETRY_S)
            self._under_way, self._due = None, time.monotonic() + RETRY_S
            return
        if batch is not None:
            self._gone += batch[1]
            return
        if self._gone:
            log.info("%d searches were older than logs.retention_days and are deleted.", self._gone)
        self._under_way, self._gone, self._due = None, 0, time.monotonic() + INTERVAL_S
