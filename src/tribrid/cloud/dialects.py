"""The forms in which rerank services are asked and answer: Cohere's, Voyage's, Jina's, and TEI's.

Asking is exact: some refuse a field they do not know. Reading is liberal in where the scores stand, since servers that
imitate these services mix their forms, and strict in what they are: one finite number for each document.

References: docs.cohere.com/reference/rerank; docs.voyageai.com/reference/reranker-api; api.jina.ai/docs; Hugging Face
text-embeddings-inference, router/src/http/types.rs.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

import numpy as np

from tribrid.scoring.learned import Scores

Provider = Literal["cohere", "voyage", "jina", "tei"]

OWN_ADDRESS: dict[Provider, str] = {
    "cohere": "https://api.cohere.com/v2/rerank",
    "voyage": "https://api.voyageai.com/v1/rerank",
    "jina": "https://api.jina.ai/v1/rerank",
}
"""The services' own; TEI is only ever somebody's own server."""
DOCUMENTS_PER_REQUEST: dict[Provider, int] = {"cohere": 1000, "voyage": 1000, "jina": 1000, "tei": 32}
"""The services' limits; TEI's is the default of its max_client_batch_size."""
ANSWERS_RAW: frozenset[Provider] = frozenset({"tei"})
"""Whose scores are logits, because `question` asks for them; the others' are 0..1."""
NO_TEXT = "-"
"""Sent for a document without text: services refuse an empty one, and with it the whole request."""
_MOST_UNITS = 10**12


@dataclass(frozen=True, slots=True)
class Billed:
    """What a service says it charges for; None where it does not say."""

    searches: float | None = None
    tokens: float | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """Scores float64 (n,), one a document in the order asked, higher is better; and the bill."""

    scores: Scores
    billed: Billed


def endpoint(provider: Provider, url: str | None) -> str | None:
    """Where to post: the service's own address, or a configured one completed; None for TEI without one.

    A path that ends in /rerank or /reranking is taken as it is; another gets /rerank, and none gets /v1/rerank, which
    most servers have (TEI: /rerank).
    """
    if url is None:
        return OWN_ADDRESS.get(provider)
    base = url.rstrip("/")
    path = urlsplit(base).path
    if path.endswith(("/rerank", "/reranking")):
        return base
    return f"{base}/rerank" if path or provider == "tei" else f"{base}/v1/rerank"


def question(provider: Provider, model: str | None, query: str, texts: Sequence[str]) -> dict[str, object]:
    """The body of a request. Every document's score is asked for, none of their texts."""
    documents = [text if text.strip() else NO_TEXT for text in texts]
    named: dict[str, object] = {} if model is None else {"model": model}
    if provider in ANSWERS_RAW:
        # Raw scores: a sigmoid's are equal for all good documents.
        return {**named, "query": query, "texts": documents, "raw_scores": True, "truncate": True}
    body = {**named, "query": query, "documents": documents}
    if provider == "voyage":
        return {**body, "top_k": len(documents), "truncation": True}
    body["top_n"] = len(documents)  # some servers take no null, others return fewer without it
    return body if provider == "cohere" else {**body, "return_documents": False}


def answer(content: bytes, documents: int) -> Answered:
    """What a service's 200 says of so many documents.

    Raises:
        ValueError: it is no such answer, or not one finite score for each; says why, in words of our own.
    """
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        raise ValueError("something that is not JSON") from None
    rows = body if isinstance(body, list) else _rows(body)
    scores = np.full(documents, np.nan)
    for row in rows:
        index, score = _row(row)
        if not 0 <= index < documents:
            raise ValueError(f"a score for document {index} of {documents}")
        if not np.isnan(scores[index]):
            raise ValueError(f"two scores for document {index}")
        scores[index] = score
    if missing := int(np.isnan(scores).sum()):
        raise ValueError(f"scores for {documents - missing} of {documents} documents")
    return Answered(scores, _billed(body if isinstance(body, dict) else {}))


def _rows(body: object) -> list[Any]:
    if isinstance(body, dict):
        for name in ("results", "data"):
            if isinstance(rows := body.get(name), list):
                return rows
    raise ValueError("something without results")


def _row(row: object) -> tuple[int, float]:
    if not isinstance(row, dict):
        raise ValueError("a result that is no object")  # noqa: TRY004 - it is the value, as JSON, that is wrong
    index, score = row.get("index"), row.get("relevance_score", row.get("score"))
    if not isinstance(index, int) or isinstance(index, bool):
        raise ValueError("a result without an index")  # noqa: TRY004
    if not isinstance(score, int | float) or isinstance(score, bool) or not math.isfinite(score):
        raise ValueError("a score that is no number")
    return index, float(score)


def _billed(body: Mapping[str, object]) -> Billed:
    meta, usage = _object(body.get("meta")), _object(body.get("usage"))
    units = _object(meta.get("billed_units"))
    return Billed(
        searches=_first(units.get("search_units"), usage.get("search_units")),
        tokens=_first(units.get("input_tokens"), usage.get("total_tokens")),
    )


def _first(*values: object) -> float | None:
    """The first that is a count to believe: json.loads makes NaN and infinity of their names."""
    for value in values:
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _MOST_UNITS:
            return float(value)
    return None


def _object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}
