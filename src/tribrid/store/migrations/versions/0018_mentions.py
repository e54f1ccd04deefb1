"""What documents name of each other: the edges of the graph leg. Read anew from every document's text by the next
indexing.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018_mentions"
down_revision = "0017_judges"

ID = sa.String(512).with_variant(sa.String(512, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "mentions",
        sa.Column("corpus_id", ID, nullable=False),
        sa.Column("doc_id", ID, nullable=False),
        sa.Column("row_sha", sa.String(64), nullable=False),
        sa.Column("mentions", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("corpus_id", "doc_id", name="pk_mentions"),
        sa.ForeignKeyConstraint(
            ["corpus_id", "doc_id"],
            ["documents.corpus_id", "documents.doc_id"],
            name="fk_mentions_documents",
            ondelete="CASCADE",
        ),
    )
