"""A corpus and its size."""

from __future__ import annotations

from pydantic import Field

from tribrid.answers.answer import Answer, Time


class JudgmentCounts(Answer):
    """Judgments to train from."""

    queries: int
    judgments: int


class CorpusFacts(Answer):
    """How much a corpus holds."""

    corpus_id: str = Field(examples=["tribrid"])
    name: str = Field(description="For people.", examples=["Our handbook"])
    version: int = Field(description="Counts the changes of its documents.")
    created_at: Time
    documents: int
    passages: int = Field(description="In the index.")
    judgments: JudgmentCounts
    champion: str | None = Field(description="The model_id that serves; null: no trained model.")


class CorpusList(Answer):
    """Every corpus, by id."""

    corpora: tuple[CorpusFacts, ...]
