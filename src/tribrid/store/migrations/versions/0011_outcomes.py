"""An experiment counts one outcome a client and day: each search of one bears its client, its day and what it said."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011_outcomes"
down_revision = "0010_lease"

ID = sa.String(512).with_variant(sa.String(512, collation="C"), "postgresql")
_DAY_US = 86_400_000_000
_TOLD = sa.text("outcome IS NOT NULL")


def upgrade() -> None:
    op.add_column("trials", sa.Column("client", ID))
    op.add_column("trials", sa.Column("day", sa.Integer()))
    op.add_column("trials", sa.Column("outcome", sa.SmallInteger()))
    _copy_from_the_log()
    with op.batch_alter_table("trials") as trials:
        trials.alter_column("client", existing_type=ID, nullable=False)
        trials.alter_column("day", existing_type=sa.Integer(), nullable=False)
    op.create_index(
        "ix_trials_told", "trials", ["experiment_number", "client"], sqlite_where=_TOLD, postgresql_where=_TOLD
    )
    _count_anew()


def _copy_from_the_log() -> None:
    search = sa.table("impressions", *map(sa.column, ("impression_number", "client_id", "created_us")))
    trials = sa.table("trials", *map(sa.column, ("impression_number", "client", "day")))
    same = search.c.impression_number == trials.c.impression_number
    client = sa.select(sa.func.coalesce(search.c.client_id, "")).where(same).scalar_subquery()
    day = sa.select(search.c.created_us // _DAY_US).where(same).scalar_subquery()
    op.get_bind().execute(sa.update(trials).values(client=client, day=day))


def _count_anew() -> None:
    """What runs is counted by the new rule from its first search on: its searches are all there."""
    experiments = sa.table("experiments", sa.column("state"), sa.column("settled"), sa.column("tally", sa.JSON))
    running = sa.update(experiments).where(experiments.c.state == "running")
    op.get_bind().execute(running.values(settled=0, tally={}))
