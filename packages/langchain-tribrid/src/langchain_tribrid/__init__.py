"""Tribrid in LangChain: a reranker and a retriever that take feedback."""

from langchain_tribrid.rerank import TribridRerank
from langchain_tribrid.retriever import TribridRetriever

__all__ = ["TribridRerank", "TribridRetriever"]
