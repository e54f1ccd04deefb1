"""What GET /docs says beside what FastAPI finds out by itself: tags, the problem that any route may answer, and the
bodies that are read as a stream.
"""

from __future__ import annotations

from typing import Any, Literal

from fastapi import FastAPI
from pydantic import Field
from pydantic.json_schema import models_json_schema

from tribrid.answers.answer import Answer
from tribrid.answers.jobs import JobProblem, RunEvent
from tribrid.errors import codes

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


class ProblemBody(JobProblem):
    """RFC 9457, with a stable `code`; the facts of the case are further members."""

    # A newer server may send more of them, so a client must take any.
    code: str = Field(
        examples=["corpus_not_found"],
        json_schema_extra=lambda schema: schema.update(
            anyOf=[{"$ref": _REF.format(model="ErrorCode")}, {"type": schema.pop("type")}]
        ),
    )
    request_id: str = Field(examples=["6f1e0c7a4b"])


_REF = "#/components/schemas/{model}"
_BESIDE = (ProblemBody, RunEvent)


def content(model: type[Answer]) -> dict[str, Any]:
    """The content of an answer of another type than JSON, whose model is one of `_BESIDE`."""
    return {"schema": {"$ref": _REF.format(model=model.__name__)}}


PROBLEMS: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "A problem: what happened and what to do.",
        "content": {"application/problem+json": content(ProblemBody)},
    }
}


TEXT: dict[str, Any] = {"schema": {"type": "string"}}
"""The content of an answer that is not JSON."""


def document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document. FastAPI knows no model of an answer that is not JSON by its content type, and no codes of
    errors, so these are put in here.
    """
    if app.openapi_schema is None:
        made = FastAPI.openapi(app)
        models: list[tuple[type[Answer], Literal["serialization"]]] = [(m, "serialization") for m in _BESIDE]
        schemas = made["components"]["schemas"]
        schemas |= models_json_schema(models, ref_template=_REF)[1]["$defs"]
        schemas["ErrorCode"] = {"type": "string", "enum": codes(), "description": "Of an error, to program against."}
        for methods in made["paths"].values():
            for operation in methods.values():
                _describe(operation["responses"], schemas)
    return FastAPI.openapi(app)


def _describe(responses: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Say of an answer what its model says of itself, where the route says nothing."""
    for answer in responses.values():
        if answer["description"] == "Successful Response":
            kinds = list(answer.get("content", {}).values())
            parts = kinds[0]["schema"].get("anyOf", [kinds[0]["schema"]]) if kinds else []
            model = parts[0].get("$ref", "").rpartition("/")[2] if parts else ""
            answer["description"] = schemas[model]["description"] if model else "Done."


def takes(types: dict[str, Any], description: str) -> dict[str, Any]:
    """The `openapi_extra` of a route that reads its body itself: an example for each content type."""
    content = {kind: {"schema": {}, "example": example} for kind, example in types.items()}
    return {"requestBody": {"required": True, "description": description, "content": content}}
