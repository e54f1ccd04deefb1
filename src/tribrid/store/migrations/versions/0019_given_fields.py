"""What came with a rerank's documents beside their texts; null, as for all there were: nothing is known of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019_given_fields"
down_revision = "0018_mentions"


def upgrade() -> None:
    op.add_column("impressions", sa.Column("given_fields", sa.JSON(none_as_null=True)))
