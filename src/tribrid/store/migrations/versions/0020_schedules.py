"""Evaluations that run by themselves."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020_schedules"
down_revision = "0019_given_fields"

ID = sa.String(512).with_variant(sa.String(512, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "schedules",
        sa.Column("corpus_id", ID, nullable=False),
        sa.Column("expression", sa.Text(), nullable=False),
        sa.Column("seen_us", sa.BigInteger(), nullable=False),
        sa.Column("job_id", ID),
        sa.Column("watched", sa.JSON(none_as_null=True)),
        sa.Column("undelivered", sa.Text()),
        sa.PrimaryKeyConstraint("corpus_id", name="pk_schedules"),
        sa.ForeignKeyConstraint(
            ["corpus_id"], ["corpora.corpus_id"], name="fk_schedules_corpus_id", ondelete="CASCADE"
        ),
    )
