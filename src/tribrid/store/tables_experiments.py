"""The tables of live experiments; as in tables.py, a change here needs a migration."""

from __future__ import annotations

import sqlalchemy as sa

from tribrid.store.tables import ID, JSON, MICROSECONDS, NUMBER, corpus_id, metadata

experiments = sa.Table(
    "experiments",
    metadata,
    sa.Column("experiment_number", NUMBER, primary_key=True),
    sa.Column("experiment_id", ID, nullable=False, unique=True),
    corpus_id(),
    # NULL: the retrieval order; 'untrained': the order before any label.
    sa.Column("champion_id", ID),
    sa.Column("challenger_id", ID, nullable=False),
    sa.Column("terms", JSON, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("created_us", MICROSECONDS, nullable=False),
    sa.Column("finished_us", MICROSECONDS),
    # How many searches joined: the number of the next one, so that the sequence has no gaps and the order of commits.
    sa.Column("joined", sa.BigInteger, nullable=False),
    sa.Column("excluded", sa.BigInteger, nullable=False),
    sa.Column("settled", sa.BigInteger, nullable=False),
    sa.Column("tally", JSON, nullable=False),
    sa.Column("verdict", sa.String(32)),
    sa.Column("reason", sa.Text),
    sa.Column("promoted", sa.Boolean, nullable=False),
    sa.Index(None, "corpus_id", "experiment_number"),
)
_EXPERIMENT_RUNS = "state = 'running'"
sa.Index(
    "ux_experiments_one_running",
    experiments.c.corpus_id,
    unique=True,
    sqlite_where=sa.text(_EXPERIMENT_RUNS),
    postgresql_where=sa.text(_EXPERIMENT_RUNS),
)

trials = sa.Table(
    "trials",
    metadata,
    sa.Column(
        "experiment_number",
        sa.ForeignKey("experiments.experiment_number", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column(
        "impression_number",
        sa.ForeignKey("impressions.impression_number", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    sa.Column("due_us", MICROSECONDS, nullable=False),
    sa.Column("teams", sa.Text, nullable=False),
    sa.Column("excluded", sa.Text),
    # Of the search, as it is in the log; no client is ''.
    sa.Column("client", ID, nullable=False),
    sa.Column("day", sa.Integer, nullable=False),
    # 1, 0 or -1 where it is its client's outcome of the day.
    sa.Column("outcome", sa.SmallInteger),
)
_TOLD = sa.text("outcome IS NOT NULL")
sa.Index(
    "ix_trials_told",
    trials.c.experiment_number,
    trials.c.client,
    sqlite_where=_TOLD,
    postgresql_where=_TOLD,
)
