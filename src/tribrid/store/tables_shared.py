"""The tables of what machines share beside the rows themselves; as in tables.py, a change here needs a migration."""

from __future__ import annotations

import sqlalchemy as sa

from tribrid.store.tables import ID, corpus_id, metadata

published_indexes = sa.Table(
    "published_indexes",
    metadata,
    corpus_id(primary_key=True),
    # The name of the state that is served: an object beside the index's files.
    sa.Column("state", ID, nullable=False),
)

unfinished_work = sa.Table(
    "unfinished_work",
    metadata,
    sa.Column("mark", ID, primary_key=True),
    corpus_id(),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Index(None, "corpus_id"),
)

DERIVED = frozenset({published_indexes.name, unfinished_work.name})
"""They say what stands at an address, and who works on it now: no backup holds them, and whoever restores one starts
without them.
"""
