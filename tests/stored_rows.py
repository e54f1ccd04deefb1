"""All that a database holds."""

from __future__ import annotations

import sqlalchemy as sa

from tribrid.store import Store, tables


def everything(store: Store) -> str:
    """All that the database holds, as one text."""
    with store.database.read() as connection:
        return "\n".join(
            str(row) for table in tables.metadata.sorted_tables for row in connection.execute(sa.select(table))
        )
