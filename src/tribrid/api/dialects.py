"""The forms in which rerank clients ask, are answered, and read errors: Cohere v1 and v2, Jina, vLLM and infinity in
one superset; Voyage; Hugging Face TEI. Liberal in what is taken: unknown fields are passed over, null is "not given".
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from pydantic import JsonValue
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from tribrid.answers.rerank import (
    CohereMeta,
    CohereRow,
    CohereTokens,
    CohereVersion,
    RerankAnswer,
    RerankedDocument,
    RerankFacts,
    Reranking,
    RerankUsage,
    TeiAnswer,
    TeiRow,
    VoyageAnswer,
    VoyageRow,
    VoyageUsage,
)
from tribrid.errors import InvalidInput

ROUTES = ("/rerank", "/v1/rerank", "/v2/rerank", "/reranking", "/v1/reranking", "/voyage/v1/rerank")
_PATH = re.compile(r"(?P<voyage>/voyage)?(?:/(?:v\d|rerank|reranking))*/(?:rerank|reranking)")
_VERSION = re.compile(r"/v(\d)")
MAX_NAME_CHARS = 1000
MAX_FIELDS = 100
_TRUE, _FALSE = {"true", "1", "yes"}, {"false", "0", "no", ""}
_ENDS, _NO_END = {"start", "end", "left", "right", "auto"}, "none"
"""What NVIDIA's calls, Cohere's others and TEI's say of `truncate`: from where to cut a long text, or not at all."""
_OPENAI_TYPES = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}
_TEI_TYPES = {400: "Empty", 401: "Unauthorized", 424: "Backend", 429: "Overloaded", 503: "Unhealthy"}


Call = Mapping[str, JsonValue]


class Dialect(StrEnum):
    """Whose form an answer has."""

    COHERE = "cohere"
    COHERE_2 = "cohere 2"
    VOYAGE = "voyage"
    TEI = "tei"


def canonical(path: str) -> str | None:
    """The route that a client means whose base URL was put together in one way or another; None if no rerank route:
    `//rerank`, `/v1/rerank/`, `/v1/v2/rerank` (the Cohere SDK on a base URL with /v1), `/rerank/rerank`.
    """
    clean = re.sub("/+", "/", path).rstrip("/")
    found = _PATH.fullmatch(clean)
    if found is None:
        return None
    if found["voyage"]:
        return "/voyage/v1/rerank"
    version = _VERSION.findall(clean)[-1:]
    name = clean.rsplit("/", 1)[1] if version != ["2"] else "rerank"
    return f"/v{version[0]}/{name}" if version in (["1"], ["2"]) else f"/{name}"


def dialect_of(path: str, body: Call) -> Dialect:
    """The form of a call: by its route, and TEI's by its body."""
    if path == "/voyage/v1/rerank":
        return Dialect.VOYAGE
    if "texts" in body and "documents" not in body:
        return Dialect.TEI
    return Dialect.COHERE_2 if path.startswith("/v2/") else Dialect.COHERE


def likely_dialect(path: str, raw: bytes) -> Dialect:
    """`dialect_of`, by a look at a body that nobody has parsed: for who is refused before."""
    return dialect_of(path, {name: None for name in ("documents", "texts") if f'"{name}"'.encode() in raw})


class RerankPaths:
    """Middleware that sends a request for any spelling of a rerank route to the route."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (route := canonical(scope["path"])) is not None:
            scope["path"], scope["raw_path"] = route, route.encode()
        await self._app(scope, receive, send)


# ------------------------------------------------------------------------------------------ calls


def call_of(body: Call, corpus_id: str | None = None) -> dict[str, Any]:
    """What `Tribrid.rerank` is to be called with.

    Args:
        corpus_id: the URL's.

    Raises:
        InvalidInput: a field is missing, of the wrong type, or contradicts another.
    """
    query = body.get("query")
    if not isinstance(query, str):
        raise InvalidInput("query: a string is required.", field="query")
    for name in ("raw_scores", "return_documents", "return_text"):  # before anything is done, as all else
        flag(body, name, False)
    documents = _documents(body)
    if not isinstance(documents, list):
        raise InvalidInput("documents: a list is required.", field="documents")
    return {
        "query": query,
        "documents": documents,
        "model": _text(body, "model"),
        "corpus_id": _corpus(body, corpus_id),
        "client_id": _text(body, "client_id"),
        "top_n": _limit(body),
        "rank_fields": _fields(body),
        "max_chunks_per_doc": _number(body, "max_chunks_per_doc"),
        "max_tokens_per_doc": _number(body, "max_tokens_per_doc"),
        "truncate": _truncate(body) and flag(body, "truncation", True),
    }


def _documents(body: Call) -> JsonValue:
    given = {name: body[name] for name in ("documents", "texts", "input") if body.get(name) is not None}
    first, *others = given.values() or [None]
    if any(other != first for other in others):
        named = " and ".join(given)
        raise InvalidInput(f"{named} are the same and must not differ. Send one of them.", field=next(iter(given)))
    return first


def _corpus(body: Call, in_url: str | None) -> str | None:
    in_body = _text(body, "corpus_id")
    if in_body and in_url and in_body != in_url:
        raise InvalidInput(
            f"corpus_id: The URL says {in_url!r} and the body {in_body!r}. Send one of the two.", field="corpus_id"
        )
    return in_body or in_url


def flag(body: Call, name: str, default: bool) -> bool:
    """A yes or no, also as the strings and numbers that some clients send.

    Raises:
        InvalidInput: it is neither.
    """
    value = body.get(name)
    if value is None:
        return default
    word = str(value).strip().lower()
    if word not in _TRUE | _FALSE:
        raise InvalidInput(f"{name}: true or false.", field=name)
    return word in _TRUE


def _truncate(body: Call) -> bool:
    """Whether documents may be read in part."""
    word = str(body.get("truncate")).strip().lower()
    if body.get("truncate") is None or word in _ENDS:
        return True
    return word != _NO_END and flag(body, "truncate", True)


def _limit(body: Call) -> int | None:
    """`top_n` or `top_k`; 0 and null mean all."""
    given = {number for name in ("top_n", "top_k") if (number := _number(body, name)) is not None}
    if len(given) > 1:
        raise InvalidInput("top_n and top_k are the same and must not differ. Send one of the two.", field="top_n")
    return given.pop() if given else None


def _number(body: Call, name: str) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    try:
        number = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else None
        if number is not None and number == int(number):
            return int(number)
    except (ValueError, OverflowError):
        pass  # said below, as for every other value that is no number
    raise InvalidInput(f"{name}: must be a whole number.", field=name)


def _text(body: Call, name: str) -> str | None:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidInput(f"{name}: must be a string.", field=name)
    if value is not None and len(value) > MAX_NAME_CHARS:  # a refusal repeats it
        raise InvalidInput(f"{name}: up to {MAX_NAME_CHARS} characters.", field=name, length=len(value))
    return value or None


def _fields(body: Call) -> list[str] | None:
    value = body.get("rank_fields")
    if value is None:
        return None
    names = [name for name in value if isinstance(name, str)] if isinstance(value, list) else []
    if not isinstance(value, list) or len(names) < len(value):
        raise InvalidInput("rank_fields: must be a list of names.", field="rank_fields")
    if len(names) > MAX_FIELDS or any(len(name) > MAX_NAME_CHARS for name in names):
        raise InvalidInput(
            f"rank_fields: up to {MAX_FIELDS} names of up to {MAX_NAME_CHARS} characters.", field="rank_fields"
        )
    return names or None


# ------------------------------------------------------------------------------------------ answers


def answer(dialect: Dialect, found: Reranking, body: Call, path: str) -> RerankAnswer | VoyageAnswer | TeiAnswer:
    """The answer of `Tribrid.rerank` in the form of a client."""
    raw, documents = flag(body, "raw_scores", False), flag(body, "return_documents", False)
    if dialect is Dialect.TEI:
        text = flag(body, "return_text", False)
        rows = (TeiRow(index=r.index, score=_score(r, raw), text=_text_of(r) if text else None) for r in found.results)
        return TeiAnswer(tuple(rows))
    beside = {name: getattr(found, name) for name in RerankFacts.model_fields}
    if dialect is Dialect.VOYAGE:
        return VoyageAnswer(
            **beside,
            id=found.query_id,
            data=tuple(
                VoyageRow(**_row(row, raw), document=_text_of(row) if documents else None) for row in found.results
            ),
            model=found.model,
            usage=VoyageUsage(total_tokens=found.tokens),
        )
    documents = documents and dialect is not Dialect.COHERE_2
    return RerankAnswer(
        **beside,
        id=found.query_id,
        created=int(time.time()),
        model=found.model,
        results=tuple(
            CohereRow(**_row(row, raw), document=row.document if documents else None) for row in found.results
        ),
        usage=RerankUsage(prompt_tokens=found.tokens, total_tokens=found.tokens),
        meta=CohereMeta(
            api_version=CohereVersion(version="2" if path.startswith("/v2/") else "1"),
            tokens=CohereTokens(input_tokens=found.tokens),
            warnings=found.warnings,
        ),
    )


def _row(row: RerankedDocument, raw: bool) -> dict[str, Any]:
    return {"index": row.index, "relevance_score": _score(row, raw), "id": row.doc_id, "doc_id": row.doc_id}


def _score(row: RerankedDocument, raw: bool) -> float:
    return row.raw_score if raw else row.score


def _text_of(row: RerankedDocument) -> str:
    return str(row.document["text"])


# ------------------------------------------------------------------------------------------ errors


def in_dialect(request: Request, problem: Mapping[str, Any]) -> dict[str, Any]:
    """A problem as rerank clients read it too, if it is one of theirs: `message` for Cohere's, `error` for OpenAI's and
    TEI's; `detail`, which Jina's and Voyage's read, is there already.
    """
    path = request.scope["path"]
    if canonical(path) is None and not routes_meant(path):
        return dict(problem)
    tei = getattr(request.state, "dialect", None) is Dialect.TEI
    status, detail = int(problem["status"]), str(problem["detail"])
    if status == 422 and (not tei or "must not be empty" in detail):
        status = 400
    ours = {**problem, "status": status, "message": detail, "id": getattr(request.state, "request_id", "")}
    if tei:
        kind = _TEI_TYPES.get(status, "Validation" if status < 500 else "Backend")
        return {**ours, "error": detail, "error_type": kind}
    kind = _OPENAI_TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    error = {"message": detail, "type": kind, "param": problem.get("field"), "code": problem["code"]}
    return {**ours, "error": error}


def routes_meant(path: str) -> Sequence[str]:
    """The rerank routes, for a path that looks as if one of them was meant."""
    return ROUTES if "rerank" in path.lower() and not path.startswith("/reranker/") else ()
