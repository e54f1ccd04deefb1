"""The settings of what documents' own data adds to the blend: fields of their metadata, and what the log counts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal, cast

from pydantic import AfterValidator, Field

from tribrid.config.fields import Section, Words

FieldKind = Literal["number", "category", "date"]
_FIELD = re.compile(r"(?P<name>[^\x00-\x1f,;]+):(?P<kind>number|category|date)(?::(?P<way>up|down))?")
_TWO_FIELDS = re.compile(r":(?:number|category|date)\b")
_WAYS = {None: 0, "up": 1, "down": -1}


@dataclass(frozen=True, slots=True)
class NamedField:
    """A field of the documents' metadata.

    Attributes:
        monotone: 1: more of it (of a date: later) never lowers a score; -1: never raises it; 0: either.
    """

    name: str
    kind: FieldKind
    monotone: int

    @classmethod
    def of(cls, word: str) -> NamedField:
        """From `name:kind` or `name:kind:way`.

        Raises:
            ValueError: it is neither; says why.
        """
        found = _FIELD.fullmatch(word)
        if found is None or _TWO_FIELDS.search(found["name"]):
            raise ValueError(
                f"{word!r} must be name:kind or name:kind:way, with number, category or date as kind and up or down as "
                "way, such as price:number or stock:number:up; fields stand apart by blanks"
            )
        if found["kind"] == "category" and found["way"]:
            raise ValueError(f"{word!r}: a category has no order, so it cannot go {found['way']}")
        return cls(found["name"], cast("FieldKind", found["kind"]), _WAYS[found["way"]])


def _checked(words: tuple[str, ...]) -> tuple[str, ...]:
    names = [NamedField.of(word).name for word in words]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"{twice!r} is named twice")
    return words


class FeaturesConfig(Section):
    """Learned at the next training. A model keeps what it learned of them, whatever the settings are then."""

    fields: Annotated[Words, AfterValidator(_checked)] = Field(
        (),
        description="Fields of the documents' metadata that a training learns from, as name:kind or name:kind:way: "
        "price:number stock:number:up brand:category released:date. up: more of it, or later, never lowers a score; "
        "down: never raises it.",
    )
    clicks: bool = Field(
        False,
        description="Learn from how many clients used each document in the log, of those who looked at it, whatever "
        "they searched for. What is popular is then shown more, and used more.",
    )
    clicks_half_life_days: float = Field(
        30,
        ge=0.01,
        le=10_000,
        description="Age at which a use counts half of one that happens as the log ends, days.",
    )

    @property
    def named(self) -> tuple[NamedField, ...]:
        """The fields, read."""
        return tuple(map(NamedField.of, self.fields))

    @property
    def asks_nothing(self) -> bool:
        """Whether the texts are all that is learned from."""
        return not self.fields and not self.clicks
