"""Every setting with where its value came from."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, JsonValue

from tribrid.answers.answer import Answer


class Setting(Answer):
    """One setting."""

    value: JsonValue = Field(examples=[50])
    origin: Literal["corpus", "environment", "global", "default"] = Field(description="Where the value is from.")
    default: JsonValue = Field(examples=[50])
    description: str = Field(examples=["Candidates to rerank (documents)."])


class AllSettings(Answer):
    """Every setting that holds for a corpus, or where no corpus says otherwise."""

    corpus_id: str | None = Field(description="Null: all corpora.")
    settings: dict[str, dict[str, Setting]] = Field(description="By section and name.")
