"""What every answer is: data that is checked once, when it is made, and never changed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, overload

from pydantic import AwareDatetime, BaseModel, ConfigDict, PlainSerializer, WithJsonSchema


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
