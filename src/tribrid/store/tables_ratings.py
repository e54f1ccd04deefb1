"""The table of ratings; as in tables.py, a change here needs a migration."""

from __future__ import annotations

import sqlalchemy as sa

from tribrid.store.tables import ID, MICROSECONDS, metadata

# What each judge said of a document. `judged_queries` has the grade that counts; a rating goes with its query there.
ratings = sa.Table(
    "ratings",
    metadata,
    sa.Column("corpus_id", ID, primary_key=True),
    sa.Column("query_id", ID, primary_key=True),
    sa.Column("doc_id", ID, primary_key=True),
    sa.Column("judge", ID, primary_key=True),
    # person or model.
    sa.Column("given_by", sa.String(16), nullable=False),
    sa.Column("grade", sa.Integer, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("created_us", MICROSECONDS, nullable=False),
    sa.ForeignKeyConstraint(
        ["corpus_id", "query_id"],
        ["judged_queries.corpus_id", "judged_queries.query_id"],
        name="fk_ratings_judged_queries",
        ondelete="CASCADE",
    ),
)
