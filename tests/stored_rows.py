"""All that a database holds, and the log's files."""

from __future__ import annotations

import sqlalchemy as sa

from tribrid.store import Store, tables


def everything(store: Store) -> str:
    """All that the database and the segments hold, as one text."""
    with store.database.read() as connection:
        held = [str(row) for table in tables.metadata.sorted_tables for row in connection.execute(sa.select(table))]
        with store.segments.reading(connection, None) as reading:
            if reading:
                for view in ("lists", "acts"):
                    held += [str(row) for row in reading.columns.rows(f"SELECT * FROM {view}")]
    return "\n".join(held)
