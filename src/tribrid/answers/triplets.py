"""Mined triplets, and what was decided of them."""

from __future__ import annotations

from pydantic import Field

from tribrid.answers.answer import Answer, Time
from tribrid.answers.jobs import MiningCounts
from tribrid.types import Source, TripletStatus


class TripletSide(Answer):
    """A passage that a triplet speaks of."""

    doc_id: str
    passage: int = Field(description="Its place in the document, from 0.")
    text: str | None = Field(description="Null: it is gone.")


class MinedTriplet(Answer):
    """`positive` should rank above `negative` for the query."""

    triplet_id: str
    status: TripletStatus
    query_id: str
    query: str
    positive: TripletSide
    negative: TripletSide
    source: Source
    weight: float = Field(description="How sure that is, above 0 to 1.")
    reason: str
    evidence: str = Field(description="The search or judgment that it rests on.")
    remembered: bool = Field(description="Past the budget: only that the positive is good counts.")
    observed_at: Time | None = Field(description="When users last did what it rests on; null: nobody dated it.")


class ReviewedTriplet(MinedTriplet):
    """A triplet as it stands after a decision."""

    corpus_id: str


class DecidedTriplets(Answer):
    """Triplets as they stand after decisions."""

    decided: tuple[ReviewedTriplet, ...]


class TripletPage(Answer):
    """A page of the newest triplets."""

    corpus_id: str
    triplet_set_id: str
    created_at: Time
    counts: MiningCounts
    total: int
    offset: int
    triplets: tuple[MinedTriplet, ...]
