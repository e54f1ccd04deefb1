"""The parts that pages of the reference are made of: headings, tables, and how a JSON schema reads in a cell."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

NOTICE = "<!-- Written by docs/generate.py from the program itself. Edit the program, then run it. -->"


def fields(schema: Mapping[str, Any]) -> str:
    """A table of what a schema has."""
    rows = [(f"`{name}`", type_of(field), field.get("description", "")) for name, field in schema["properties"].items()]
    return table(("Field", "Type", "Meaning"), rows)


def refs(tree: object) -> set[str]:
    """The names of the schemas that are referred to in a part of the document, but for free JSON."""
    named = re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(tree))
    return {name for name in named if name != "JsonValue"}


def type_of(schema: Mapping[str, Any]) -> str:
    """A field's type in words; objects lead to where they are described."""
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(map(type_of, schema["anyOf"])))
    if name := ref(schema):
        return "JSON" if name == "JsonValue" else f"[{name}](answers.md#{name.lower()})"
    if "enum" in schema or "const" in schema:
        return " or ".join(code_of(value) for value in schema.get("enum", [schema.get("const")]))
    return collection(schema) or ("time" if schema.get("format") == "date-time" else schema.get("type", "JSON"))


def collection(schema: Mapping[str, Any]) -> str:
    """Of a list or an object in words; empty for others."""
    if "prefixItems" in schema:
        return f"[{', '.join(map(type_of, schema['prefixItems']))}]"
    if "items" in schema:
        return f"list of {type_of(schema['items'])}"
    inside = schema.get("additionalProperties")
    return f"object of {type_of(inside)}" if isinstance(inside, dict) else ""


def head(title: str, text: str) -> Iterator[str]:
    """The start of a page."""
    yield NOTICE
    yield f"# {title}"
    if text:
        yield text


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(cell(text) for text in line) + " |" for line in lines)


def cell(text: str) -> str:
    """Text that fits in a cell."""
    return " ".join(text.split()).replace("|", "\\|")


def paragraphs(text: str) -> str:
    """Prose, a line for each paragraph."""
    return "\n\n".join(" ".join(part.split()) for part in re.split(r"\n\s*\n", text.strip()))


def example(value: Any) -> str:
    """A block that shows a value."""
    if isinstance(value, str):
        return f"```text\n{value.strip()}\n```"
    return f"```json\n{json.dumps(value, indent=2, ensure_ascii=False)}\n```"


def code_of(value: Any) -> str:
    """A value as code."""
    return "none" if value is None else f"`{json.dumps(value) if not isinstance(value, str) else value}`"


def ref(schema: Mapping[str, Any]) -> str:
    """The name of the schema that this one leads to; empty for none."""
    return str(schema.get("$ref", "")).rpartition("/")[2]


def bounds(schema: Mapping[str, Any]) -> str:
    """The values that a schema allows, in words."""
    if "anyOf" in schema:
        return " or ".join(sorted(map(bounds, schema["anyOf"]), key=lambda part: part != "none"))
    if schema.get("type") == "null":
        return "none"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "items" in schema:
        return "list of words"
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    if low is None and high is None:
        longest = f", at most {schema['maxLength']:,} characters" if "maxLength" in schema else ""
        return f"{schema.get('type', 'any')}{longest}"
    from_ = "above " if "exclusiveMinimum" in schema else ""
    to = "below " if "exclusiveMaximum" in schema else ""
    return f"{schema['type']}, {from_}{low:,g} to {to}{high:,.10g}" if high is not None else f"{schema['type']}, {low}+"


def shape(schema: Mapping[str, Any]) -> str:
    """As `bounds`, for what a route takes: lists and named enumerations as well."""
    if "anyOf" in schema:
        return shape(next(part for part in schema["anyOf"] if part.get("type") != "null"))
    if "items" in schema:
        return f"list of {shape(schema['items'])}"
    return f"a {ref(schema).lower()}" if ref(schema) else bounds(schema)
