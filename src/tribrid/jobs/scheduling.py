"""Queues the evaluations that are due by evaluation.schedule: the worker looks every ten seconds.

What came due while no worker ran is made up for once, however often it was. A corpus without an eval dataset has
nothing to be measured on and is passed over.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping

from tribrid.answers.answer import time_at
from tribrid.config import Environment, resolve
from tribrid.config.cron import last_due
from tribrid.errors import CorpusNotFound, TribridError
from tribrid.jobs.story import QUEUED
from tribrid.store import Store
from tribrid.store.database import now_us

LOOK_S = 10.0
"""A look reads the settings of every corpus, and what is due is due by the minute."""
RETRY_S = 60.0
SERVED: Mapping[str, object] = {"served": True}
"""Parameters of the job: what serves is measured, and nothing is promoted."""

log = logging.getLogger(__name__)


def scheduled(store: Store, environment: Environment) -> dict[str, str]:
    """The cron expression of each corpus that has one and can be measured.

    Raises:
        Unavailable: the store cannot be reached.
    """
    everywhere, found = store.settings.get(""), {}
    for corpus in store.corpora.list():
        own = store.settings.get(corpus.corpus_id)
        layers = (own, everywhere, environment.overrides)
        if not any("schedule" in layer.get("evaluation", {}) for layer in layers):
            continue  # of most corpora, and to check all settings takes longer
        config = resolve(environment=environment.overrides, stored=everywhere, corpus=own)[0]
        if config.evaluation.schedule is not None and store.evalsets.versions(corpus.corpus_id):
            found[corpus.corpus_id] = config.evaluation.schedule
    return found


def queue_due(store: Store, environment: Environment, at_us: int) -> list[str]:
    """Queue what is due by now; the job_ids.

    Raises:
        Unavailable: the store cannot be reached.
    """
    wanted, queued = scheduled(store, environment), []
    known = {row.corpus_id: row for row in store.schedules.list()}
    for corpus_id, expression in wanted.items():
        due_us = round(last_due(expression, time_at(at_us)).timestamp() * 1e6)
        row = known.get(corpus_id)
        if row is not None and row.expression == expression and due_us <= row.seen_us:
            continue  # most looks find nothing, and on SQLite whoever may write keeps others waiting
        try:
            job_id = store.schedules.take(corpus_id, expression, due_us, at_us, SERVED, QUEUED)
        except CorpusNotFound:  # deleted meanwhile
            continue
        if job_id is not None:
            log.info("%s: evaluation %s is queued, by evaluation.schedule", corpus_id, job_id)
            queued.append(job_id)
    return queued


class Scheduler:
    """The worker's: `tick` looks when it is time to."""

    def __init__(self, store: Store, environment: Environment, clock: Callable[[], int] = now_us) -> None:
        """Take the store, and what says the time, microseconds since 1970."""
        self._store, self._environment, self._clock = store, environment, clock
        self._look_at = time.monotonic()

    def tick(self) -> None:
        """Does nothing until the next look. What fails is tried again: nothing is taken then, so nothing is lost."""
        if time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + LOOK_S
        try:
            queue_due(self._store, self._environment, self._clock())
        except TribridError as error:
            self._look_at = time.monotonic() + RETRY_S
            log.warning("What is scheduled cannot be looked up (%s); next look in %.0f s.", error.code, RETRY_S)
