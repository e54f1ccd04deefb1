"""Tribrid: search rankings that learn from what users did, with proof."""

from typing import Any

from tribrid.version import __version__

__all__ = ["Tribrid", "__version__"]


def __getattr__(name: str) -> Any:
    # Loaded at its first use: `tribrid --version` and the job processes need not open a database library.
    if name == "Tribrid":
        from tribrid.app import Tribrid

        return Tribrid
    raise AttributeError(f"module 'tribrid' has no attribute {name!r}")
