"""What models said of documents."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017_judges"
down_revision = "0016_filters"

ID = sa.String(512).with_variant(sa.String(512, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "judge_labels",
        sa.Column("corpus_id", ID, nullable=False),
        sa.Column("judge_sha256", sa.String(64), nullable=False),
        sa.Column("query_sha256", sa.String(64), nullable=False),
        sa.Column("doc_id", ID, nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("judge", sa.Text(), nullable=False),
        sa.Column("shown_sha256", sa.String(64), nullable=False),
        sa.Column("forward", sa.Double()),
        sa.Column("backward", sa.Double()),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("failure", sa.Text()),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        sa.Column("usd", sa.Double()),
        sa.Column("judged_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("corpus_id", "judge_sha256", "query_sha256", "doc_id", name="pk_judge_labels"),
        sa.ForeignKeyConstraint(
            ["corpus_id"], ["corpora.corpus_id"], name="fk_judge_labels_corpus_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_judge_labels_corpus_id_doc_id", "judge_labels", ["corpus_id", "doc_id"])
