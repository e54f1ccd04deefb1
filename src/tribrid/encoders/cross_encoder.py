"""Cross-encoders as they are served, by onnxruntime.

JointCrossEncoder: made of a sentence encoder here. Its lower layers read query and passage apart, its upper layers
together. HubCrossEncoder: any Hugging Face cross-encoder, as it is (mode local) or trained further here.

Either has two forms, fp32 and int8; which one serves is decided in variants.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tribrid.encoders import variants
from tribrid.encoders.budget import Budget
from tribrid.encoders.engine import Lane, Runtime
from tribrid.encoders.onnx import BATCH_TOKENS, FloatArray, IntArray, load_small_session, pad
from tribrid.encoders.pairs import PairEncoder, PairLimits, WholePairEncoder
from tribrid.encoders.score_cache import score_key
from tribrid.encoders.variants import FP32, INT8, MANIFEST, Decision, MeasuredForm, describe, form_here
from tribrid.errors import ModelUnavailable, ScorerFailed

MODEL, LOWER, JOINT = "model.onnx", "lower.onnx", "joint.onnx"
MODEL_INT8, LOWER_INT8, JOINT_INT8 = "model-int8.onnx", "lower-int8.onnx", "joint-int8.onnx"
ALL_CHARS = 1_000_000
"""A snippet that cuts nothing."""
_BATCH_TOKENS = {FP32: BATCH_TOKENS, INT8: 1}
"""int8 measures the range of all that it is given at once: a pair's score would depend on its company."""
_FILES = {
    FP32: {MODEL: MODEL, LOWER: LOWER, JOINT: JOINT},
    INT8: {MODEL: MODEL_INT8, LOWER: LOWER_INT8, JOINT: JOINT_INT8},
}


class CrossEncoder(ABC):
    """Scores pairs of one query, in one form. Safe for threads.

    Attributes:
        export: names the weights by their content.
        shipped: the decision about forms that the export came with; None for one that has no other form.
        variant: the form that serves.
    """

    parts: Sequence[str]
    """The fp32 names of the files that it runs."""
    reads_fused = False
    """Whether the first stage's score decides its own."""
    _snippet_chars: int

    def __init__(self, folder: Path, runtime: Runtime | None = None, variant: str | None = None) -> None:
        """Load an export.

        Args:
            folder: with description, tokenizer and files.
            runtime: what it runs on; None: on the thread that calls.
            variant: the form; None: the one that holds for this machine.

        Raises:
            ModelUnavailable: a file is missing or broken, or there is no such form.
        """
        try:
            self.description = describe(folder)
            self.shipped: Decision | None = self.description.get("variants")
            self.export = str((self.shipped or {}).get("export", f"{folder.parent.name}/{folder.name}"))
            self.variant = variant or form_here(self.shipped)
            self._read_description(folder)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelUnavailable(f"The cross-encoder's description cannot be read: {error!r}") from error
        if self.variant not in _FILES:
            raise ModelUnavailable(f"A cross-encoder has no form {self.variant!r}.")
        self._sessions = [load_small_session(folder / _FILES[self.variant][name]) for name in self.parts]
        self._runtime = runtime or Runtime()
        self._lane = Lane(self._run, _BATCH_TOKENS[self.variant])

    @abstractmethod
    def _read_description(self, folder: Path) -> None:
        """Take what this kind needs of `description`, and its tokenizer: above all `_snippet_chars`, the characters of
        a passage's text that are read.
        """

    @abstractmethod
    def _rows(
        self, query: str, passages: Sequence[tuple[str, str]], fused: Sequence[float]
    ) -> tuple[list[Any], list[int]]:
        """What `_run` reads of each pair, and its tokens."""

    @abstractmethod
    def _run(self, rows: Sequence[Any]) -> FloatArray:
        """Logits float32 (n,) of a batch."""

    def score(
        self,
        query: str,
        passages: Sequence[tuple[str, str]],
        fused: FloatArray | None = None,
        budget: Budget | None = None,
    ) -> FloatArray:
        """Logits float32 (n,) of (title, text) pairs; `fused` float32 (n,) is the first stage's score of each. Without
        it all are taken to be equal.

        With a budget, what was scored before need not be scored again, and what its time does not suffice for is NaN.

        Raises:
            ScorerFailed: it could not; no score is made up.
            Overloaded, Cancelled: it was not begun.
        """
        first_stage = [0.0] * len(passages) if fused is None or not self.reads_fused else fused.tolist()

        def keys() -> list[bytes]:
            model, chars = f"{self.export} {self.variant} {self._snippet_chars}", self._snippet_chars
            return [
                score_key(model, query, title, text[:chars], repr(first))
                for (title, text), first in zip(passages, first_stage, strict=True)
            ]

        def read(places: Sequence[int]) -> tuple[list[Any], list[int]]:
            return self._rows(query, [passages[i] for i in places], [first_stage[i] for i in places])

        return self._runtime.score(self._lane, keys, read, len(passages), budget)


def load_cross_encoder(
    folder: Path, snippet_chars: int, runtime: Runtime | None = None, variant: str | None = None
) -> CrossEncoder:
    """The cross-encoder of an export, of either kind; arguments as CrossEncoder's.

    Raises:
        ModelUnavailable: a file is missing or broken.
    """
    if (folder / MANIFEST).is_file():
        return HubCrossEncoder(folder, snippet_chars, runtime, variant)
    return JointCrossEncoder(folder, runtime, variant)


def settle_export(folder: Path) -> Decision:
    """Try both forms of a fresh export on this machine, and write the decision into its description; some seconds.

    Raises:
        ModelUnavailable: the fp32 form does not load, or cannot score.
    """
    forms: dict[str, CrossEncoder] = {FP32: load_cross_encoder(folder, ALL_CHARS, variant=FP32)}
    broken: dict[str, MeasuredForm] = {}
    try:
        forms[INT8] = load_cross_encoder(folder, ALL_CHARS, variant=INT8)
    except ModelUnavailable as error:
        broken[INT8] = {"accepted": False, "reason": error.detail}
    decision = variants.measure(forms)
    decision["measured"] |= broken
    files = [folder / name for name in (MODEL, LOWER, JOINT) if (folder / name).is_file()]
    variants.record(folder, {**decision, "export": variants.export_id(files)})
    return decision


def _run(session: Any, feed: Mapping[str, IntArray | FloatArray]) -> FloatArray:
    try:
        result: FloatArray = session.run(None, feed)[0]
    except Exception as error:
        raise ScorerFailed(f"The cross-encoder failed: {error}") from error
    if not np.isfinite(result).all():
        raise ScorerFailed("The cross-encoder gave something that is not a number.")
    return result


@dataclass(frozen=True, slots=True)
class _JointRow:
    """A passage's ids, its query's lower states float32 (t, dim), and the first stage's score."""

    ids: Sequence[int]
    query: FloatArray
    fused: float


class JointCrossEncoder(CrossEncoder):
    """Score of a (query, passage) pair given the first stage's score of it."""

    parts = (LOWER, JOINT)
    reads_fused = True

    def _read_description(self, folder: Path) -> None:
        limits = PairLimits(**self.description["limits"])
        self._pairs, self._snippet_chars = PairEncoder(folder, limits), limits.snippet_chars

    def _run(self, rows: Sequence[_JointRow]) -> FloatArray:
        ids, mask = pad([row.ids for row in rows]), pad([[1] * len(row.ids) for row in rows])
        lower, joint = self._sessions
        states = _run(lower, {"input_ids": ids, "attention_mask": mask})
        query, query_mask = _padded([row.query for row in rows])
        fused = np.array([row.fused for row in rows], np.float32)
        feed: dict[str, IntArray | FloatArray]
        feed = {"query": query, "query_mask": query_mask, "passage": states, "passage_mask": mask, "fused": fused}
        return _run(joint, feed)

    def _rows(
        self, query: str, passages: Sequence[tuple[str, str]], fused: Sequence[float]
    ) -> tuple[list[Any], list[int]]:
        query_ids = pad([self._pairs.query(query)])
        states = _run(self._sessions[0], {"input_ids": query_ids, "attention_mask": np.ones_like(query_ids)})[0]
        rows = [_JointRow(ids, states, one) for ids, one in zip(self._pairs.passages(passages), fused, strict=True)]
        return rows, [len(row.ids) + len(states) for row in rows]


def _padded(states: Sequence[FloatArray]) -> tuple[FloatArray, IntArray]:
    """float32 (n, longest, dim) with zeros where a row has no state, and the mask int64 (n, longest)."""
    longest = max(len(row) for row in states)
    out = np.zeros((len(states), longest, states[0].shape[1]), np.float32)
    mask = np.zeros((len(states), longest), np.int64)
    for i, row in enumerate(states):
        out[i, : len(row)], mask[i, : len(row)] = row, 1
    return out, mask


class HubCrossEncoder(CrossEncoder):
    """A Hugging Face cross-encoder's logit for (query, passage)."""

    parts = (MODEL,)

    def __init__(
        self, folder: Path, snippet_chars: int, runtime: Runtime | None = None, variant: str | None = None
    ) -> None:
        """Load an export made by `tribrid.encoders.models.ensure_export`; see CrossEncoder.

        Args:
            snippet_chars: of a passage's text, what is read.
        """
        if not (folder / MANIFEST).is_file():
            raise ModelUnavailable(f"{folder.name} is not an exported cross-encoder (no {MANIFEST}).")
        self._snippet_chars = snippet_chars
        super().__init__(folder, runtime, variant)
        self._inputs = {i.name for i in self._sessions[0].get_inputs()}

    def _read_description(self, folder: Path) -> None:
        self._pad = int(self.description.get("pad", 0))
        self._pairs = WholePairEncoder(folder, int(self.description["max_tokens"]), self._snippet_chars)

    def _run(self, rows: Sequence[Any]) -> FloatArray:
        feed = {
            "input_ids": pad([row.ids for row in rows], self._pad),
            "attention_mask": pad([row.attention_mask for row in rows]),
            "token_type_ids": pad([row.type_ids for row in rows]),
        }
        return _run(self._sessions[0], {name: array for name, array in feed.items() if name in self._inputs})

    def _rows(
        self, query: str, passages: Sequence[tuple[str, str]], fused: Sequence[float]
    ) -> tuple[list[Any], list[int]]:
        rows = self._pairs.encode(query, passages)
        return rows, [len(row.ids) for row in rows]
