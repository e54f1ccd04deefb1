"""Forms made from the schema of the settings: a field for each, with its bounds, and what was filled in as values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import JsonValue

from tribrid.answers.settings import Setting
from tribrid.config import Config
from tribrid.errors import InvalidInput

Kind = Literal["switch", "integer", "number", "choice", "text", "list"]
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Field:
    """One setting as a field of a form. `shown`: its value as text; `origin`: where that is from."""

    section: str
    name: str
    kind: Kind
    shown: str
    default: str
    origin: str
    description: str
    low: float | None = None
    high: float | None = None
    choices: Sequence[str] = ()
    optional: bool = False

    @property
    def id(self) -> str:
        """Of the form's control."""
        return f"{self.section}-{self.name}"

    @property
    def bounds(self) -> str:
        """In words; empty where there are none."""
        low, high = (None if bound is None else f"{bound:,.10g}" for bound in (self.low, self.high))
        if low and high:
            return f"{low} to {high}"
        return f"{low} or more" if low else f"{high} or less" if high else ""

    def value(self, text: str) -> JsonValue:
        """What was filled in; None for nothing.

        Raises:
            InvalidInput: it is no number where one is wanted.
        """
        if not text:
            return None
        if self.kind == "switch":
            return text == "true"
        if self.kind == "list":
            return list[JsonValue](text.replace(",", " ").split())
        if self.kind not in ("integer", "number"):
            return text
        try:
            return int(text) if self.kind == "integer" else float(text)
        except ValueError:
            raise InvalidInput(f"{self.section}.{self.name}: {text!r} is no {self.kind}.", setting=self.name) from None


def fields(section: str, settings: Mapping[str, Setting]) -> list[Field]:
    """The fields of a section, in its order."""
    schema = type(getattr(Config(), section)).model_json_schema(mode="validation")
    return [_field(section, name, schema, schema["properties"][name], found) for name, found in settings.items()]


def changed(fields: Sequence[Field], given: Mapping[str, str]) -> dict[str, JsonValue]:
    """What was filled in differently from what was shown."""
    return {
        field.name: field.value(given[field.name])
        for field in fields
        if field.name in given and given[field.name] != field.shown
    }


def _field(section: str, name: str, schema: Json, about: Json, found: Setting) -> Field:
    branches = [_resolved(schema, branch) for branch in about.get("anyOf", [about])]
    real = next((branch for branch in branches if branch.get("type") != "null"), {})
    return Field(
        section=section,
        name=name,
        kind=_kind(real),
        shown=_text(found.value),
        default=_text(found.default),
        origin=found.origin,
        description=found.description,
        low=real.get("minimum", real.get("exclusiveMinimum")),
        high=real.get("maximum", real.get("exclusiveMaximum")),
        choices=tuple(str(choice) for choice in real.get("enum", ())),
        optional=len(branches) > 1,
    )


def _resolved(schema: Json, branch: Json) -> Json:
    name = str(branch.get("$ref", "")).rpartition("/")[2]
    return schema["$defs"][name] if name else branch


def _kind(real: Json) -> Kind:
    if "enum" in real:
        return "choice"
    kinds: dict[str, Kind] = {"boolean": "switch", "integer": "integer", "number": "number", "array": "list"}
    return kinds.get(str(real.get("type")), "text")


def _text(value: JsonValue) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
