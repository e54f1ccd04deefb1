"""What every answer is: data that is checked once, when it is made, and never changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, overload

from pydantic import AwareDatetime, BaseModel, ConfigDict, PlainSerializer, WithJsonSchema

drawn: dict[type, Callable[[Any], str]] = {}
"""Class of an answer → what makes HTML of it for a notebook. Filled by the library, which knows what draws."""


class Answer(BaseModel):
    """The base of all answers. Fields that it does not know are passed over, so that answers which another build stored
    can still be read.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        allow_inf_nan=False,
        defer_build=True,  # a command builds what it answers, and no more
        protected_namespaces=(),
        serialize_by_alias=True,
        json_schema_serialization_defaults_required=True,
    )

    def _repr_html_(self) -> str | None:
        """What a notebook shows."""
        draw = next((drawn[kind] for kind in type(self).__mro__ if kind in drawn), None)
        return None if draw is None else draw(self)


Time = Annotated[
    AwareDatetime,
    PlainSerializer(datetime.isoformat, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""A time in UTC; as text ISO 8601."""


@overload
def time_at(at_us: int) -> datetime: ...
@overload
def time_at(at_us: int | None) -> datetime | None: ...
def time_at(at_us: int | None) -> datetime | None:
    """A time that is stored in microseconds since 1970."""
    return None if at_us is None else datetime.fromtimestamp(at_us / 1e6, UTC)
