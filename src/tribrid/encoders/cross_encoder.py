"""Cross-encoders as they are served, by onnxruntime.

JointCrossEncoder: made of a sentence encoder here. Its lower layers read query and passage apart, its upper layers
together. HubCrossEncoder: any Hugging Face cross-encoder, as it is (mode local) or trained further here.

Either has two forms, fp32 and int8; which one serves is decided in variants.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tribrid.encoders import variants
from tribrid.encoders.budget import Budget
from tribrid.encoders.engine import Lane, Runtime
from tribrid.encoders.onnx import PAIR_BATCH_TOKENS, FloatArray, IntArray, load_pair_session, pad
from tribrid.encoders.pairs import PairEncoder, PairLimits, WholePairEncoder
from tribrid.encoders.score_cache import score_key
from tribrid.encoders.variants import FP32, INT8, MANIFEST, describe
from tribrid.errors import ModelUnavailable, ScorerFailed

MODEL, LOWER, JOINT = "model.onnx", "lower.onnx", "joint.onnx"
MODEL_INT8, LOWER_INT8, JOINT_INT8 = "model-int8.onnx", "lower-int8.onnx", "joint-int8.onnx"
ALL_CHARS = 1_000_000
"""A snippet that cuts nothing."""
BATCH_TOKENS = {FP32: PAIR_BATCH_TOKENS, INT8: 1}
"""int8 measures the range of all that it is given at once: a pair's score would depend on its company."""
_FILES = {
    FP32: {MODEL: MODEL, LOWER: LOWER, JOINT: JOINT},
    INT8: {MODEL: MODEL_INT8, LOWER: LOWER_INT8, JOINT: JOINT_INT8},
}


class CrossEncoder(Protocol):
    """Scores pairs of one query.

    Attributes:
        export: names the weights by their content.
        shipped: the decision about forms that the export came with; None for one that has no other form.
    """

    export: str
    shipped: dict[str, Any] | None

    @property
    def variant(self) -> str:
        """The form that serves."""

    def score(
        self,
        query: str,
        passages: Sequence[tuple[str, str]],
        fused: FloatArray | None = None,
        budget: Budget | None = None,
    ) -> FloatArray:
        """Logits float32 (n,) of (title, text) pairs; `fused` float32 (n,) is the first stage's score of each.

        With a budget, what was scored before need not be scored again, and what its time does not suffice for is NaN.

        Raises:
            ScorerFailed: it could not; no score is made up.
            Overloaded, Cancelled: it was not begun.
        """

    def use(self, variant: str) -> None:
        """Serve with this form from the next call on.

        Raises:
            ModelUnavailable: there is no such form, or it does not load.
        """


def load_cross_encoder(folder: Path, snippet_chars: int, runtime: Runtime | None = None) -> CrossEncoder:
    """The cross-encoder of a trained artifact, of either kind, in the form that its export decided for.

    Raises:
        ModelUnavailable: a file is missing or broken.
    """
    if (folder / MANIFEST).is_file():
        return HubCrossEncoder(folder, snippet_chars, runtime)
    return JointCrossEncoder(folder, runtime)


def parts_of(folder: Path) -> list[Path]:
    """The fp32 files of an export."""
    return [folder / name for name in (MODEL, LOWER, JOINT) if (folder / name).is_file()]


def settle_export(folder: Path) -> dict[str, Any]:
    """Try every form of a fresh export on this machine, and write the decision into its manifest.

    Raises:
        ModelUnavailable: the fp32 form does not load.
    """
    decision = {**try_forms(folder), "export": variants.export_id(parts_of(folder))}
    variants.record(folder, decision)
    return decision


def try_forms(folder: Path) -> dict[str, Any]:
    """The decision about an export's forms on this machine; some seconds.

    Raises:
        ModelUnavailable: the fp32 form does not load.
    """
    forms: dict[str, CrossEncoder] = {}
    broken: dict[str, Any] = {}
    for variant in (FP32, INT8):
        form = load_cross_encoder(folder, ALL_CHARS)
        try:
            form.use(variant)
            forms[variant] = form
        except ModelUnavailable as error:
            if variant == FP32:
                raise
            broken[variant] = {"accepted": False, "reason": error.detail}
    decision = variants.measure(forms)
    return {**decision, "measured": {**decision["measured"], **broken}}


def _run(session: Any, feed: dict[str, Any]) -> FloatArray:
    try:
        result: FloatArray = session.run(None, feed)[0]
    except Exception as error:
        raise ScorerFailed(f"The cross-encoder failed: {error}") from error
    if not np.isfinite(result).all():
        raise ScorerFailed("The cross-encoder gave something that is not a number.")
    return result


def _open(folder: Path, variant: str, names: Sequence[str]) -> list[Any]:
    if variant not in _FILES:
        raise ModelUnavailable(f"A cross-encoder has no form {variant!r}.")
    return [load_pair_session(folder / _FILES[variant][name]) for name in names]


@contextmanager
def _readable(name: str) -> Iterator[None]:
    """Around the reading of a description that anybody may have edited.

    Raises:
        ModelUnavailable: it does not hold what it should.
    """
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelUnavailable(f"The cross-encoder's {name} cannot be read: {error!r}") from error


@dataclass(frozen=True, slots=True)
class _Served:
    """One form, and its lane: they change together."""

    variant: str
    lane: Lane


@dataclass(frozen=True, slots=True)
class _JointRow:
    """A passage's ids, its query's lower states float32 (t, dim), and the first stage's score."""

    ids: Sequence[int]
    query: FloatArray
    fused: float


class JointCrossEncoder:
    """Score of a (query, passage) pair given the first stage's score of it. Safe for threads."""

    def __init__(self, folder: Path, runtime: Runtime | None = None) -> None:
        """Load a trained cross-encoder.

        Raises:
            ModelUnavailable: a file is missing or broken.
        """
        with _readable("config.json"):
            config = describe(folder)
            limits = PairLimits(**config["limits"])
            self.shipped: dict[str, Any] | None = config.get("variants")
            self.export = str((self.shipped or {}).get("export", folder.parent.name))
        self._folder, self._runtime = folder, runtime or Runtime()
        self._pairs = PairEncoder(folder, limits)
        self.use((self.shipped or {}).get("served", FP32))

    @property
    def variant(self) -> str:
        """See CrossEncoder."""
        return self._served.variant

    def use(self, variant: str) -> None:
        """See CrossEncoder."""
        lower, joint = _open(self._folder, variant, (LOWER, JOINT))

        def run(rows: Sequence[_JointRow]) -> FloatArray:
            ids, mask = pad([row.ids for row in rows]), pad([[1] * len(row.ids) for row in rows])
            states = _run(lower, {"input_ids": ids, "attention_mask": mask})
            query, query_mask = _padded([row.query for row in rows])
            fused = np.array([row.fused for row in rows], np.float32)
            feed = {"query": query, "query_mask": query_mask, "passage": states, "passage_mask": mask, "fused": fused}
            return _run(joint, feed)

        self._lower = lower
        self._served = _Served(variant, Lane(run, BATCH_TOKENS[variant]))

    def score(
        self,
        query: str,
        passages: Sequence[tuple[str, str]],
        fused: FloatArray | None = None,
        budget: Budget | None = None,
    ) -> FloatArray:
        """See CrossEncoder. Without the first stage's scores all are taken to be equal.

        Raises:
            ScorerFailed: onnxruntime failed.
            Overloaded, Cancelled: it was not begun.
        """
        first_stage = [0.0] * len(passages) if fused is None else fused.tolist()
        served, chars = self._served, self._pairs.limits.snippet_chars

        def keys() -> list[bytes]:
            model = f"{self.export} {served.variant}"
            return [
                score_key(model, query, title, text[:chars], repr(first))
                for (title, text), first in zip(passages, first_stage, strict=True)
            ]

        def read(places: Sequence[int]) -> tuple[list[_JointRow], list[int]]:
            ids = self._pairs.passages([passages[i] for i in places])
            query_ids = pad([self._pairs.query(query)])
            states = _run(self._lower, {"input_ids": query_ids, "attention_mask": np.ones_like(query_ids)})[0]
            rows = [_JointRow(row, states, first_stage[i]) for row, i in zip(ids, places, strict=True)]
            return rows, [len(row.ids) + len(states) for row in rows]

        return self._runtime.score(served.lane, keys, read, len(passages), budget)


def _padded(states: Sequence[FloatArray]) -> tuple[FloatArray, IntArray]:
    """float32 (n, longest, dim) with zeros where a row has no state, and the mask int64 (n, longest)."""
    longest = max(len(row) for row in states)
    out = np.zeros((len(states), longest, states[0].shape[1]), np.float32)
    mask = np.zeros((len(states), longest), np.int64)
    for i, row in enumerate(states):
        out[i, : len(row)], mask[i, : len(row)] = row, 1
    return out, mask


class HubCrossEncoder:
    """A Hugging Face cross-encoder's logit for (query, passage). Safe for threads."""

    def __init__(self, folder: Path, snippet_chars: int, runtime: Runtime | None = None) -> None:
        """Load an export made by `tribrid.encoders.models.ensure_export`.

        Raises:
            ModelUnavailable: the folder is not a finished export.
        """
        if not (folder / MANIFEST).is_file():
            raise ModelUnavailable(f"{folder.name} is not an exported cross-encoder (no {MANIFEST}).")
        with _readable(MANIFEST):
            self.manifest: dict[str, Any] = describe(folder)
            max_tokens, self._pad = int(self.manifest["max_tokens"]), int(self.manifest.get("pad", 0))
            self.shipped: dict[str, Any] | None = self.manifest.get("variants")
            self.export = str((self.shipped or {}).get("export", folder.name))
        self._folder, self._runtime, self._snippet_chars = folder, runtime or Runtime(), snippet_chars
        self._pairs = WholePairEncoder(folder, max_tokens, snippet_chars)
        self.use((self.shipped or {}).get("served", FP32))

    @property
    def variant(self) -> str:
        """See CrossEncoder."""
        return self._served.variant

    def use(self, variant: str) -> None:
        """See CrossEncoder."""
        session = _open(self._folder, variant, (MODEL,))[0]
        inputs = {i.name for i in session.get_inputs()}

        def run(rows: Sequence[Any]) -> FloatArray:
            feed = {
                "input_ids": pad([row.ids for row in rows], self._pad),
                "attention_mask": pad([row.attention_mask for row in rows]),
                "token_type_ids": pad([row.type_ids for row in rows]),
            }
            return _run(session, {name: array for name, array in feed.items() if name in inputs})

        self._served = _Served(variant, Lane(run, BATCH_TOKENS[variant]))

    def score(
        self,
        query: str,
        passages: Sequence[tuple[str, str]],
        fused: FloatArray | None = None,
        budget: Budget | None = None,
    ) -> FloatArray:
        """See CrossEncoder; of query and passage the longer is cut until both fit. The first stage's scores are not
        read.

        Raises:
            ScorerFailed: a pair cannot be read, or onnxruntime failed.
            Overloaded, Cancelled: it was not begun.
        """
        served, chars = self._served, self._snippet_chars

        def keys() -> list[bytes]:
            model = f"{self.export} {served.variant} {chars}"
            return [score_key(model, query, title, text[:chars]) for title, text in passages]

        def read(places: Sequence[int]) -> tuple[list[Any], list[int]]:
            rows = self._pairs.encode(query, [passages[i] for i in places])
            return rows, [len(row.ids) for row in rows]

        return self._runtime.score(served.lane, keys, read, len(passages), budget)
