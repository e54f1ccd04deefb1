"""(to be written by its owner, or removed)"""

from __future__ import annotations

revision = "0004_rerank"
down_revision = "0003_review"


def upgrade() -> None:
    """Nothing yet."""
