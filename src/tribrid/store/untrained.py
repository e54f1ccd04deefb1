"""How the order before any label did against the fused one on a corpus's judgments: one row a corpus, the newest."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from tribrid.store import tables
from tribrid.store.corpora import require_corpus
from tribrid.store.database import Database, insert_into, now_us

_OF = tables.untrained_comparisons.c
COMPARED = (_OF.measured_on, _OF.queries, _OF.measure, _OF.fused, _OF.untrained)
"""The columns of an UntrainedComparison, in its order."""


@dataclass(frozen=True, slots=True)
class UntrainedComparison:
    """What was compared.

    Attributes:
        on: sha256 of the eval dataset; None for judgments that were trained on.
        queries: how many.
        measure: its name.
        fused, untrained: the mean of each order in it.
    """

    on: str | None
    queries: int
    measure: str
    fused: float
    untrained: float

    @property
    def fused_stays(self) -> bool:
        """Whether the order before any label is not better."""
        return self.untrained <= self.fused


class UntrainedComparisons:
    """The comparisons, by corpus."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, corpus_id: str, found: UntrainedComparison) -> None:
        """Keep it in place of the one before.

        Raises:
            CorpusNotFound.
        """
        row = {
            "measured_on": found.on,
            "queries": found.queries,
            "measure": found.measure,
            "fused": found.fused,
            "untrained": found.untrained,
            "created_us": now_us(),
        }
        with self._database.begin() as connection:
            require_corpus(connection, corpus_id)
            new = insert_into(connection, tables.untrained_comparisons)
            again = {name: new.excluded[name] for name in row}
            upsert = new.on_conflict_do_update(index_elements=["corpus_id"], set_=again)
            connection.execute(upsert, {"corpus_id": corpus_id, **row})

    def get(self, corpus_id: str) -> UntrainedComparison | None:
        """The newest of a corpus."""
        asked = sa.select(*COMPARED).where(_OF.corpus_id == corpus_id)
        with self._database.read() as connection:
            row = connection.execute(asked).one_or_none()
        return None if row is None else UntrainedComparison(*row)
