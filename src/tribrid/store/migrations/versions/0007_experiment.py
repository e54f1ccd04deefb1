"""(to be written by its owner, or removed)"""

from __future__ import annotations

revision = "0007_experiment"
down_revision = "0006_spending"


def upgrade() -> None:
    """Nothing yet."""
