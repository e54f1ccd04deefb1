"""GET /docs: the OpenAPI description as one page that loads nothing from anywhere, so that it works offline and tells
no third party who reads it. Programs read GET /openapi.json.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from tribrid.report.templates import render

router = APIRouter()

Json = Mapping[str, Any]


@router.get("/docs", include_in_schema=False)
def docs(request: Request) -> HTMLResponse:
    """Every route, what it takes and what it answers."""
    return HTMLResponse(page(request.app.openapi()))


def page(schema: Json) -> str:
    """The page of an OpenAPI description."""
    return render("docs.html", schema=schema, kind=_kind, properties=_properties, shown=_shown)


def _properties(schema: Json, content: Json) -> Json:
    """The fields of a body."""
    named: Json = schema["components"]["schemas"].get(content["schema"].get("$ref", "").rpartition("/")[2], {})
    found: Json = named.get("properties", {})
    return found


def _kind(field: Json) -> str:
    """A field's type, bounds and default, in a few words."""
    kinds = [field, *field.get("anyOf", [])]
    names = [str(kind["type"]) for kind in kinds if "type" in kind] or ["one of a list"]
    bounds = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    limits = [f"{sign} {kind[name]}" for kind in kinds for name, sign in bounds.items() if name in kind]
    default = [f"default {json.dumps(field['default'])}"] if field.get("default") is not None else []
    return ", ".join([" or ".join(names), *limits, *default])


def _shown(example: object) -> str:
    return example if isinstance(example, str) else json.dumps(example, indent=2, ensure_ascii=False)
