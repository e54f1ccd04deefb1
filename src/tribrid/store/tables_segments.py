"""The tables of a log's older part, which is in files; as in tables.py, a change here needs a migration."""

from __future__ import annotations

import sqlalchemy as sa

from tribrid.store.tables import ID, MICROSECONDS, NUMBER, corpus_id, metadata

# A segment: lists and their feedback in Parquet files, which never change; others are put in their place.
log_segments = sa.Table(
    "log_segments",
    metadata,
    sa.Column("segment_number", NUMBER, primary_key=True),
    corpus_id(),
    sa.Column("artifact", sa.String(64), nullable=False),
    sa.Column("lists", sa.Integer, nullable=False),
    sa.Column("acts", sa.Integer, nullable=False),
    sa.Column("first_us", MICROSECONDS, nullable=False),
    sa.Column("last_us", MICROSECONDS, nullable=False),
    # The highest number of a row when it was listed: which of two lists of one query_id is the later.
    sa.Column("after_impression", sa.BigInteger, nullable=False),
    sa.Index(None, "corpus_id", "segment_number"),
    # A triplet set names the last segment that it can have been mined from: no number is given out again.
    sqlite_autoincrement=True,
)

# Feedback on lists of a segment that came after it.
late_feedback = sa.Table(
    "late_feedback",
    metadata,
    sa.Column("late_number", NUMBER, primary_key=True),
    sa.Column(
        "segment_number",
        sa.ForeignKey("log_segments.segment_number", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    sa.Column("list_number", sa.Integer, nullable=False),
    sa.Column("signal", sa.String(16), nullable=False),
    sa.Column("doc_id", ID),
    sa.Column("value", sa.Double),
    sa.Column("created_us", MICROSECONDS, nullable=False),
)

# Files that no segment names any more, until they are removed: whoever is killed before that leaves them to the next.
dropped_artifacts = sa.Table("dropped_artifacts", metadata, sa.Column("artifact", sa.String(64), primary_key=True))
