"""The log's older part as columns in files."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021_segments"
down_revision = "0020_schedules"

ID = sa.String(512).with_variant(sa.String(512, collation="C"), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "log_segments",
        sa.Column("segment_number", NUMBER, nullable=False),
        sa.Column("corpus_id", ID, nullable=False),
        sa.Column("artifact", sa.String(64), nullable=False),
        sa.Column("lists", sa.Integer(), nullable=False),
        sa.Column("acts", sa.Integer(), nullable=False),
        sa.Column("first_us", sa.BigInteger(), nullable=False),
        sa.Column("last_us", sa.BigInteger(), nullable=False),
        sa.Column("after_impression", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("segment_number", name="pk_log_segments"),
        sa.ForeignKeyConstraint(
            ["corpus_id"], ["corpora.corpus_id"], name="fk_log_segments_corpus_id", ondelete="CASCADE"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_log_segments_corpus_id_segment_number", "log_segments", ["corpus_id", "segment_number"])
    op.create_table(
        "late_feedback",
        sa.Column("late_number", NUMBER, nullable=False),
        sa.Column("segment_number", NUMBER, nullable=False),
        sa.Column("list_number", sa.Integer(), nullable=False),
        sa.Column("signal", sa.String(16), nullable=False),
        sa.Column("doc_id", ID),
        sa.Column("value", sa.Double()),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("late_number", name="pk_late_feedback"),
        sa.ForeignKeyConstraint(
            ["segment_number"],
            ["log_segments.segment_number"],
            name="fk_late_feedback_segment_number",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_late_feedback_segment_number", "late_feedback", ["segment_number"])
    op.create_table(
        "dropped_artifacts",
        sa.Column("artifact", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("artifact", name="pk_dropped_artifacts"),
    )
    # In place: a copy of the table would cascade to every triplet.
    op.add_column(
        "triplet_sets", sa.Column("last_segment", sa.BigInteger(), nullable=False, server_default=sa.text("0"))
    )
