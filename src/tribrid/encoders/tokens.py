"""Token vectors of passages, small enough to keep for every passage: made when indexing, read when reranking.

Each vector is projected to `WIDTH` dimensions by the encoder's own projection (principal components, made with
its export), normalised, and stored as int8 with one scale. What a passage costs is in docs/benchmarks.md.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from tribrid.encoders.onnx import EncodedText, Encoder, FloatArray, IntArray
from tribrid.errors import StaleIndex
from tribrid.types import Passage

WIDTH = 64
FORMAT = 1
CodeArray = np.ndarray[Any, np.dtype[np.int8]]
_HEADER = struct.Struct("<BBHI")
_TINY = 1e-9


@dataclass(frozen=True, slots=True)
class PassageTokens:
    """What the reranker reads of one passage: its title's tokens, then its text's.

    Attributes:
        ids: int64 (n,), vocabulary ids.
        codes: (n, WIDTH), the vectors as they are kept, in int8; a row times its scale is L2-normalised up to rounding.
        scales: float32 (n,).
        title: tokens of the title; the first `title` rows.
        ends: int64 (n,), character offset in the text where each token ends; 0 in the title.
        embedding: float32 (dim,), the whole passage's vector, L2-normalised.
    """

    ids: IntArray
    codes: CodeArray | FloatArray
    scales: FloatArray
    title: int
    ends: IntArray
    embedding: FloatArray

    @property
    def nbytes(self) -> int:
        """Of memory."""
        kept = (self.ids, self.codes, self.scales, self.ends, self.embedding)
        return sum(int(array.nbytes) for array in kept)

    @property
    def vectors(self) -> FloatArray:
        """float32 (n, WIDTH), made anew."""
        return self.vectors_in(np.empty(self.codes.shape, np.float32))

    def vectors_in(self, space: FloatArray) -> FloatArray:
        """The same in the first n rows of `space`, float32 (n or more, WIDTH)."""
        return np.multiply(self.codes, self.scales[:, None], out=space[: len(self.codes)])

    def cut(self, snippet_chars: int) -> PassageTokens:
        """The tokens of the title and of the first `snippet_chars` characters of the text; the vector stays."""
        if len(self.ends) == 0 or self.ends[-1] <= snippet_chars:
            return self
        keep = self.title + int(np.searchsorted(self.ends[self.title :], snippet_chars, "right"))
        return replace(
            self, ids=self.ids[:keep], codes=self.codes[:keep], scales=self.scales[:keep], ends=self.ends[:keep]
        )


@dataclass(frozen=True, slots=True)
class QueryTokens:
    """A query as the features read it: its text, ids int64 (n,), vectors float32 (n, WIDTH), pooled float32 (WIDTH,)
    and embedding float32 (dim,), the last three L2-normalised.
    """

    text: str
    ids: IntArray
    vectors: FloatArray
    pooled: FloatArray
    embedding: FloatArray


def maxsim(query: QueryTokens, passage: PassageTokens) -> float:
    """Mean over the query's tokens of the best cosine with a token of the passage; 0, as if they had nothing in common,
    where either has none. The features of a blend count so too.

    References: Khattab and Zaharia, ColBERT, SIGIR 2020.
    """
    if not len(query.ids) or not len(passage.ids):
        return 0.0
    return float((query.vectors @ passage.vectors.T).max(axis=1).mean())


def passage_text(title: str, text: str) -> str:
    """The one form in which a passage meets the encoder, in indexing, training and serving."""
    return f"{title}\n{text}" if title else text


def _unit(rows: FloatArray) -> FloatArray:
    norms = np.linalg.norm(rows, axis=-1, keepdims=True)
    unit: FloatArray = (rows / np.maximum(norms, _TINY)).astype(np.float32)
    return unit


class TokenCodec:
    """Packs token vectors into bytes and back. `projection` is float32 (dim, width), width at most WIDTH."""

    def __init__(self, projection: FloatArray) -> None:
        self._projection = projection
        self.width = int(projection.shape[1])

    def pack(self, encoded: EncodedText, title_chars: int) -> bytes:
        """One passage's tokens as bytes; `title_chars` is how long the title stands before the text, 0 for none."""
        rows = _unit(encoded.vectors @ self._projection)
        scales = np.maximum(np.abs(rows).max(axis=1, initial=0.0), _TINY) / 127
        title = int(np.count_nonzero(encoded.ends <= title_chars)) if title_chars else 0
        wide = bool(encoded.ids.max(initial=0) > np.iinfo(np.uint16).max)
        text_ends = np.maximum(encoded.ends - (title_chars + 1 if title_chars else 0), 0)
        return b"".join(
            (
                _HEADER.pack(FORMAT, wide, title, len(rows)),
                encoded.ids.astype(np.uint32 if wide else np.uint16).tobytes(),
                np.minimum(text_ends, np.iinfo(np.uint16).max).astype(np.uint16).tobytes(),
                scales.astype(np.float16).tobytes(),
                np.round(rows / scales[:, None]).astype(np.int8).tobytes(),
            )
        )

    def unpack(self, blob: bytes, embedding: FloatArray) -> PassageTokens:
        """What was packed, with the passage's vector.

        Raises:
            StaleIndex: the bytes were written by another version of the format.
        """
        version, wide, title, n = _HEADER.unpack_from(blob)
        if version != FORMAT:
            raise StaleIndex(f"The index holds token vectors of format {version}, this version reads {FORMAT}.")
        at = _HEADER.size
        ids = np.frombuffer(blob, np.uint32 if wide else np.uint16, n, at)
        at += ids.nbytes
        ends = np.frombuffer(blob, np.uint16, n, at)
        at += ends.nbytes
        half = np.frombuffer(blob, np.float16, n, at)
        at += half.nbytes
        codes = np.frombuffer(blob, np.int8, n * self.width, at).reshape(n, self.width)
        scales = half.astype(np.float32)  # to multiply by half precision would take three times as long
        return PassageTokens(ids.astype(np.int64), codes, scales, title, ends.astype(np.int64), embedding)

    def query(self, text: str, encoded: EncodedText) -> QueryTokens:
        """A query in the features' form; its vectors are projected, not rounded."""
        return QueryTokens(
            text=text,
            ids=encoded.ids,
            vectors=_unit(encoded.vectors @ self._projection),
            pooled=_unit(encoded.pooled @ self._projection),
            embedding=encoded.pooled,
        )


class PassageEmbedder:
    """Makes what the index keeps of a passage: its vector and its packed tokens."""

    def __init__(self, encoder: Encoder, max_tokens: int = 384) -> None:
        self.encoder = encoder
        self.max_tokens = min(max_tokens, encoder.max_tokens)
        self.codec = TokenCodec(encoder.projection)
        # A search needs its query twice, for the first stage and for the reranker; and people repeat queries.
        self._query = lru_cache(maxsize=256)(lambda text: encoder.encode([text])[0])
        self.fingerprint = f"model={encoder.folder.name} tokens={self.max_tokens} codec={FORMAT}x{self.codec.width}"

    @property
    def dim(self) -> int:
        """Numbers in a vector."""
        return self.encoder.dim

    @property
    def vocabulary(self) -> int:
        """Ids of the tokenizer."""
        return self.encoder.vocabulary

    def embed_passages(
        self, passages: Sequence[Passage], check: Callable[[], None] = lambda: None
    ) -> tuple[FloatArray, list[bytes]]:
        """float32 (n, dim), L2-normalised rows, and n packed token blobs.

        Args:
            check: called before each batch; what it raises ends the call.
        """

        def pack(at: int, text: EncodedText) -> bytes:
            vectors[at] = text.pooled
            return self.codec.pack(text, len(passages[at].title))

        vectors = np.empty((len(passages), self.dim), np.float32)
        texts = [passage_text(p.title, p.text) for p in passages]
        return vectors, self.encoder.each(texts, pack, self.max_tokens, check)

    def embed_each(self, batches: Iterable[Sequence[Passage]]) -> Iterator[tuple[FloatArray, list[bytes]]]:
        """The same of each batch, one after the other."""
        return map(self.embed_passages, batches)

    def embed_query(self, text: str) -> FloatArray:
        """float32 (dim,), L2-normalised."""
        return self._query(text).pooled

    def query_tokens(self, text: str) -> QueryTokens:
        """The query as the features read it."""
        return self.codec.query(text, self._query(text))
