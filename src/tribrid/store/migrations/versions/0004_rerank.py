"""What came with a rerank, and documents found by their content."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004_rerank"
down_revision = "0003_review"

JSON = sa.JSON(none_as_null=True)


def upgrade() -> None:
    op.add_column("impressions", sa.Column("given", JSON, nullable=True))
    op.create_index(op.f("ix_documents_corpus_id_content_sha"), "documents", ["corpus_id", "content_sha"])
