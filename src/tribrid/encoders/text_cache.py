"""Vectors and tokens of texts that come again: what a rerank is given often came with the one before."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from tribrid.encoders.budget import Budget
from tribrid.encoders.onnx import FloatArray
from tribrid.encoders.recent import Recent
from tribrid.encoders.tokens import PassageEmbedder, passage_text
from tribrid.types import Passage

Embedded = tuple[FloatArray, bytes]
"""A passage's vector, float32 (dim,), and its packed tokens: some 22 kB."""
ENTRY_BYTES = 500
"""Of memory for each passage beside the numbers themselves: its key, the objects, its place in the order."""


class EmbeddedTexts:
    """Embeds passages, and keeps those used last by a hash of their text. Safe for threads."""

    def __init__(self, embedder: PassageEmbedder) -> None:
        self._embedder = embedder
        self._known: Recent[bytes, Embedded] = Recent(_bytes_of)

    def embed(self, passages: Sequence[Passage], most_bytes: int, budget: Budget | None = None) -> list[Embedded]:
        """Vector and packed tokens of each passage.

        Args:
            most_bytes: of memory for what is kept.
            budget: tells when nobody waits any more.

        Raises:
            ScorerFailed: the encoder failed.
            Cancelled: nobody waits any more.
        """
        keys = [hashlib.sha256(passage_text(p.title, p.text).encode("utf-8", "replace")).digest() for p in passages]
        found = self._known.get(keys)
        missing = {key: p for key, p in zip(keys, passages, strict=True) if key not in found}
        check = budget.check if budget is not None else (lambda: None)
        check()
        vectors, tokens = self._embedder.embed_passages(list(missing.values()), check)
        # A row of its own: a view would keep all rows in memory.
        new = {key: (row.copy(), packed) for key, row, packed in zip(missing, vectors, tokens, strict=True)}
        self._known.put(new, most_bytes)
        found.update(new)
        return [found[key] for key in keys]


def _bytes_of(embedded: Embedded) -> int:
    vector, tokens = embedded
    return vector.nbytes + len(tokens) + ENTRY_BYTES
