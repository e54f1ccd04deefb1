"""What machines share: which state of an index is served, and which uploads and erasures are not finished."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022_shared"
down_revision = "0021_segments"

ID = sa.String(512).with_variant(sa.String(512, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "published_indexes",
        sa.Column("corpus_id", ID, nullable=False),
        sa.Column("state", ID, nullable=False),
        sa.PrimaryKeyConstraint("corpus_id", name="pk_published_indexes"),
        sa.ForeignKeyConstraint(
            ["corpus_id"], ["corpora.corpus_id"], name="fk_published_indexes_corpus_id", ondelete="CASCADE"
        ),
    )
    op.create_table(
        "unfinished_work",
        sa.Column("mark", ID, nullable=False),
        sa.Column("corpus_id", ID, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.PrimaryKeyConstraint("mark", name="pk_unfinished_work"),
        sa.ForeignKeyConstraint(
            ["corpus_id"], ["corpora.corpus_id"], name="fk_unfinished_work_corpus_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_unfinished_work_corpus_id", "unfinished_work", ["corpus_id"])
