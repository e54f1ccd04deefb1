"""Jobs: durable records of long work, and the queue that workers take them from (decision 0008).

    queued → running → succeeded | failed | cancelled        (queued → cancelled | failed too)

Each change of state is one guarded UPDATE, together with the events that tell of it, so two workers cannot both win.
A running job is its worker's until its lease has run out; then whoever comes first takes it over, and what the one
before still writes is refused. That a corpus has one running job at most is a unique index, not a habit.
"""

from __future__ import annotations

import builtins
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import uuid4

import sqlalchemy as sa

from tribrid.errors import InvalidInput, NotRunning
from tribrid.store import tables
from tribrid.store.corpora import require_corpus
from tribrid.store.database import Database, clock_us, now_us
from tribrid.store.events import Told, append_events, no_job
from tribrid.types import Job, JobKind, State

_JOB = tables.jobs.c
_ACTIVE = (State.QUEUED.value, State.RUNNING.value)
_MARK = "/"
_QUEUE = ("job_number", "last_seq", "worker", "lease_until_us", "attempts")
_ITS = sa.func.substr(_JOB.worker, 1, sa.func.length(sa.bindparam("its"))) == sa.bindparam("its")
_NOBODY = {"worker": None, "lease_until_us": None}


@dataclass(frozen=True, slots=True)
class Claim:
    """A job in a worker's hands. Whoever works on it shows the `holder`, the worker's name and a mark of this start."""

    job: Job
    holder: str
    attempt: int
    """1 for the first start; one higher for each after which nothing more was heard of the job."""


def _job(row: sa.Row[Any]) -> Job:
    fields = {column.name: row._mapping[column.name] for column in tables.jobs.c if column.name not in _QUEUE}
    fields["interrupted"] = bool(row._mapping.get("interrupted"))
    return Job(**{**fields, "kind": JobKind(row.kind), "state": State(row.state)})


def _these(connection: sa.Connection) -> sa.Select[Any]:
    """Jobs with all that is said of them."""
    nobody = sa.or_(_JOB.worker.is_(None), _JOB.lease_until_us < clock_us(connection.dialect.name))
    return sa.select(tables.jobs, sa.and_(_JOB.state == State.RUNNING.value, nobody).label("interrupted"))


class Jobs:
    """Jobs, by id."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, kind: JobKind, corpus_id: str, params: Mapping[str, object], *, told: Told = ()) -> Job:
        """A new job, queued, with the events `told` of it.

        Raises:
            CorpusNotFound: there is no such corpus.
        """
        with self._database.begin() as connection:
            require_corpus(connection, corpus_id)
            return new_job(connection, kind, corpus_id, params, told)

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
        asked = []
        if corpus_id is not None:
            asked.append(_JOB.corpus_id == corpus_id)
        if kind is not None:
            asked.append(_JOB.kind == kind.value)
        if states is not None:
            asked.append(_JOB.state.in_([state.value for state in states]))
        with self._database.read() as connection:
            these = _these(connection).where(*asked).order_by(_JOB.job_number.desc()).limit(limit)
            return [_job(row) for row in connection.execute(these)]

    def pending(self, corpus_id: str, kind: JobKind) -> builtins.list[Job]:
        """The corpus's jobs of this kind that are queued or running, oldest first."""
        these = sa.select(tables.jobs).where(
            _JOB.corpus_id == corpus_id, _JOB.kind == kind.value, _JOB.state.in_(_ACTIVE)
        )
        with self._database.read() as connection:
            return [_job(row) for row in connection.execute(these.order_by(_JOB.job_number))]

    def claim(self, worker: str, lease_s: float) -> Claim | None:
        """The next job, set running and this worker's for `lease_s`; None if there is none that may run now.

        That is the oldest open job of a corpus where nothing runs, or one that runs and whose lease is over.
        """
        its = {"its": f"{worker}{_MARK}"}
        # Most looks find nothing, and on SQLite whoever may write keeps others waiting.
        with self._database.read() as connection:
            if connection.execute(_next(connection.dialect.name), its).first() is None:
                return None
        try:
            with self._database.begin() as connection:
                number = connection.execute(_next(connection.dialect.name, lock=True), its).scalar()
                taken = (
                    sa.update(tables.jobs)
                    .where(_JOB.job_number == number)
                    .values(
                        state=State.RUNNING.value,
                        worker=f"{worker}{_MARK}{uuid4().hex[:12]}",
                        lease_until_us=_after(connection, lease_s),
                        attempts=_JOB.attempts + 1,
                        started_us=sa.func.coalesce(_JOB.started_us, now_us()),
                    )
                )
                row = connection.execute(taken.returning(*tables.jobs.c)).first()
                return None if row is None else Claim(_job(row), row.worker, row.attempts)
        except sa.exc.IntegrityError:
            return None  # in the same moment another worker took another job of the corpus

    def held(self, job_id: str, holder: str) -> Job | None:
        """The job as it stands; None if it is not in these hands any more.

        Raises:
            JobNotFound: there is no such job.
        """
        with self._database.read() as connection:
            return _held(connection, job_id, holder)

    def renew(self, job_id: str, holder: str, lease_s: float) -> Job | None:
        """As `held`; a job that runs is held for `lease_s` from now on."""
        with self._database.begin() as connection:
            until = _after(connection, lease_s)
            _change(connection, job_id, (State.RUNNING.value,), holder, lease_until_us=until)
            return _held(connection, job_id, holder)

    def release(self, job_id: str, holder: str, *, attempts: int, told: Told = ()) -> None:
        """Give a running job back, if it is in these hands: any worker may take it at once.

        Args:
            attempts: from what its starts are counted on.
        """
        with self._database.begin() as connection:
            if _change(connection, job_id, (State.RUNNING.value,), holder, **_NOBODY, attempts=attempts):
                append_events(connection, job_id, told)

    def vacate(self, worker: str) -> int:
        """Take from a worker that is known to be dead what it had in hand, without waiting for the leases; how many."""
        left = sa.update(tables.jobs).where(_JOB.state == State.RUNNING.value, _ITS).values(**_NOBODY)
        with self._database.begin() as connection:
            return connection.execute(left, {"its": f"{worker}{_MARK}"}).rowcount

    def progress(self, job_id: str, progress: Mapping[str, object], *, holder: str | None = None) -> None:
        """Replace the job's progress. A report that arrives after the job's end, or out of hands that hold it no
        longer, changes nothing.

        Raises:
            JobNotFound: there is no such job.
        """
        with self._database.begin() as connection:
            if not _change(connection, job_id, _ACTIVE, holder, progress=progress):
                _get(connection, job_id)

    def finish(
        self,
        job_id: str,
        state: State,
        result: Mapping[str, object] | None = None,
        problem: Mapping[str, object] | None = None,
        *,
        told: Told = (),
        holder: str | None = None,
    ) -> Job:
        """End the job, once, and store the events that tell of it. Returns the job as it then stands.

        On one that already ended this changes nothing, and neither on one that is not in these hands any more.

        Raises:
            JobNotFound: there is no such job.
            InvalidInput: the state is not final.
        """
        if not state.final:
            raise InvalidInput(f"A job cannot end in state {state.value!r}.", job_id=job_id)
        ended = {"state": state.value, "finished_us": now_us(), "result": result, "problem": problem}
        with self._database.begin() as connection:
            if _change(connection, job_id, _ACTIVE, holder, **ended):
                append_events(connection, job_id, told)
            return _get(connection, job_id)

    def request_cancel(self, job_id: str, problem: Mapping[str, object] | None = None, *, told: Told = ()) -> Job:
        """Cancel a queued job at once; ask a running one to stop (`cancel_requested`), as often as you like.

        Args:
            problem: what a queued job's row says of its end.
            told: what a queued job's events say of it.

        Raises:
            JobNotFound: there is no such job.
            NotRunning: it already ended.
        """
        with self._database.begin() as connection:
            ended = {"state": State.CANCELLED.value, "finished_us": now_us(), "problem": problem}
            cancelled = _change(connection, job_id, (State.QUEUED.value,), **ended, cancel_requested=True)
            if cancelled:
                append_events(connection, job_id, told)
            asked = cancelled or _change(connection, job_id, (State.RUNNING.value,), cancel_requested=True)
            job = _get(connection, job_id)
        if not asked:
            raise NotRunning(f"Job {job_id!r} already {job.state.value}.", job_id=job_id, state=job.state.value)
        return job


def new_job(
    connection: sa.Connection, kind: JobKind, corpus_id: str, params: Mapping[str, object], told: Told = ()
) -> Job:
    """A new job, queued, as a part of a transaction that has seen to it that there is such a corpus."""
    job = Job(uuid4().hex, kind, corpus_id, State.QUEUED, params, created_us=now_us())
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
    append_events(connection, job.job_id, told)
    return job


@cache  # to build it takes ten times as long as to run it
def _next(dialect: str, lock: bool = False) -> sa.Select[tuple[int]]:
    """The number of the job that the worker whose marks begin with `:its` should take.

    Args:
        lock: keep it from others until the end of the transaction, and pass over what another is just taking. On
            SQLite that is so in any transaction that writes.
    """
    corpus = tables.corpora.c.corpus_id
    running, waiting = tables.jobs.alias("running"), tables.jobs.alias("waiting")
    # Spelled as in the index: SQLite does not see that a parameter would say the same.
    is_running = running.c.state == sa.literal_column("'running'")
    runs = sa.select(running.c.job_number).where(running.c.corpus_id == corpus, is_running)
    # Looked up corpus by corpus, so that neither those that ended nor those that wait make a look longer.
    waits = sa.select(sa.func.min(waiting.c.job_number)).where(
        waiting.c.corpus_id == corpus, waiting.c.finished_us.is_(None)
    )
    fronts = sa.select(sa.func.coalesce(runs.scalar_subquery(), waits.scalar_subquery())).select_from(tables.corpora)
    # Its own jobs are in its hands, however late it is: it renews the lease itself.
    expired = sa.and_(_JOB.lease_until_us < clock_us(dialect), ~_ITS)
    free = sa.or_(_JOB.state == State.QUEUED.value, _JOB.worker.is_(None), expired)
    these = sa.select(_JOB.job_number).where(_JOB.job_number.in_(fronts), _JOB.finished_us.is_(None), free)
    found = these.order_by(_JOB.job_number).limit(1)
    return found.with_for_update(skip_locked=True, of=tables.jobs) if lock else found


def _after(connection: sa.Connection, lease_s: float) -> sa.ColumnElement[int]:
    return clock_us(connection.dialect.name) + int(lease_s * 1_000_000)


def _change(
    connection: sa.Connection, job_id: str, states: tuple[str, ...], holder: str | None = None, /, **values: Any
) -> bool:
    """Change the job if it is in one of these states, and in these hands if they are named; whether it was."""
    its = [] if holder is None else [_JOB.worker == holder]
    guarded = sa.update(tables.jobs).where(_JOB.job_id == job_id, _JOB.state.in_(states), *its).values(values)
    return connection.execute(guarded).rowcount == 1


def _held(connection: sa.Connection, job_id: str, holder: str) -> Job | None:
    job = _get(connection, job_id)
    whose = connection.execute(sa.select(_JOB.worker).where(_JOB.job_id == job_id)).scalar()
    return job if whose == holder else None


def _get(connection: sa.Connection, job_id: str) -> Job:
    found = connection.execute(_these(connection).where(_JOB.job_id == job_id)).first()
    if found is None:
        raise no_job(job_id)
    return _job(found)
