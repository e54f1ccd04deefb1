"""The table of what models said of documents; as in tables.py, a change here needs a migration."""

from __future__ import annotations

import sqlalchemy as sa

from tribrid.store.tables import ID, MICROSECONDS, corpus_id, metadata

# Apart from judged_queries, so that nothing that reads what people judged can read one of these.
judge_labels = sa.Table(
    "judge_labels",
    metadata,
    corpus_id(primary_key=True),
    # The model with its shape, guideline and prompt: another one's labels are other labels.
    sa.Column("judge_sha256", sa.String(64), primary_key=True),
    sa.Column("query_sha256", sa.String(64), primary_key=True),
    sa.Column("doc_id", ID, primary_key=True),
    sa.Column("query", sa.Text, nullable=False),
    sa.Column("judge", sa.Text, nullable=False),
    sa.Column("shown_sha256", sa.String(64), nullable=False),
    # The grades in the two orders of the list. NULL: not answered.
    sa.Column("forward", sa.Double),
    sa.Column("backward", sa.Double),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("failure", sa.Text),
    sa.Column("tokens", sa.BigInteger, nullable=False),
    # NULL: no price is known.
    sa.Column("usd", sa.Double),
    sa.Column("judged_us", MICROSECONDS, nullable=False),
    sa.Index(None, "corpus_id", "doc_id"),
)
