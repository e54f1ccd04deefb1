"""Experiments on live searches, and which searches took part."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007_experiment"
down_revision = "0006_spending"

# As they were in tables.py then: a migration must not change when the tables do.
ID = sa.String(512).with_variant(sa.String(512, collation="C"), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
RUNNING = sa.text("state = 'running'")


def upgrade() -> None:
    _experiments()
    _trials()


def _experiments() -> None:
    op.create_table(
        "experiments",
        sa.Column("experiment_number", NUMBER, nullable=False),
        sa.Column("experiment_id", ID, nullable=False),
        sa.Column("corpus_id", ID, nullable=False),
        sa.Column("champion_id", ID, nullable=True),
        sa.Column("challenger_id", ID, nullable=False),
        sa.Column("terms", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("finished_us", sa.BigInteger(), nullable=True),
        sa.Column("joined", sa.BigInteger(), nullable=False),
        sa.Column("excluded", sa.BigInteger(), nullable=False),
        sa.Column("settled", sa.BigInteger(), nullable=False),
        sa.Column("tally", sa.JSON(), nullable=False),
        sa.Column("verdict", sa.String(32), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("promoted", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["corpus_id"], ["corpora.corpus_id"], name=op.f("fk_experiments_corpus_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("experiment_number", name=op.f("pk_experiments")),
        sa.UniqueConstraint("experiment_id", name=op.f("uq_experiments_experiment_id")),
    )
    op.create_index(
        op.f("ix_experiments_corpus_id_experiment_number"), "experiments", ["corpus_id", "experiment_number"]
    )
    op.create_index(
        "ux_experiments_one_running",
        "experiments",
        ["corpus_id"],
        unique=True,
        sqlite_where=RUNNING,
        postgresql_where=RUNNING,
    )


def _trials() -> None:
    op.create_table(
        "trials",
        sa.Column("experiment_number", NUMBER, autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("impression_number", NUMBER, nullable=False),
        sa.Column("due_us", sa.BigInteger(), nullable=False),
        sa.Column("teams", sa.Text(), nullable=False),
        sa.Column("excluded", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["experiment_number"],
            ["experiments.experiment_number"],
            name=op.f("fk_trials_experiment_number"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["impression_number"],
            ["impressions.impression_number"],
            name=op.f("fk_trials_impression_number"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("experiment_number", "position", name=op.f("pk_trials")),
    )
    op.create_index(op.f("ix_trials_impression_number"), "trials", ["impression_number"])
