"""Tribrid in LlamaIndex: a retriever that takes feedback."""

from llama_index.retrievers.tribrid.retriever import TribridRetriever

__all__ = ["TribridRetriever"]
