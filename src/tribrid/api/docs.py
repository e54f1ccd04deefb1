"""GET /docs: the OpenAPI description as one page that loads nothing from anywhere, so that it works offline and tells
no third party who reads it. Programs read GET /openapi.json.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

router = APIRouter()

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
details { border: 1px solid #8886; border-radius: .4rem; margin: .4rem 0; padding: .4rem .8rem; }
summary { cursor: pointer; }
summary b { display: inline-block; min-width: 4.5rem; }
pre { overflow-x: auto; padding: .6rem; border-radius: .4rem; background: #8882; }
td, th { text-align: left; vertical-align: top; padding: .15rem .8rem .15rem 0; }
"""
Json = Mapping[str, Any]


@router.get("/docs", include_in_schema=False)
def docs(request: Request) -> HTMLResponse:
    """Every route, what it takes and what it answers."""
    return HTMLResponse(page(request.app.openapi()))


def page(schema: Json) -> str:
    """The page of an OpenAPI description."""
    info = schema["info"]
    title = f"{escape(info['title'])} {escape(info['version'])}"
    head = f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><style>{_STYLE}</style>"
    parts = [head, f"<h1>{title}</h1><p>{_prose(info['description'])}</p>"]
    parts.append("<p>For programs: <a href=openapi.json>openapi.json</a></p>")
    for tag in schema["tags"]:
        parts.append(f"<h2>{escape(tag['name'])}</h2><p>{_prose(tag['description'])}</p>")
        parts.extend(_operations(schema, tag["name"]))
    return "\n".join(parts)


def _operations(schema: Json, tag: str) -> Iterator[str]:
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            if tag in operation["tags"]:
                name = f"<b>{escape(method.upper())}</b><code>{escape(path)}</code>"
                body = "".join(_operation(schema, operation))
                yield f"<details><summary>{name} – {escape(operation['summary'])}</summary>{body}</details>"


def _operation(schema: Json, operation: Json) -> Iterator[str]:
    yield f"<p>{_prose(operation['description'])}</p>"
    yield _table([(p["name"], p["schema"], p.get("description", "")) for p in operation.get("parameters", [])])
    body = operation.get("requestBody", {})
    if body.get("description"):
        yield f"<p>{_prose(body['description'])}</p>"
    for kind, content in body.get("content", {}).items():
        yield f"<p>Takes <code>{escape(kind)}</code></p>"
        named = schema["components"]["schemas"].get(content["schema"].get("$ref", "").rpartition("/")[2], {})
        yield _table([(n, field, field.get("description", "")) for n, field in named.get("properties", {}).items()])
        yield _example(content.get("example"))
    for status, response in operation["responses"].items():
        if status != "default":
            yield f"<p>Answers {escape(status)}: {_prose(response['description'])}</p>"
            yield from (_example(content.get("example")) for content in response.get("content", {}).values())


def _table(rows: list[tuple[str, Json, str]]) -> str:
    cells = "".join(
        f"<tr><td><code>{escape(name)}</code><td>{escape(_kind(field))}<td>{_prose(about)}"
        for name, field, about in rows
    )
    return f"<table>{cells}</table>" if cells else ""


def _kind(field: Json) -> str:
    """A field's type, bounds and default, in a few words."""
    kinds = [field, *field.get("anyOf", [])]
    names = [str(kind["type"]) for kind in kinds if "type" in kind] or ["one of a list"]
    bounds = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    limits = [f"{sign} {kind[name]}" for kind in kinds for name, sign in bounds.items() if name in kind]
    default = [f"default {json.dumps(field['default'])}"] if field.get("default") is not None else []
    return ", ".join([" or ".join(names), *limits, *default])


def _example(example: Any) -> str:
    if example is None:
        return ""
    text = example if isinstance(example, str) else json.dumps(example, indent=2, ensure_ascii=False)
    return f"<pre>{escape(text)}</pre>"


def _prose(text: str) -> str:
    """Text with its `code` marked."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
