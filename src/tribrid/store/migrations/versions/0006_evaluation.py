"""What each eval dataset was measured on: its candidates and the state of the corpus they are from."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006_evaluation"
down_revision = "0005_registry"

# As they were in tables.py then: a migration must not change when the tables do.
ID = sa.String(512).with_variant(sa.String(512, collation="C"), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
JSON = sa.JSON(none_as_null=True)


def upgrade() -> None:
    op.create_table(
        "eval_bundles",
        sa.Column("bundle_number", NUMBER, nullable=False),
        sa.Column("corpus_id", ID, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("bundle_sha256", sa.String(64), nullable=False),
        sa.Column("candidates_sha256", sa.String(64), nullable=False),
        sa.Column("corpus_version", sa.BigInteger(), nullable=True),
        sa.Column("depth", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("settings", JSON, nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["corpus_id"], ["corpora.corpus_id"], name=op.f("fk_eval_bundles_corpus_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("bundle_number", name=op.f("pk_eval_bundles")),
        sa.UniqueConstraint("corpus_id", "bundle_sha256", name=op.f("uq_eval_bundles_corpus_id_bundle_sha256")),
    )
