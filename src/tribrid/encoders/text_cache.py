"""Vectors and tokens of texts that come again: what a rerank is given often came with the one before."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence

from tribrid.encoders.budget import Budget
from tribrid.encoders.onnx import FloatArray
from tribrid.encoders.tokens import PassageEmbedder, passage_text
from tribrid.types import Passage

EMBED_PASSAGES = 64
"""At a time: each has up to half a megabyte of token vectors before they are packed."""
Embedded = tuple[FloatArray, bytes]
"""A passage's vector, float32 (dim,), and its packed tokens: some 15 kB."""


class EmbeddedTexts:
    """Embeds passages, and keeps those used last by a hash of their text. Safe for threads."""

    def __init__(self, embedder: PassageEmbedder) -> None:
        self._embedder = embedder
        self._lock = threading.Lock()
        self._known: OrderedDict[bytes, Embedded] = OrderedDict()

    def embed(self, passages: Sequence[Passage], kept: int, budget: Budget | None = None) -> list[Embedded]:
        """Vector and packed tokens of each passage.

        Args:
            kept: passages to keep at most.
            budget: tells when nobody waits any more.

        Raises:
            ScorerFailed: the encoder failed.
            Cancelled: nobody waits any more.
        """
        keys = [hashlib.sha256(passage_text(p.title, p.text).encode("utf-8", "replace")).digest() for p in passages]
        with self._lock:
            found = {key: self._known[key] for key in keys if key in self._known}
            for key in found:
                self._known.move_to_end(key)
        missing = {key: p for key, p in zip(keys, passages, strict=True) if key not in found}
        for start in range(0, len(missing), EMBED_PASSAGES):
            if budget is not None:
                budget.check()
            some = list(missing)[start : start + EMBED_PASSAGES]
            vectors, tokens = self._embedder.embed_passages([missing[key] for key in some])
            found.update(zip(some, zip(vectors, tokens, strict=True), strict=True))
        with self._lock:
            self._known.update((key, found[key]) for key in missing)
            while len(self._known) > kept:
                self._known.popitem(last=False)
        return [found[key] for key in keys]
