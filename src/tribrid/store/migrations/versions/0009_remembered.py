"""Triplets past the budget, of which only the positive is remembered."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009_remembered"
down_revision = "0008_access"


def upgrade() -> None:
    op.add_column("triplets", sa.Column("remembered", sa.Boolean(), nullable=False, server_default=sa.false()))
