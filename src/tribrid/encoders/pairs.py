"""How a query and a passage are cut and numbered for a cross-encoder: one way, for training and for serving."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tribrid.encoders.onnx import CHARS_PER_TOKEN_BOUND, load_tokenizer
from tribrid.encoders.tokens import passage_text
from tribrid.errors import ScorerFailed


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


class WholePairEncoder:
    """Turns (query, passage) into one row of ids, as Hugging Face cross-encoders read it. Safe for threads."""

    def __init__(self, folder: Path, max_tokens: int, snippet_chars: int) -> None:
        """Load the tokenizer of `folder`.

        Raises:
            ModelUnavailable: the folder has none.
        """
        self._max_tokens, self._snippet_chars = max_tokens, snippet_chars
        # Whichever is longer is cut, as transformers and sentence-transformers do.
        self._tokenizer = load_tokenizer(folder, max_tokens, cut="longest_first")

    def encode(self, query: str, passages: Sequence[tuple[str, str]]) -> list[Any]:
        """An encoding (`ids`, `attention_mask`, `type_ids`) of the query with each (title, text) pair; of the two,
        the longer is cut until both fit.

        Raises:
            ScorerFailed: a pair cannot be read.
        """
        short = query[: self._max_tokens * CHARS_PER_TOKEN_BOUND]
        texts = [passage_text(title, text[: self._snippet_chars]) for title, text in passages]
        try:
            return list(self._tokenizer.encode_batch([(short, text) for text in texts]))
        except Exception as error:
            raise ScorerFailed(f"The query does not fit the cross-encoder: {error}") from error
