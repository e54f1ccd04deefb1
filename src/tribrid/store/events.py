"""A job's story, one stored event after another: a reader that comes late or again misses nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa

from tribrid.errors import JobNotFound
from tribrid.store import tables
from tribrid.store.database import Database, now_us
from tribrid.types import Event, EventType

_EVENT = tables.events.c
_JOB = tables.jobs.c


class Events:
    """Events, by job and seq."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, job_id: str, type: EventType, data: Mapping[str, Any]) -> int:
        """Store the next event; its seq, from 1 without gaps, whichever processes append.

        Raises:
            JobNotFound: there is no such job.
            InvalidInput: the data is not JSON, or holds NaN or infinity.
        """
        # The job's row counts. Its lock orders the writers, and a transaction that fails gives the number back; a
        # sequence would leave gaps, and max(seq) + 1 would let two writers take one number.
        count = sa.update(tables.jobs).where(_JOB.job_id == job_id).values(last_seq=_JOB.last_seq + 1)
        with self._database.begin() as connection:
            seq = connection.execute(count.returning(_JOB.last_seq)).scalar_one_or_none()
            if seq is None:
                raise JobNotFound(f"There is no job {job_id!r}.", job_id=job_id)
            connection.execute(
                sa.insert(tables.events).values(job_id=job_id, seq=seq, type=type, at_us=now_us(), data=data)
            )
        return int(seq)

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

    def metrics(self, job_id: str) -> Iterator[Mapping[str, Any]]:
        """The data of the job's metrics events, in order."""
        after_seq = 0
        while page := self.read(job_id, after_seq):
            yield from (event.data for event in page if event.type == "metrics")
            after_seq = page[-1].seq
