"""Whose search an impression was."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002_client"
down_revision = "0001"

ID = sa.String(512).with_variant(sa.String(512, collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("impressions", sa.Column("client_id", ID, nullable=True))
