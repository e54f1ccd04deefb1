"""The table of evaluations that run by themselves; as in tables.py, a change here needs a migration."""

from __future__ import annotations

import sqlalchemy as sa

from tribrid.store.tables import ID, JSON, MICROSECONDS, corpus_id, metadata

schedules = sa.Table(
    "schedules",
    metadata,
    corpus_id(primary_key=True),
    sa.Column("expression", sa.Text, nullable=False),
    # Every due time up to this one was seen to: when the schedule was set, or when the last run was due.
    sa.Column("seen_us", MICROSECONDS, nullable=False),
    sa.Column("job_id", ID),
    # What the last evaluation leaves for the next, with what is open. NULL: there was none yet.
    sa.Column("watched", JSON),
    # Why the last alert could not be sent. NULL: it was, or there is none.
    sa.Column("undelivered", sa.Text),
)
