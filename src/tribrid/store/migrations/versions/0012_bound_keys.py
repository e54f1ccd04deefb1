"""Keys that are bound to corpora; null, as for all there were: for every corpus."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012_bound_keys"
down_revision = "0011_outcomes"


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("corpora", sa.JSON(none_as_null=True)))
