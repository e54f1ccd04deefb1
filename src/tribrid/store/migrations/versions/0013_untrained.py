"""How the order before any label did on a corpus's judgments."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013_untrained"
down_revision = "0012_bound_keys"

ID = sa.String(512).with_variant(sa.String(512, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "untrained_comparisons",
        sa.Column("corpus_id", ID, nullable=False),
        sa.Column("measured_on", sa.String(64)),
        sa.Column("queries", sa.Integer(), nullable=False),
        sa.Column("measure", sa.Text(), nullable=False),
        sa.Column("fused", sa.Float(), nullable=False),
        sa.Column("untrained", sa.Float(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("corpus_id", name="pk_untrained_comparisons"),
        sa.ForeignKeyConstraint(
            ["corpus_id"],
            ["corpora.corpus_id"],
            name="fk_untrained_comparisons_corpus_id",
            ondelete="CASCADE",
        ),
    )
