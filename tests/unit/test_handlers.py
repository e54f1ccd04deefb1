"""A job that somebody asked to end: it stops at its next report, and nothing takes that for a failure of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from chat_server import Reply, Seen, chat_server, own_words
from tribrid.cloud.prices import load_prices
from tribrid.config import Environment
from tribrid.config.asked import GenerationConfig
from tribrid.encoders.tokens import QueryTokens
from tribrid.errors import Cancelled
from tribrid.evaluation.arms import run_arms
from tribrid.loop.generation import asker
from tribrid.loop.handlers import until_cancelled
from tribrid.scoring.learned import Reading
from tribrid.types import Candidate, Document, EventType, Passage

DOCUMENTS = [Document(f"d{n}", f"subject{n} " + f"things about number{n} in detail, " * 4) for n in range(20)]
NOTHING = np.zeros((0, 4), np.float32)
READING = Reading(
    "q",
    QueryTokens("q", np.zeros(0, np.int64), NOTHING, np.zeros(4, np.float32), np.zeros(4, np.float32)),
    [Candidate(Passage("d", 0, 0, 1, "", "x"), 1, 1.0, {})],
    [],
)


def quiet(_type: EventType, _data: Mapping[str, Any]) -> None:
    pass


def test_no_more_questions_are_asked_once_the_end_is_asked_for() -> None:
    asked: list[Seen] = []

    def says(seen: Seen, before: int) -> Reply:
        asked.append(seen)
        return own_words(seen, before)

    with chat_server(says) as server:
        config = GenerationConfig.model_validate({"base_url": server.url, "model": "m", "concurrency": 2})
        environment = Environment.model_validate({"data_dir": "."})
        passages = {d.doc_id: [Passage(d.doc_id, 0, 0, len(d.text), "", d.text)] for d in DOCUMENTS}
        emit = until_cancelled(quiet, lambda: len(asked) >= 3)
        ask = asker(environment, config, load_prices(), lambda: DOCUMENTS, lambda ids: passages, emit)
        with pytest.raises(Cancelled):
            ask(20)
    assert len(asked) == 3, "one alone, then two"


def test_a_comparison_that_is_cancelled_is_no_arm_that_failed() -> None:
    def report(name: str, done: int, total: int) -> None:
        until_cancelled(quiet, lambda: True)("progress", {})

    with pytest.raises(Cancelled):
        run_arms({"q": READING}, [("challenger", lambda reading: np.zeros(1))], "", lambda: 0.0, report)
