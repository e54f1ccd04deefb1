"""GET /docs: the OpenAPI description as one page that loads nothing from anywhere, so that it works offline and tells
no third party who reads it. Programs read GET /openapi.json.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
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
    return render("docs.html", schema=schema, kind=_kind, fields=partial(_fields, schema), shown=_shown)


def _fields(schema: Json, content: Json) -> list[tuple[str, Json, str]]:
    """Name, schema and meaning of each field of a body, or of an answer as it is if all goes well."""
    first: Json = content["schema"].get("anyOf", [content["schema"]])[0]
    named: Json = schema["components"]["schemas"].get(_referred(first), {})
    return [(name, field, field.get("description", "")) for name, field in named.get("properties", {}).items()]


def _referred(schema: Json) -> str:
    """The name of the schema that is referred to; empty where none is."""
    return str(schema.get("$ref", "")).rpartition("/")[2]


def _kind(field: Json) -> str:
    """A field's type, bounds and default, in a few words."""
    kinds = [field, *field.get("anyOf", [])]
    names = [name for kind in kinds if (name := str(kind.get("type", _referred(kind))))] or ["any JSON"]
    bounds = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    limits = [f"{sign} {kind[name]}" for kind in kinds for name, sign in bounds.items() if name in kind]
    default = [f"default {json.dumps(field['default'])}"] if field.get("default") is not None else []
    return ", ".join([" or ".join(names), *limits, *default])


def _shown(example: object) -> str:
    return example if isinstance(example, str) else json.dumps(example, indent=2, ensure_ascii=False)
