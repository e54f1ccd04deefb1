"""Eval datasets say whose word their labels are, and from a log, what those rest on. All there were, people judged."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014_from_logs"
down_revision = "0013_untrained"


def upgrade() -> None:
    op.add_column(
        "eval_datasets", sa.Column("source", sa.String(16), nullable=False, server_default=sa.text("'judgments'"))
    )
    op.add_column("eval_datasets", sa.Column("evidence", sa.JSON(none_as_null=True)))
