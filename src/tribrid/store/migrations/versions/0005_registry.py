"""(to be written by its owner, or removed)"""

from __future__ import annotations

revision = "0005_registry"
down_revision = "0004_rerank"


def upgrade() -> None:
    """Nothing yet."""
