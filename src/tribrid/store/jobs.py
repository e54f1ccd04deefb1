"""Jobs: durable records of long work. Each change of state is one guarded UPDATE, so two workers cannot both win.

    queued → running → succeeded | failed | cancelled        (queued → cancelled | failed too)

A training run is a job of kind train. That a corpus has one running training at most is a unique index, not a habit.
"""

from __future__ import annotations

import builtins
from collections.abc import Collection, Mapping
from typing import Any
from uuid import uuid4

import sqlalchemy as sa

from tribrid.errors import Conflict, InvalidInput, JobNotFound, NotRunning
from tribrid.store import tables
from tribrid.store.corpora import require_corpus
from tribrid.store.database import Database, now_us
from tribrid.types import Job, JobKind, State

_JOB = tables.jobs.c
_ACTIVE = (State.QUEUED.value, State.RUNNING.value)


def _job(row: sa.Row[Any]) -> Job:
    fields = dict(row._mapping)
    del fields["job_number"], fields["last_seq"]
    return Job(**{**fields, "kind": JobKind(row.kind), "state": State(row.state)})


class Jobs:
    """Jobs, by id."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, kind: JobKind, corpus_id: str, params: Mapping[str, Any]) -> Job:
        """A new job, queued.

        Raises:
            CorpusNotFound: there is no such corpus.
        """
        job = Job(uuid4().hex, kind, corpus_id, State.QUEUED, params, created_us=now_us())
        with self._database.begin() as connection:
            require_corpus(connection, corpus_id)
            connection.execute(
                sa.insert(tables.jobs).values(
                    job_id=job.job_id,
                    kind=kind.value,
                    corpus_id=corpus_id,
                    state=job.state.value,
                    params=params,
                    created_us=job.created_us,
                    cancel_requested=False,
                    last_seq=0,
                )
            )
        return job

    def waiting(self) -> dict[tuple[str, str], int]:
        """How many jobs of each kind are queued or running: (kind, state) → count."""
        active = sa.select(_JOB.kind, _JOB.state, sa.func.count()).where(_JOB.state.in_(_ACTIVE))
        with self._database.read() as connection:
            return {(row[0], row[1]): row[2] for row in connection.execute(active.group_by(_JOB.kind, _JOB.state))}

    def get(self, job_id: str) -> Job:
        """The job as it stands.

        Raises:
            JobNotFound: there is no such job.
        """
        with self._database.read() as connection:
            return _get(connection, job_id)

    def list(
        self,
        corpus_id: str | None = None,
        kind: JobKind | None = None,
        states: Collection[State] | None = None,
        limit: int = 100,
    ) -> builtins.list[Job]:
        """Jobs, newest first, at most `limit`. None: any corpus, kind or state."""
        these = sa.select(tables.jobs)
        if corpus_id is not None:
            these = these.where(_JOB.corpus_id == corpus_id)
        if kind is not None:
            these = these.where(_JOB.kind == kind.value)
        if states is not None:
            these = these.where(_JOB.state.in_([state.value for state in states]))
        with self._database.read() as connection:
            return [_job(row) for row in connection.execute(these.order_by(_JOB.job_number.desc()).limit(limit))]

    def pending(self, corpus_id: str, kind: JobKind) -> builtins.list[Job]:
        """The corpus's jobs of this kind that are queued or running, oldest first."""
        these = sa.select(tables.jobs).where(
            _JOB.corpus_id == corpus_id, _JOB.kind == kind.value, _JOB.state.in_(_ACTIVE)
        )
        with self._database.read() as connection:
            return [_job(row) for row in connection.execute(these.order_by(_JOB.job_number))]

    def start(self, job_id: str) -> bool:
        """Set a queued job running; take up again one that is running (its worker died). Whether to do the work:
        False if the job already ended, by a cancel before it began for instance.

        Raises:
            JobNotFound: there is no such job.
            Conflict: another training of the corpus is running; wait for its end and start again.
        """
        started = sa.func.coalesce(_JOB.started_us, now_us())
        try:
            with self._database.begin() as connection:
                changed = _change(connection, job_id, _ACTIVE, state=State.RUNNING.value, started_us=started)
                if not changed:
                    _get(connection, job_id)
                return changed
        except sa.exc.IntegrityError:
            raise Conflict("Another training of this corpus is running.", job_id=job_id) from None

    def progress(self, job_id: str, progress: Mapping[str, Any]) -> None:
        """Replace the job's progress. A report that arrives after the job's end changes nothing.

        Raises:
            JobNotFound: there is no such job.
        """
        with self._database.begin() as connection:
            if not _change(connection, job_id, _ACTIVE, progress=progress):
                _get(connection, job_id)

    def finish(
        self,
        job_id: str,
        state: State,
        result: Mapping[str, Any] | None = None,
        problem: Mapping[str, Any] | None = None,
    ) -> Job:
        """End the job, once: on one that already ended this changes nothing. Returns the job as it then stands.

        Raises:
            JobNotFound: there is no such job.
            InvalidInput: the state is not final.
        """
        if not state.final:
            raise InvalidInput(f"A job cannot end in state {state.value!r}.", job_id=job_id)
        with self._database.begin() as connection:
            _change(
                connection, job_id, _ACTIVE, state=state.value, finished_us=now_us(), result=result, problem=problem
            )
            return _get(connection, job_id)

    def request_cancel(self, job_id: str, problem: Mapping[str, Any] | None = None) -> Job:
        """Cancel a queued job at once; ask a running one to stop (`cancel_requested`), as often as you like.

        Args:
            problem: what a queued job's row says of its end.

        Raises:
            JobNotFound: there is no such job.
            NotRunning: it already ended.
        """
        with self._database.begin() as connection:
            ended = {"state": State.CANCELLED.value, "finished_us": now_us(), "problem": problem}
            cancelled = _change(connection, job_id, (State.QUEUED.value,), **ended, cancel_requested=True)
            asked = cancelled or _change(connection, job_id, (State.RUNNING.value,), cancel_requested=True)
            job = _get(connection, job_id)
        if not asked:
            raise NotRunning(f"Job {job_id!r} already {job.state.value}.", job_id=job_id, state=job.state.value)
        return job


def _change(connection: sa.Connection, job_id: str, states: tuple[str, ...], **values: Any) -> bool:
    """Change the job if it is in one of these states; whether it was."""
    guarded = sa.update(tables.jobs).where(_JOB.job_id == job_id, _JOB.state.in_(states)).values(values)
    return connection.execute(guarded).rowcount == 1


def _get(connection: sa.Connection, job_id: str) -> Job:
    found = connection.execute(sa.select(tables.jobs).where(_JOB.job_id == job_id)).first()
    if found is None:
        raise JobNotFound(f"There is no job {job_id!r}.", job_id=job_id)
    return _job(found)
