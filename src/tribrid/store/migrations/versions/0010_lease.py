"""Jobs are taken under a lease, one running per corpus; an end and its last event are written together from now on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010_lease"
down_revision = "0009_remembered"

ID = sa.String(512).with_variant(sa.String(512, collation="C"), "postgresql")
_OPEN, _RUNNING = sa.text("finished_us IS NULL"), sa.text("state = 'running'")


def upgrade() -> None:
    op.add_column("jobs", sa.Column("worker", ID))
    op.add_column("jobs", sa.Column("lease_until_us", sa.BigInteger()))
    op.add_column("jobs", sa.Column("attempts", sa.Integer(), nullable=False, server_default=sa.text("0")))
    _end_what_was_told()
    _leave_one_running()
    op.execute(
        "DELETE FROM settings WHERE section = 'serving' AND name = 'settling_queries'"
    )  # there is no such one now
    op.drop_index("ux_jobs_one_running_training", "jobs")
    op.create_index("ix_jobs_open", "jobs", ["corpus_id", "job_number"], sqlite_where=_OPEN, postgresql_where=_OPEN)
    op.create_index(
        "ux_jobs_one_running", "jobs", ["corpus_id"], unique=True, sqlite_where=_RUNNING, postgresql_where=_RUNNING
    )


def _end_what_was_told() -> None:
    """Jobs whose last event is stored and whose row is not ended: their worker died in between."""
    jobs = sa.table(
        "jobs",
        *map(sa.column, ("job_id", "state")),
        sa.column("finished_us", sa.BigInteger),
        sa.column("result", sa.JSON(none_as_null=True)),
        sa.column("problem", sa.JSON(none_as_null=True)),
    )
    events = sa.table("events", *map(sa.column, ("job_id", "type", "at_us")), sa.column("data", sa.JSON))
    told = (
        sa.select(events.c.job_id, events.c.at_us, events.c.data)
        .join(jobs, jobs.c.job_id == events.c.job_id)
        .where(jobs.c.finished_us.is_(None), events.c.type.in_(["complete", "error"]))
    )
    connection = op.get_bind()
    for job_id, at_us, data in connection.execute(told).all():
        ended = {"state": data["state"], "result": data.get("result"), "problem": data.get("problem")}
        connection.execute(sa.update(jobs).where(jobs.c.job_id == job_id).values(**ended, finished_us=at_us))


def _leave_one_running() -> None:
    """No release ran two jobs of a corpus at once, but its tables did not forbid it."""
    op.execute(
        "UPDATE jobs SET state = 'queued' WHERE state = 'running' AND job_number NOT IN "
        "(SELECT min(job_number) FROM jobs WHERE state = 'running' GROUP BY corpus_id)"
    )
