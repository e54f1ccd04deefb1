"""The table of what documents name of each other; as in tables.py, a change here needs a migration."""

from __future__ import annotations

import sqlalchemy as sa

from tribrid.store.tables import ID, JSON, metadata

# Read from a document's text when it is indexed; goes with the document.
mentions = sa.Table(
    "mentions",
    metadata,
    sa.Column("corpus_id", ID, primary_key=True),
    sa.Column("doc_id", ID, primary_key=True),
    # Of the document that it was read from.
    sa.Column("row_sha", sa.String(64), nullable=False),
    # [kind, target, weight] of each.
    sa.Column("mentions", JSON, nullable=False),
    sa.ForeignKeyConstraint(
        ["corpus_id", "doc_id"],
        ["documents.corpus_id", "documents.doc_id"],
        name="fk_mentions_documents",
        ondelete="CASCADE",
    ),
)
