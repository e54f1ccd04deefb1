"""A small real rerank service on loopback that speaks as Cohere, Voyage, Jina or TEI; scores depend on the pair alone.

It is as strict as the services are: an unknown field, no document, or a batch over TEI's limit is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from chat_server import ChatServer, Json, Reply, Says, Seen, chat_server

RerankServer = ChatServer
rerank_server = chat_server

_FIELDS = {
    "cohere": {"model", "query", "documents", "top_n", "max_tokens_per_doc", "priority"},
    "jina": {"model", "query", "documents", "top_n", "return_documents"},
    "voyage": {"model", "query", "documents", "top_k", "truncation", "return_documents"},
    "tei": {"model", "query", "texts", "raw_scores", "truncate", "truncation_direction", "return_text"},
}
PATHS = {"cohere": "/v1/rerank", "jina": "/v1/rerank", "voyage": "/v1/rerank", "tei": "/rerank"}
TEI_BATCH = 32


def score_of(query: str, text: str) -> float:
    """0..1: the share of the text's first twenty words that are the query's, and a little for each letter."""
    words = text.casefold().split()[:20]
    common = sum(word in set(query.casefold().split()) for word in words)
    return min(1.0, common / max(len(words), 1) * 0.9 + sum(map(ord, text[:40])) % 97 / 1000)


def ok(body: Any) -> Reply:
    return Reply(json.dumps(body).encode())


def speaks(provider: str, usage: Json | None = None) -> Says:
    """The service's answer to any question in its form; `usage` is what it says it charges."""

    def says(seen: Seen, _before: int) -> Reply:
        body = seen.body
        texts = body.get("texts" if provider == "tei" else "documents")
        if seen.path != PATHS[provider]:
            return Reply(b'{"detail": "no such path"}', 404)
        if unknown := set(body) - _FIELDS[provider]:
            return Reply(json.dumps({"message": f"unknown field {sorted(unknown)}"}).encode(), 422)
        if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
            return Reply(b'{"message": "invalid request: documents must not be empty"}', 400)
        if provider == "tei" and len(texts) > TEI_BATCH:
            return Reply(b'{"error": "batch size > maximum allowed batch size 32", "error_type": "Validation"}', 422)
        return ok(_answer(provider, body["query"], texts, usage))

    return says


def _answer(provider: str, query: str, texts: list[str], usage: Json | None) -> Any:
    scored = sorted(((score_of(query, text), i) for i, text in enumerate(texts)), reverse=True)
    name = "score" if provider == "tei" else "relevance_score"
    rows = [{"index": i, name: score} for score, i in scored]
    if provider == "tei":
        return rows
    if provider == "voyage":
        return {"object": "list", "data": rows, "model": "m", "usage": usage or {"total_tokens": 100 * len(texts)}}
    if provider == "jina":
        return {"model": "m", "results": rows, "usage": usage or {"total_tokens": 100 * len(texts)}}
    return {"id": "r", "results": rows, "meta": usage or {"billed_units": {"search_units": 1}}}


def then(*replies: Reply | Callable[[Seen], Reply], after: Says | None = None) -> Says:
    """These replies in turn, then the last again, or what `after` says."""

    def says(seen: Seen, before: int) -> Reply:
        if before >= len(replies) and after is not None:
            return after(seen, before)
        reply = replies[min(before, len(replies) - 1)]
        return reply if isinstance(reply, Reply) else reply(seen)

    return says
