"""How a query and a passage are cut and numbered for a cross-encoder: one way, for training and for serving."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tribrid.scoring.onnx import CHARS_PER_TOKEN_BOUND, load_tokenizer
from tribrid.scoring.tokens import passage_text


@dataclass(frozen=True, slots=True)
class PairLimits:
    """What a cross-encoder reads; stored with the model. Tokens, special ones included, and characters."""

    query_tokens: int
    passage_tokens: int
    snippet_chars: int


class PairEncoder:
    """Turns queries and passages into vocabulary ids. Safe for threads."""

    def __init__(self, folder: Path, limits: PairLimits) -> None:
        """Load the tokenizer of `folder`.

        Raises:
            ModelUnavailable: the folder has none.
        """
        self.limits = limits
        self._query = load_tokenizer(folder, limits.query_tokens)
        self._passage = load_tokenizer(folder, limits.passage_tokens)

    def query(self, text: str) -> list[int]:
        """A query's ids, at most `query_tokens`."""
        ids: list[int] = self._query.encode(text[: self.limits.query_tokens * CHARS_PER_TOKEN_BOUND]).ids
        return ids

    def passages(self, passages: Sequence[tuple[str, str]]) -> list[list[int]]:
        """The ids of (title, text) pairs; of the text, the first `snippet_chars` characters are read."""
        texts = [passage_text(title, text[: self.limits.snippet_chars]) for title, text in passages]
        return [row.ids for row in self._passage.encode_batch(texts)]
