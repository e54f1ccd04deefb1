"""Promotions as a history that a rollback follows; which lists a mining can have read; what was erased."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005_registry"
down_revision = "0004_rerank"

# As they were in tables.py then: a migration must not change when the tables do.
ID = sa.String(512).with_variant(sa.String(512, collation="C"), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")

_PROMOTIONS = sa.table(
    "promotions",
    *map(sa.column, ("promotion_number", "corpus_id", "model_id", "evaluation_id", "kind", "parent_number")),
)
_ALIASES = sa.table("aliases", *map(sa.column, ("corpus_id", "alias", "model_id")))


def upgrade() -> None:
    # Columns are added in place: SQLite changes a table by copying it, and dropping the old copy of triplet_sets
    # would cascade to every triplet.
    op.add_column("triplet_sets", sa.Column("last_impression", sa.BigInteger(), nullable=True))
    op.add_column("triplet_sets", sa.Column("erased", sa.Integer(), nullable=False, server_default=sa.text("0")))
    op.add_column("promotions", sa.Column("kind", sa.String(16), nullable=False, server_default=sa.text("'hand'")))
    op.add_column("promotions", sa.Column("parent_number", sa.BigInteger(), nullable=True))
    _follow_history(op.get_bind())
    op.create_table(
        "erasures",
        sa.Column("erasure_number", NUMBER, nullable=False),
        sa.Column("corpus_id", ID, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("report", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["corpus_id"], ["corpora.corpus_id"], name=op.f("fk_erasures_corpus_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("erasure_number", name=op.f("pk_erasures")),
    )
    op.create_index(op.f("ix_erasures_corpus_id_erasure_number"), "erasures", ["corpus_id", "erasure_number"])


def _follow_history(connection: sa.Connection) -> None:
    """Give every earlier promotion the row that a rollback goes back to, and each corpus its `previous` anew.

    Until now a rollback swapped the two names and was not told from a promotion by hand: what brought back the model
    of before, without an evaluation, is taken for one.
    """
    p = _PROMOTIONS.c
    rows = connection.execute(sa.select(_PROMOTIONS).order_by(p.corpus_id, p.promotion_number)).all()
    standing: dict[str, tuple[int | None, str | None, Any]] = {}  # corpus_id → row, its model, where it goes back to
    for row in rows:
        number, model, before = standing.get(row.corpus_id, (None, None, None))
        back = number is not None and row.evaluation_id is None and row.model_id == (before[1] if before else None)
        kind = "rollback" if back else "gate" if row.evaluation_id is not None else "hand"
        parent = (before[2] if before else None) if back else (number, model, before) if number is not None else None
        standing[row.corpus_id] = (row.promotion_number, row.model_id, parent)
        connection.execute(
            sa.update(_PROMOTIONS)
            .where(p.promotion_number == row.promotion_number)
            .values(kind=kind, parent_number=parent[0] if parent else None)
        )
    for corpus_id, (_, _, parent) in standing.items():
        named = sa.and_(_ALIASES.c.corpus_id == corpus_id, _ALIASES.c.alias == "previous")
        connection.execute(sa.update(_ALIASES).where(named).values(model_id=parent[1] if parent else None))
