"""What became worse from one scheduled evaluation to the next, and how the operator's address hears of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from tribrid.answers.answer import Answer, Time


class Finding(Answer):
    """One thing that became worse."""

    what: Literal["guard", "unjudged"] = Field(
        description="A guard that passed and fails now; or more documents in the top ten that nobody has judged."
    )
    name: str = Field(description="Of the guard, or the measure.", examples=["measure mrr@10"])
    detail: str = Field(description="In words. No query and no document is named: the report has them.")
    since: str = Field(description="The evaluation_id that found it.")
    was: float | None = Field(default=None, description="The share of unjudged documents before, 0 to 1.")


class Watched(Answer):
    """What is kept of one scheduled evaluation for the next."""

    evaluation_id: str
    guards: Mapping[str, bool] = Field(default={}, description="The last word of each guard that was looked at.")
    unjudged: float | None = Field(
        default=None, description="Lowest share of unjudged documents in the top ten since the last alert of it."
    )
    findings: tuple[Finding, ...] = Field(default=(), description="What is open.")


class AlertData(Answer):
    """What an alert is about."""

    corpus_id: str
    evaluation_id: str
    model_id: str | None = Field(description="What served; null: no trained model.")
    system: str = Field(description="What served, by its name in the report.")
    findings: tuple[Finding, ...] = Field(description="All that is open; new is what is `since` this evaluation.")
    report_url: str = Field(description="On this server.")


class Alert(Answer):
    """The body of an alert, in the form of Standard Webhooks."""

    type: Literal["evaluation.alert"] = "evaluation.alert"
    timestamp: Time
    text: str = Field(description="All of it in words, which is what chat servers show.")
    data: AlertData
