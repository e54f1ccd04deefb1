"""A job's story, one stored event after another: a reader that comes late or again misses nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import sqlalchemy as sa

from tribrid.errors import Conflict, JobNotFound
from tribrid.store import tables
from tribrid.store.database import Database, now_us
from tribrid.types import Event, EventType

_EVENT = tables.events.c
_JOB = tables.jobs.c

Told = Iterable[tuple[EventType, Mapping[str, object]]]
"""Events to store, in this order."""


def append_events(connection: sa.Connection, job_id: str, events: Told, holder: str | None = None) -> int:
    """Store the next events within the caller's transaction; the seq of the last.

    Raises:
        JobNotFound: there is no such job.
        Conflict: the job is not in these hands any more.
    """
    # The job's row counts. Its lock orders the writers, and a transaction that fails gives the number back; a
    # sequence would leave gaps, and max(seq) + 1 would let two writers take one number.
    these = [_JOB.job_id == job_id, *([] if holder is None else [_JOB.worker == holder])]
    count = sa.update(tables.jobs).where(*these).values(last_seq=_JOB.last_seq + 1).returning(_JOB.last_seq)
    seq = 0
    for type_, data in events:
        counted = connection.execute(count).scalar_one_or_none()
        if counted is None:
            raise _missing(connection, job_id)
        seq = int(counted)
        row = {"job_id": job_id, "seq": seq, "type": type_, "at_us": now_us(), "data": data}
        connection.execute(sa.insert(tables.events).values(row))
    return seq


def no_job(job_id: str) -> JobNotFound:
    """What is said of an id that no job has."""
    return JobNotFound(f"There is no job {job_id!r}.", job_id=job_id)


def _missing(connection: sa.Connection, job_id: str) -> JobNotFound | Conflict:
    if connection.execute(sa.select(_JOB.job_id).where(_JOB.job_id == job_id)).first():
        return Conflict("Another worker has taken this job over.", job_id=job_id)
    return no_job(job_id)


class Events:
    """Events, by job and seq."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, job_id: str, type: EventType, data: Mapping[str, object], *, holder: str | None = None) -> int:
        """Store the next event; its seq, from 1 without gaps, whichever processes append.

        Args:
            holder: only if the job is still in these hands (a claim's `holder`); None for whoever speaks.

        Raises:
            JobNotFound: there is no such job.
            Conflict: the job is not in these hands any more.
            InvalidInput: the data is not JSON, or holds NaN or infinity.
        """
        with self._database.begin() as connection:
            return append_events(connection, job_id, [(type, data)], holder)

    def read(self, job_id: str, after_seq: int = 0, limit: int = 1000) -> list[Event]:
        """Up to `limit` events after that seq, in order; none for a job that does not exist."""
        these = (
            sa.select(_EVENT.seq, _EVENT.type, _EVENT.at_us, _EVENT.data)
            .where(_EVENT.job_id == job_id, _EVENT.seq > after_seq)
            .order_by(_EVENT.seq)
            .limit(limit)
        )
        with self._database.read() as connection:
            return [Event(**row._mapping) for row in connection.execute(these)]

    def told(self, job_id: str, type: EventType) -> Iterator[Mapping[str, Any]]:
        """The data of the job's events of a type, in order."""
        after_seq = 0
        while page := self.read(job_id, after_seq):
            yield from (event.data for event in page if event.type == type)
            after_seq = page[-1].seq
