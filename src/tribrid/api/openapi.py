"""What GET /docs says beside what FastAPI finds out by itself: tags, the problem that any route may answer, and the
bodies that are read as a stream.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

DESCRIPTION = """\
Search rankings that learn from what users did, with proof: index → search → log → mine → train → evaluate → promote →
serve. Every error is `application/problem+json` with a stable `code`, and a `detail` that says what to do.
"""

TAGS = [
    {"name": "corpora", "description": "Corpora and their documents."},
    {"name": "labels", "description": "Relevance judgments, and the fixed eval dataset."},
    {"name": "search", "description": "Search, what users did with it, and logs from elsewhere."},
    {"name": "rerank", "description": "Other engines' documents, in the forms of Cohere, Jina, Voyage and TEI."},
    {"name": "reranker", "description": "Mine, train, evaluate, and what came of it."},
    {"name": "runs", "description": "Training runs and other jobs, and their progress as it happens."},
    {"name": "models", "description": "Model versions: which one serves, and going back."},
    {"name": "config", "description": "Settings, with where each value came from."},
    {"name": "operation", "description": "Is it up, is it ready, how is it doing."},
]


class ProblemBody(BaseModel):
    """RFC 9457, with a stable `code`; the facts of the case are further members."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(examples=["urn:tribrid:problem:corpus_not_found"])
    title: str = Field(examples=["No such corpus"])
    status: int = Field(examples=[404])
    code: str = Field(examples=["corpus_not_found"])
    detail: str = Field(examples=["There is no corpus 'a'. Create it with POST /corpora or `tribrid index`."])
    request_id: str = Field(examples=["6f1e0c7a4b"])


PROBLEMS: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "A problem: what happened and what to do.",
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemBody"}}},
    }
}


def answers(description: str, example: Any, status: int = 200) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route whose answer looks like the example."""
    return {status: {"description": description, "content": {"application/json": {"example": example}}}}


def takes(types: dict[str, Any], description: str) -> dict[str, Any]:
    """The `openapi_extra` of a route that reads its body itself: an example for each content type."""
    content = {kind: {"schema": {}, "example": example} for kind, example in types.items()}
    return {"requestBody": {"required": True, "description": description, "content": content}}
