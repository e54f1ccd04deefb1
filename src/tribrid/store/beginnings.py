"""Ids by how they begin: what a person types of one."""

from __future__ import annotations

from typing import Literal

import sqlalchemy as sa

from tribrid.store import tables
from tribrid.store.database import Database

Kind = Literal["evaluation", "job", "key", "model", "triplet"]
"""What has an id of its own. A training run is a job, and its id the job's."""

_IDS: dict[Kind, sa.Column[str]] = {
    "evaluation": tables.evaluations.c.evaluation_id,
    "job": tables.jobs.c.job_id,
    "key": tables.api_keys.c.key_id,
    "model": tables.models.c.model_id,
    "triplet": tables.triplets.c.triplet_id,
}


class Beginnings:
    """Ids, by how they begin."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def ids(self, kind: Kind, beginning: str, limit: int) -> list[str]:
        """The ids that begin so, at most `limit`, in order: one that is no longer than the beginning comes first."""
        column = _IDS[kind]
        # Not LIKE: SQLite's takes A for a.
        begin = sa.func.substr(column, 1, len(beginning)) == beginning
        with self._database.read() as connection:
            rows = connection.execute(sa.select(column).where(begin).distinct().order_by(column).limit(limit))
            return list(rows.scalars())
