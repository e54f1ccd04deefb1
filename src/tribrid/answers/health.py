"""Whether the server is up, and ready."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tribrid.answers.answer import Answer


class Health(Answer):
    """The process is up."""

    status: Literal["ok"] = "ok"
    version: str = Field(examples=["0.1.0"])


class Ready(Answer):
    """The models are loaded."""

    status: Literal["ready"] = "ready"
