"""Tribrid: search rankings that learn from what users did, with proof."""

from typing import Any

from tribrid.version import __version__

__all__ = ["Reranker", "Tribrid", "__version__", "compare"]
_LIBRARY = ("Reranker", "Tribrid", "compare")


def __getattr__(name: str) -> Any:
    # Loaded at its first use: `tribrid --version` and the job processes need not open a database library.
    if name in _LIBRARY:
        from tribrid import app

        return getattr(app, name)
    raise AttributeError(f"module 'tribrid' has no attribute {name!r}")
