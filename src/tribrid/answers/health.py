"""Whether the server is up, and ready."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tribrid.answers.answer import Answer


class Health(Answer):
    """The process is up."""

    status: Literal["ok"] = "ok"
    version: str = Field(examples=["0.1.0"])


class Trouble(Answer):
    """Something that does not work as it should, while searches are answered."""

    what: Literal["disk", "storage", "store", "log", "index", "documents", "evaluation"] = Field(
        description="What it is about: the disk takes no data; the object store does not answer; the database "
        "cannot be read; searches are not logged; "
        "a corpus cannot be searched; documents of a corpus are stored and not indexed; a scheduled evaluation failed, "
        "or found that something became worse."
    )
    corpus_id: str | None = Field(description="Null: all of them.", examples=["handbook"])
    detail: str = Field(description="What happened, and what to do.")


class Ready(Answer):
    """The models are loaded, and searches are answered."""

    status: Literal["ready", "degraded"] = Field("ready", description="`degraded`: see `troubles`.")
    troubles: tuple[Trouble, ...] = Field((), description="What does not work as it should.")
