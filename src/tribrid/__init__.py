"""Tribrid: search rankings that learn from what users did, with proof."""

__version__ = "0.1.0"
