"""The only file of a serving process that runs onnxruntime: text in, token vectors or logits out, no torch anywhere.
Encoders are read in bfloat16 instead where bfloat16.py can.

Texts are sorted by length and read in small batches on a few threads, so that padding stays small and memory is bounded
by the batch, however many texts come in.

onnxruntime and tokenizers are imported inside the functions that use them: most commands load no model.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from tribrid.encoders import bfloat16
from tribrid.encoders.turns import Turns
from tribrid.errors import ModelUnavailable, ScorerFailed, TribridError

BATCH_TOKENS = 512
"""Of a batch: a longer one falls out of the processor's caches, and is half as fast for it."""
HARD_MAX_TOKENS = 512
# No tokenizer in use makes fewer tokens than one per this many characters of prose; longer input is cut
# before tokenising, so that a text of megabytes costs no more than the part that is read.
CHARS_PER_TOKEN_BOUND = 40

T = TypeVar("T")
IntArray = np.ndarray[Any, np.dtype[np.int64]]
FloatArray = np.ndarray[Any, np.dtype[np.float32]]
Forward = Callable[[IntArray, IntArray], FloatArray]
"""Ids and mask, int64 (texts, width), to hidden states, float32 (texts, width or more, dim)."""


@dataclass(frozen=True, slots=True)
class EncodedText:
    """One text through the encoder. `n` tokens, specials ([CLS], [SEP]) left out.

    Attributes:
        pooled: float32 (dim,), mean over all tokens, L2-normalised.
        ids: int64 (n,), vocabulary ids.
        vectors: float32 (n, dim), each row L2-normalised.
        ends: int64 (n,), character offset in the text where each token ends.
    """

    pooled: FloatArray
    ids: IntArray
    vectors: FloatArray
    ends: IntArray


def load_session(path: Path) -> Any:
    """The model on the CPU as an InferenceSession, one run on all cores; for large batches, as training makes them.

    Raises:
        ModelUnavailable: no such file, or onnxruntime refuses it.
    """
    import onnxruntime as ort

    options = ort.SessionOptions()
    # The arena keeps the largest batch ever seen; without it memory follows the load down again.
    options.enable_cpu_mem_arena = False
    # Idle threads sleep instead of spinning: on two cores a spinning one takes the core that another process needs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return _open(path, options)


def load_small_session(path: Path) -> Any:
    """The model on the CPU as an InferenceSession, each run on the thread that calls; for batches of `BATCH_TOKENS`.

    Raises:
        ModelUnavailable: no such file, or onnxruntime refuses it.
    """
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    # Batches are small, so what the arena keeps is little; without it a third of the time goes to fresh pages.
    options.enable_cpu_mem_arena = True
    # Its fused kernel takes six times as long as the two that it replaces.
    return _open(path, options, ["SkipLayerNormFusion"])


def load_graph(content: bytes) -> Any:
    """A small model on the CPU, each run on the thread that calls, with no threads and no arena of its own.

    Raises:
        ModelUnavailable: onnxruntime refuses it.
    """
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    try:
        return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ModelUnavailable(f"onnxruntime cannot load the graph: {error}") from error


def _open(path: Path, options: Any, left_out: Sequence[str] = ()) -> Any:
    import onnxruntime as ort

    if not path.is_file():
        raise ModelUnavailable(f"The model file {path.name} is missing from {path.parent.name}.", file=path.name)
    try:
        return ort.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"], disabled_optimizers=list(left_out)
        )
    except Exception as error:
        raise ModelUnavailable(f"onnxruntime cannot load {path.name}: {error}", file=path.name) from error


def load_tokenizer(folder: Path, max_tokens: int, cut: str = "longest_first") -> Any:
    """The folder's fast `tokenizers.Tokenizer`, truncation set once (changing it later is not thread-safe), no padding.

    Raises:
        ModelUnavailable: no tokenizer.json, or one that cannot be read.
    """
    from tokenizers import Tokenizer

    path = folder / "tokenizer.json"
    if not path.is_file():
        raise ModelUnavailable(f"{folder.name} has no tokenizer.json.", file="tokenizer.json")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:
        raise ModelUnavailable(f"The tokenizer of {folder.name} cannot be read: {error}") from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens, strategy=cut)
    return tokenizer


def token_batches(lengths: Sequence[int], budget: int = BATCH_TOKENS) -> Iterator[list[int]]:
    """Positions of texts in batches of like length, longest first, each of at most `budget` padded tokens."""
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    start = 0
    while start < len(order):
        size = max(1, budget // max(1, lengths[order[start]]))
        yield order[start : start + size]
        start += size


def pad(rows: Sequence[Sequence[int]], value: int = 0) -> IntArray:
    """Rows of ids as int64 (n, longest), filled with `value`."""
    out = np.full((len(rows), max((len(row) for row in rows), default=1)), value, np.int64)
    for i, row in enumerate(rows):
        out[i, : len(row)] = row
    return out


class Encoder:
    """A sentence encoder exported by `tribrid.encoders.models.ensure_export`. Safe to call from several threads.

    Many texts are read on a few threads, in turn with those of other calls. A single one, as a search's query is, is
    read at once on the thread that calls: it waits for nobody's documents.
    """

    def __init__(self, folder: Path, threads: int | None = None) -> None:
        """Load the export.

        Args:
            folder: the export.
            threads: texts that are read side by side; None: as many as there are cores.

        Raises:
            ModelUnavailable: the folder is not a finished export, or onnxruntime refuses it.
        """
        manifest = folder / "manifest.json"
        if not manifest.is_file():
            raise ModelUnavailable(f"{folder.name} is not an exported encoder (no manifest.json).")
        described = json.loads(manifest.read_text("utf-8"))
        self.folder = folder
        self.model_id: str = described["model_id"]
        self.dim: int = described["dim"]
        self.vocabulary: int = described["vocabulary"]
        self.max_tokens: int = described["max_tokens"]
        self.projection: FloatArray = np.load(folder / "projection.npy", allow_pickle=False)
        self._tokenizer = load_tokenizer(folder, self.max_tokens)
        self._turns = Turns(threads)
        self._alone, self._beside = _forwards(folder / "model.onnx", self._turns.threads)

    def encode(self, texts: Sequence[str], max_tokens: int | None = None) -> list[EncodedText]:
        """Every text, in the order given, each cut at `max_tokens` tokens (default: the model's limit).

        Raises:
            ScorerFailed: onnxruntime failed on the batch.
        """
        return self.each(texts, lambda at, found: found, max_tokens)

    def each(
        self,
        texts: Sequence[str],
        take: Callable[[int, EncodedText], T],
        max_tokens: int | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> list[T]:
        """What `take` makes of each text's place and of the text as `encode` gives it, in the order given: no more
        of these are in memory than the batches in hand hold.

        Args:
            take: called on several threads.
            check: called before each batch; what it raises ends the call.

        Raises:
            ScorerFailed: onnxruntime failed on the batch.
        """
        limit = min(max_tokens or self.max_tokens, self.max_tokens)
        encodings = self._tokenizer.encode_batch([text[: limit * CHARS_PER_TOKEN_BOUND] for text in texts])
        for encoding in encodings:
            _shorten(encoding, limit)

        batches = list(token_batches([len(e.ids) for e in encodings]))
        forward = self._beside if len(batches) > 1 else self._alone

        def read(batch: list[int]) -> list[tuple[int, T]]:
            rows = [encodings[i] for i in batch]
            hidden = _hidden(forward, pad([row.ids for row in rows]), pad([row.attention_mask for row in rows]))
            return [
                (i, take(i, _finish(states[: len(row.ids)], row)))
                for i, row, states in zip(batch, rows, hidden, strict=True)
            ]

        found = dict(pair for pairs in self._turns.map(read, batches, check) for pair in pairs)
        return [found[i] for i in range(len(texts))]

    def embed_query(self, text: str) -> FloatArray:
        """float32 (dim,), L2-normalised."""
        return self.encode([text])[0].pooled


def _forwards(model: Path, threads: int) -> tuple[Forward, Forward]:
    """What reads a single batch, and what reads many of them: the first must not wait for the second.

    Raises:
        ModelUnavailable: no such file, or one that is no model.
    """
    if model.is_file() and bfloat16.available():
        alone = bfloat16.Bfloat16(model, threads)
        return alone, bfloat16.Bfloat16(model, threads)
    session = load_small_session(model)

    def forward(ids: IntArray, mask: IntArray) -> FloatArray:
        states: FloatArray = session.run(None, {"input_ids": ids, "attention_mask": mask})[0]
        return states

    return forward, forward


def _hidden(forward: Forward, ids: IntArray, mask: IntArray) -> FloatArray:
    try:
        return forward(ids, mask)
    except TribridError:
        raise
    except Exception as error:
        raise ScorerFailed(f"The encoder failed: {error}") from error


def _shorten(encoding: Any, limit: int) -> None:
    """Cut an encoding to `limit` tokens in place. The final special token goes too: the body is what counts."""
    if len(encoding.ids) > limit:
        encoding.truncate(limit)


def _finish(states: FloatArray, encoding: Any) -> EncodedText:
    """Pool one text's hidden states (n, dim) and drop the special tokens' rows."""
    pooled = states.mean(axis=0)
    real = np.flatnonzero(np.asarray(encoding.special_tokens_mask) == 0)
    vectors = states[real]
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return EncodedText(
        pooled=(pooled / max(float(np.linalg.norm(pooled)), 1e-12)).astype(np.float32),
        ids=np.asarray(encoding.ids, np.int64)[real],
        vectors=(vectors / np.maximum(norms, 1e-12)).astype(np.float32),
        ends=np.asarray([end for _, end in encoding.offsets], np.int64)[real],
    )
