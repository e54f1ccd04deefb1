"""Tribrid in Haystack: a ranker that takes feedback."""

from haystack_integrations.components.rankers.tribrid.ranker import TribridRanker

__all__ = ["TribridRanker"]
