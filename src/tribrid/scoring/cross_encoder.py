"""Cross-encoders as they are served, by onnxruntime.

JointCrossEncoder: trained here. Its lower layers read query and passage apart, its upper layers together.
HubCrossEncoder: any Hugging Face cross-encoder, exported as it is (mode local).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tribrid.errors import ModelUnavailable, ScorerFailed
from tribrid.scoring.onnx import (
    CHARS_PER_TOKEN_BOUND,
    FloatArray,
    load_session,
    load_tokenizer,
    pad,
    token_batches,
)
from tribrid.scoring.pairs import PairEncoder, PairLimits
from tribrid.scoring.tokens import passage_text

LOWER, JOINT = "lower.onnx", "joint.onnx"


def _run(session: Any, feed: dict[str, Any]) -> FloatArray:
    try:
        result: FloatArray = session.run(None, feed)[0]
    except Exception as error:
        raise ScorerFailed(f"The cross-encoder failed: {error}") from error
    if not np.isfinite(result).all():
        raise ScorerFailed("The cross-encoder gave something that is not a number.")
    return result


class JointCrossEncoder:
    """Score of a (query, passage) pair given the first stage's score of it. Safe for threads."""

    def __init__(self, folder: Path) -> None:
        """Load a trained cross-encoder.

        Raises:
            ModelUnavailable: a file is missing or broken.
        """
        try:
            config = json.loads((folder / "config.json").read_text("utf-8"))
            limits = PairLimits(**config["limits"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelUnavailable(f"The cross-encoder's config.json cannot be read: {error}") from error
        self._pairs = PairEncoder(folder, limits)
        self._lower, self._joint = load_session(folder / LOWER), load_session(folder / JOINT)

    def score(self, query: str, passages: Sequence[tuple[str, str]], fused: FloatArray) -> FloatArray:
        """Logits float32 (n,) of (title, text) pairs; `fused` float32 (n,) is the first stage's score of each.

        Raises:
            ScorerFailed: onnxruntime failed.
        """
        ids = self._pairs.passages(passages)
        query_ids = pad([self._pairs.query(query)])
        query_mask = np.ones_like(query_ids)
        query_states = _run(self._lower, {"input_ids": query_ids, "attention_mask": query_mask})
        scores = np.zeros(len(ids), np.float32)
        for batch in token_batches([len(row) + query_ids.shape[1] for row in ids]):
            rows = pad([ids[i] for i in batch])
            mask = pad([[1] * len(ids[i]) for i in batch])
            states = _run(self._lower, {"input_ids": rows, "attention_mask": mask})
            scores[batch] = _run(
                self._joint,
                {
                    "query": np.repeat(query_states, len(batch), axis=0),
                    "query_mask": np.repeat(query_mask, len(batch), axis=0),
                    "passage": states,
                    "passage_mask": mask,
                    "fused": fused[batch].astype(np.float32),
                },
            )
        return scores


class HubCrossEncoder:
    """A Hugging Face cross-encoder's logit for (query, passage). Safe for threads."""

    def __init__(self, folder: Path, snippet_chars: int) -> None:
        """Load an export made by `tribrid.scoring.models.ensure_export`.

        Raises:
            ModelUnavailable: the folder is not a finished export.
        """
        manifest = folder / "manifest.json"
        if not manifest.is_file():
            raise ModelUnavailable(f"{folder.name} is not an exported cross-encoder (no manifest.json).")
        self.manifest: dict[str, Any] = json.loads(manifest.read_text("utf-8"))
        self._snippet_chars = snippet_chars
        self._tokenizer = load_tokenizer(folder, self.manifest["max_tokens"], cut="only_second")
        # A query of half the model's length still leaves room for a passage.
        self._query_tokenizer = load_tokenizer(folder, self.manifest["max_tokens"] // 2)
        self._session = load_session(folder / "model.onnx")
        self._inputs = {i.name for i in self._session.get_inputs()}

    def score(self, query: str, passages: Sequence[tuple[str, str]]) -> FloatArray:
        """Logits float32 (n,); a query is cut at half the model's length, then the passage at what is left.

        Raises:
            ScorerFailed: a pair cannot be read, or onnxruntime failed.
        """
        offsets = self._query_tokenizer.encode(query[: self.manifest["max_tokens"] * CHARS_PER_TOKEN_BOUND]).offsets
        short = query[: max((end for _, end in offsets), default=0)]
        texts = [passage_text(title, text[: self._snippet_chars]) for title, text in passages]
        try:
            rows = self._tokenizer.encode_batch([(short, text) for text in texts])
        except Exception as error:
            raise ScorerFailed(f"The query does not fit the cross-encoder: {error}") from error
        scores = np.zeros(len(rows), np.float32)
        for batch in token_batches([len(row.ids) for row in rows]):
            feed = {
                "input_ids": pad([rows[i].ids for i in batch]),
                "attention_mask": pad([rows[i].attention_mask for i in batch]),
                "token_type_ids": pad([rows[i].type_ids for i in batch]),
            }
            scores[batch] = _run(self._session, {name: array for name, array in feed.items() if name in self._inputs})
        return scores
