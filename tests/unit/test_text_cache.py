"""What came to a rerank is embedded once, and no more of it is kept than there is memory for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from tribrid.encoders.budget import Budget
from tribrid.encoders.onnx import FloatArray
from tribrid.encoders.text_cache import ENTRY_BYTES, EmbeddedTexts
from tribrid.errors import Cancelled
from tribrid.types import Passage

PASSAGES = [Passage(f"d{i}", 0, 0, 9, "", f"text {i}") for i in range(6)]
ONE = 8 * 4 + 100 + ENTRY_BYTES


class Embedder:
    """Counts what is embedded."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def embed_passages(self, passages: Sequence[Passage], check: Callable[[], None]) -> tuple[FloatArray, list[bytes]]:
        check()
        self.read += [passage.text for passage in passages]
        return np.ones((len(passages), 8), np.float32), [bytes(100)] * len(passages)


def texts(embedder: Embedder) -> EmbeddedTexts:
    made: Any = embedder
    return EmbeddedTexts(made)


def test_what_is_kept_is_bounded_in_bytes() -> None:
    embedder = Embedder()
    kept = texts(embedder)
    kept.embed(PASSAGES[:4], 3 * ONE)
    kept.embed(PASSAGES[1:4], 3 * ONE)
    assert len(embedder.read) == 4
    kept.embed(PASSAGES[:1], 3 * ONE)
    assert embedder.read[4:] == ["text 0"]
    kept.embed(PASSAGES[2:4], 3 * ONE)
    assert len(embedder.read) == 5
    kept.embed(PASSAGES[3:4], 0)
    kept.embed(PASSAGES[3:4], 0)
    assert embedder.read[5:] == ["text 3"]  # nothing is kept after the first of the two


def test_a_passage_that_is_kept_keeps_nothing_else_in_memory() -> None:
    [(vector, _), *_] = texts(Embedder()).embed(PASSAGES, 10 * ONE)
    assert vector.base is None


def test_nothing_is_begun_for_who_is_gone() -> None:
    embedder, budget = Embedder(), Budget()
    budget.leave()
    with pytest.raises(Cancelled):
        texts(embedder).embed(PASSAGES, ONE, budget)
    assert embedder.read == []
