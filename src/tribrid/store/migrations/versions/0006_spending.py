"""What rerank services have cost."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006_spending"
down_revision = "0006_evaluation"

ID = sa.String(512).with_variant(sa.String(512, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "spending",
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("corpus_id", ID, nullable=False),
        sa.Column("provider", sa.String(16), nullable=False),
        sa.Column("model", ID, nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.Column("documents", sa.BigInteger(), nullable=False),
        sa.Column("unpriced", sa.BigInteger(), nullable=False),
        sa.Column("usd", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("day", "corpus_id", "provider", "model", name=op.f("pk_spending")),
    )
