"""Tribrid in LlamaIndex: a reranker that takes feedback."""

from llama_index.postprocessor.tribrid_rerank.rerank import TribridRerank

__all__ = ["TribridRerank"]
