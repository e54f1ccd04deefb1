"""What each judge said of a document, with a note. Of the judgments there were, nobody knows whose they are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015_ratings"
down_revision = "0014_from_logs"

ID = sa.String(512).with_variant(sa.String(512, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "ratings",
        sa.Column("corpus_id", ID, nullable=False),
        sa.Column("query_id", ID, nullable=False),
        sa.Column("doc_id", ID, nullable=False),
        sa.Column("judge", ID, nullable=False),
        sa.Column("given_by", sa.String(16), nullable=False),
        sa.Column("grade", sa.Integer(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("corpus_id", "query_id", "doc_id", "judge", name="pk_ratings"),
        sa.ForeignKeyConstraint(
            ["corpus_id", "query_id"],
            ["judged_queries.corpus_id", "judged_queries.query_id"],
            name="fk_ratings_judged_queries",
            ondelete="CASCADE",
        ),
    )
