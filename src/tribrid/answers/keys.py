"""API keys, without what could be tried against their secrets."""

from __future__ import annotations

from pydantic import Field, JsonValue

from tribrid.answers.answer import Answer, Time
from tribrid.types import Scope


class KeyFacts(Answer):
    """An API key."""

    key_id: str
    name: str
    scopes: tuple[Scope, ...]
    corpora: tuple[str, ...] | None = Field(description="The only corpora that it is for. Null: it is for all.")
    filter: dict[str, JsonValue] | None = Field(
        description="The only documents that it finds, by their metadata. Null: it finds all."
    )
    created_at: Time
    revoked_at: Time | None = Field(description="Null: it holds.")


class NewKey(KeyFacts):
    """A key that was just made."""

    key: str = Field(description="What to send. It is told once and stored nowhere.")


class KeyList(Answer):
    """Every key there ever was, oldest first."""

    keys: tuple[KeyFacts, ...]
