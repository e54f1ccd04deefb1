"""Cross-encoders as they are served, by onnxruntime.

JointCrossEncoder: made of a sentence encoder here. Its lower layers read query and passage apart, its upper layers
together. HubCrossEncoder: any Hugging Face cross-encoder, as it is (mode local) or trained further here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tribrid.errors import ModelUnavailable, ScorerFailed
from tribrid.scoring.onnx import FloatArray, load_session, pad, token_batches
from tribrid.scoring.pairs import PairEncoder, PairLimits, WholePairEncoder

LOWER, JOINT = "lower.onnx", "joint.onnx"
MANIFEST = "manifest.json"
"""Stands beside an exported Hugging Face cross-encoder."""


class CrossEncoder(Protocol):
    """Scores pairs of one query."""

    def score(self, query: str, passages: Sequence[tuple[str, str]], fused: FloatArray | None = None) -> FloatArray:
        """Logits float32 (n,) of (title, text) pairs; `fused` float32 (n,) is the first stage's score of each.

        Raises:
            ScorerFailed: it could not; no score is made up.
        """


def load_cross_encoder(folder: Path, snippet_chars: int) -> CrossEncoder:
    """The cross-encoder of a trained artifact, of either kind.

    Raises:
        ModelUnavailable: a file is missing or broken.
    """
    return HubCrossEncoder(folder, snippet_chars) if (folder / MANIFEST).is_file() else JointCrossEncoder(folder)


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

    def score(self, query: str, passages: Sequence[tuple[str, str]], fused: FloatArray | None = None) -> FloatArray:
        """See CrossEncoder. Without the first stage's scores all are taken to be equal.

        Raises:
            ScorerFailed: onnxruntime failed.
        """
        fused = np.zeros(len(passages), np.float32) if fused is None else fused
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
        try:
            self.manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text("utf-8"))
            max_tokens, self._pad = int(self.manifest["max_tokens"]), int(self.manifest.get("pad", 0))
        except FileNotFoundError as error:
            raise ModelUnavailable(f"{folder.name} is not an exported cross-encoder (no {MANIFEST}).") from error
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelUnavailable(f"The cross-encoder's {MANIFEST} cannot be read: {error!r}") from error
        self._pairs = WholePairEncoder(folder, max_tokens, snippet_chars)
        self._session = load_session(folder / "model.onnx")
        self._inputs = {i.name for i in self._session.get_inputs()}

    def score(self, query: str, passages: Sequence[tuple[str, str]], fused: FloatArray | None = None) -> FloatArray:
        """See CrossEncoder; of query and passage the longer is cut until both fit. The first stage's scores are not
        read.

        Raises:
            ScorerFailed: a pair cannot be read, or onnxruntime failed.
        """
        rows = self._pairs.encode(query, passages)
        scores = np.zeros(len(rows), np.float32)
        for batch in token_batches([len(row.ids) for row in rows]):
            feed = {
                "input_ids": pad([rows[i].ids for i in batch], self._pad),
                "attention_mask": pad([rows[i].attention_mask for i in batch]),
                "token_type_ids": pad([rows[i].type_ids for i in batch]),
            }
            scores[batch] = _run(self._session, {name: array for name, array in feed.items() if name in self._inputs})
        return scores
