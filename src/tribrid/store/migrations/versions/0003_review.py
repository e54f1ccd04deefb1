"""Triplets with an id of their own, some held back; what was decided of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003_review"
down_revision = "0002_client"

# As they were in tables.py then: a migration must not change when the tables do.
ID = sa.String(512).with_variant(sa.String(512, collation="C"), "postgresql")
BATCH_ROWS = 2000

_TRIPLETS = sa.table(
    "triplets",
    *map(sa.column, ("set_number", "position", "query", "positive_doc_id", "negative_doc_id", "triplet_id")),
    sa.column("held_back", sa.Boolean),
)
_SETS = sa.table("triplet_sets", sa.column("set_number"), sa.column("corpus_id"))


def upgrade() -> None:
    with op.batch_alter_table("triplets") as batch:
        batch.add_column(sa.Column("triplet_id", ID, nullable=True))
        batch.add_column(sa.Column("held_back", sa.Boolean(), nullable=True))
        batch.add_column(sa.Column("observed_us", sa.BigInteger(), nullable=True))
    _name_triplets(op.get_bind())
    with op.batch_alter_table("triplets") as batch:
        batch.alter_column("triplet_id", existing_type=ID, nullable=False)
        batch.alter_column("held_back", existing_type=sa.Boolean(), nullable=False)
        batch.create_index(op.f("ix_triplets_triplet_id"), ["triplet_id"])
    op.create_table(
        "reviews",
        sa.Column("triplet_id", ID, nullable=False),
        sa.Column("corpus_id", ID, nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("positive_doc_id", ID, nullable=False),
        sa.Column("negative_doc_id", ID, nullable=False),
        sa.Column("mark", sa.String(16), nullable=False),
        sa.Column("decided_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["corpus_id"], ["corpora.corpus_id"], name=op.f("fk_reviews_corpus_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("triplet_id", name=op.f("pk_reviews")),
    )
    op.create_index(op.f("ix_reviews_corpus_id_negative_doc_id"), "reviews", ["corpus_id", "negative_doc_id"])


def _name_triplets(connection: sa.Connection) -> None:
    """Give the triplets of earlier minings their ids, a batch at a time along the key."""
    t = _TRIPLETS.c
    own = sa.and_(t.set_number == sa.bindparam("at_set"), t.position == sa.bindparam("at_position"))
    naming = sa.update(_TRIPLETS).where(own).values(triplet_id=sa.bindparam("named"), held_back=sa.false())
    after = (-1, -1)
    while True:
        page = connection.execute(
            sa.select(t.set_number, t.position, t.query, t.positive_doc_id, t.negative_doc_id, _SETS.c.corpus_id)
            .join_from(_TRIPLETS, _SETS, t.set_number == _SETS.c.set_number)
            .where(sa.tuple_(t.set_number, t.position) > after)
            .order_by(t.set_number, t.position)
            .limit(BATCH_ROWS)
        ).all()
        if not page:
            return
        connection.execute(naming, [_named(row._asdict()) for row in page])
        after = (page[-1].set_number, page[-1].position)


def _named(row: Mapping[str, Any]) -> dict[str, Any]:
    named = "\0".join(row[name] for name in ("corpus_id", "query", "positive_doc_id", "negative_doc_id"))
    digest = hashlib.sha256(named.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return {"at_set": row["set_number"], "at_position": row["position"], "named": digest}
