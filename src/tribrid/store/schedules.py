"""Which corpora are evaluated by themselves, up to when that was seen to, and what the last time found.

A due time is taken and its job queued in one transaction, guarded by the time seen before: it is queued once, whatever
is killed and however many workers look.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from tribrid.answers.alerts import Watched
from tribrid.store import tables
from tribrid.store.corpora import require_corpus
from tribrid.store.database import Database, insert_into
from tribrid.store.events import Told
from tribrid.store.jobs import new_job
from tribrid.store.tables_schedules import schedules
from tribrid.types import JobKind, State

_SCHEDULE = schedules.c
_JOB = tables.jobs.c
_ACTIVE = (State.QUEUED.value, State.RUNNING.value)


@dataclass(frozen=True, slots=True)
class Schedule:
    """How a corpus's schedule stands.

    `seen_us`: every due time up to it was seen to; `watched`: what the last evaluation left, None before the first;
    `undelivered`: why its alert could not be sent; `failed`: the problem of the last job, where it failed.
    """

    corpus_id: str
    expression: str
    seen_us: int
    job_id: str | None
    watched: Watched | None
    undelivered: str | None
    failed: Mapping[str, Any] | None


class Schedules:
    """The schedules of all corpora."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(
        self,
        corpus_id: str,
        expression: str,
        due_us: int,
        now_us: int,
        params: Mapping[str, object],
        told: Told = (),
    ) -> str | None:
        """Queue an evaluation if its time has come and nobody has: the job_id; None where there is nothing to do.

        A schedule that is new, or changed, begins now: what was due before is not made up for. A time that comes while
        the last run is not over is passed over.

        Args:
            due_us: the last time at which the expression was due.
            params: of the job.
            told: what its events say first.

        Raises:
            CorpusNotFound: there is no such corpus.
        """
        with self._database.begin() as connection:
            require_corpus(connection, corpus_id)
            row = connection.execute(sa.select(schedules).where(_SCHEDULE.corpus_id == corpus_id)).first()
            if row is None or row.expression != expression:
                _begin(connection, corpus_id, expression, now_us)
                return None
            if due_us <= row.seen_us or not _seen(connection, row, due_us) or _runs(connection, row.job_id):
                return None
            job = new_job(connection, JobKind.EVALUATE, corpus_id, params, told)
            _change(connection, corpus_id, job_id=job.job_id)
            return job.job_id

    def list(self) -> list[Schedule]:
        """How each stands."""
        problem = sa.case((_JOB.state == State.FAILED.value, _JOB.problem)).label("failed")
        each = sa.select(schedules, problem).select_from(
            schedules.outerjoin(tables.jobs, _JOB.job_id == _SCHEDULE.job_id)
        )
        with self._database.read() as connection:
            rows = connection.execute(each.order_by(_SCHEDULE.corpus_id)).all()
        return [Schedule(**{**row._mapping, "watched": _watched(row)}) for row in rows]

    def watched(self, corpus_id: str) -> tuple[Watched | None, str | None]:
        """What the last evaluation left, and why its alert could not be sent."""
        one = sa.select(schedules).where(_SCHEDULE.corpus_id == corpus_id)
        with self._database.read() as connection:
            row = connection.execute(one).first()
        return (None, None) if row is None else (_watched(row), row.undelivered)

    def note(self, corpus_id: str, watched: Watched, undelivered: str | None) -> None:
        """Keep what an evaluation leaves, and why its alert could not be sent; nothing where there is no schedule."""
        with self._database.begin() as connection:
            _change(connection, corpus_id, watched=watched.model_dump(mode="json"), undelivered=undelivered)


def _begin(connection: sa.Connection, corpus_id: str, expression: str, now_us: int) -> None:
    new = insert_into(connection, schedules).values(corpus_id=corpus_id, expression=expression, seen_us=now_us)
    again = {"expression": expression, "seen_us": now_us}
    connection.execute(new.on_conflict_do_update(index_elements=["corpus_id"], set_=again))


def _seen(connection: sa.Connection, row: sa.Row[Any], due_us: int) -> bool:
    """Whether it is ours to see to: another worker may have been as fast."""
    ours = sa.update(schedules).where(
        _SCHEDULE.corpus_id == row.corpus_id,
        _SCHEDULE.expression == row.expression,
        _SCHEDULE.seen_us == row.seen_us,
    )
    return connection.execute(ours.values(seen_us=due_us)).rowcount == 1


def _runs(connection: sa.Connection, job_id: str | None) -> bool:
    active = sa.select(_JOB.job_id).where(_JOB.job_id == job_id, _JOB.state.in_(_ACTIVE))
    return connection.execute(active).first() is not None


def _change(connection: sa.Connection, corpus_id: str, **values: object) -> None:
    connection.execute(sa.update(schedules).where(_SCHEDULE.corpus_id == corpus_id).values(values))


def _watched(row: sa.Row[Any]) -> Watched | None:
    return None if row.watched is None else Watched.model_validate(row.watched)
