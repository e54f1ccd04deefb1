"""Tribrid in Haystack: a retriever that takes feedback."""

from haystack_integrations.components.retrievers.tribrid.retriever import TribridRetriever

__all__ = ["TribridRetriever"]
