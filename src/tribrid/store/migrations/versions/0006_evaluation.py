"""(to be written by its owner, or removed)"""

from __future__ import annotations

revision = "0006_evaluation"
down_revision = "0005_registry"


def upgrade() -> None:
    """Nothing yet."""
