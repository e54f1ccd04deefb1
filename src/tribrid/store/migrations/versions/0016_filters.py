"""Filters: of a logged search, and of a key that is pinned to one; null, as for all there were: none."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016_filters"
down_revision = "0015_ratings"


def upgrade() -> None:
    op.add_column("impressions", sa.Column("filter", sa.JSON(none_as_null=True)))
    op.add_column("api_keys", sa.Column("filter", sa.JSON(none_as_null=True)))
