"""(to be written by its owner, or removed)"""

from __future__ import annotations

revision = "0008_access"
down_revision = "0007_experiment"


def upgrade() -> None:
    """Nothing yet."""
