"""A reranker trained here, loaded from its artifact: the blend, its memory, and the cross-encoder where it helped."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from tribrid.encoders.budget import Budget
from tribrid.encoders.cross_encoder import CrossEncoder, load_cross_encoder
from tribrid.encoders.engine import Runtime
from tribrid.encoders.onnx import FloatArray
from tribrid.encoders.tokens import PassageTokens, QueryTokens
from tribrid.errors import ModelUnavailable
from tribrid.scoring.blend import Blend
from tribrid.scoring.features import CorpusStatistics, Features, compute, untrained
from tribrid.scoring.memory import Memory, PastQueries
from tribrid.scoring.signals import NO_SIGNALS, Described, Signals, nothing_described
from tribrid.scoring.space import Space
from tribrid.types import Candidate
from tribrid.types.stored import Manifest, ServedParts

FORMAT, READABLE = 5, (3, 4, 5)
"""What is written, and what is read: a model of format 3 knows nothing of its corpus's space, one before format 5 of no
signals beside the texts, and neither asks."""
_WITH_SPACE, _WITH_SIGNALS = 4, 5
MANIFEST, KNOWLEDGE, CROSS_ENCODER = "manifest.json", "knowledge.safetensors", "cross_encoder"
Part = Literal["served", "blend", "blend_without_memory", "cross_encoder", "untrained"]
Scores = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Reading:
    """All that a reranker reads of one search: the query, the served candidates in fused order, their whole tokens.

    `budget` is that of a request that somebody waits for; None where every candidate is to be read, however long it
    takes. `described` gives the metadata of candidates' documents, and `now_us` is when they are read.
    """

    query: str
    tokens: QueryTokens
    candidates: Sequence[Candidate]
    passages: Sequence[PassageTokens]
    budget: Budget | None = None
    described: Described = nothing_described
    now_us: int = 0


class Reordering(NamedTuple):
    """How a cross-encoder reorders the blend's best: as `reorder_head`; `weight` 0: it does not."""

    weight: float
    depth: int


def known_head(scores: FloatArray | Scores) -> int:
    """How many scores there are before the first that is missing (NaN)."""
    missing = np.flatnonzero(np.isnan(scores))
    return int(missing[0]) if len(missing) else len(scores)


def standard(values: Scores) -> Scores:
    """Standard scores (mean 0, deviation 1); zeros when all are equal."""
    result: Scores = (values - values.mean()) / max(float(values.std()), 1e-9)
    return result


def reorder_head(blend: Scores, cross_encoder: Scores, weight: float) -> Scores:
    """The blend's scores with those of its best candidates dealt out anew.

    The head is as long as `cross_encoder` (in the order of the head's ranks by blend). Its order is by
    standard(blend) + weight * standard(cross_encoder); the scores themselves stay the blend's, so that one scale
    serves the whole list and no candidate leaves or enters the head.
    """
    if not len(cross_encoder):
        return blend
    head = np.argsort(-blend, kind="stable")[: len(cross_encoder)]
    order = np.argsort(-(standard(blend[head]) + weight * standard(cross_encoder)), kind="stable")
    out = blend.copy()
    out[head[order]] = blend[head]
    return out


class LearnedReranker:
    """One immutable model version. Safe for threads."""

    def __init__(self, folder: Path, runtime: Runtime | None = None) -> None:
        """Load an artifact.

        Args:
            folder: the artifact.
            runtime: what its cross-encoder runs on; None: on the thread that calls.

        Raises:
            ModelUnavailable: a file is missing, broken, or of another format.
        """
        self._folder, self._runtime = folder, runtime
        self._reader: CrossEncoder | None = None
        try:
            self.manifest: Manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
            if self.manifest.get("format") not in READABLE:
                raise ModelUnavailable(
                    f"The artifact is of format {self.manifest.get('format')}; this version reads {FORMAT}, in which "
                    "the blend is an ONNX graph. Train again: the triplets and settings are still there."
                )
            arrays = load_file(folder / KNOWLEDGE)
            served = self.manifest["served"]
            made = self.manifest["format"]
            space = Space.from_arrays(arrays) if made >= _WITH_SPACE else _no_space(arrays)
            self.signals = Signals.from_json(served["signals"]) if made >= _WITH_SIGNALS else NO_SIGNALS
            self.statistics = CorpusStatistics(arrays["idf"], float(served["mean_tokens"]), space)
            self._memory = Memory(
                PastQueries.by_word(arrays["memory"], arrays["memory_words"], arrays["memory_owners"]),
                tuple(served["memory"]["clusters"]),
                {doc_id: tuple(at) for doc_id, at in served["memory"]["good"].items()},
            )
            self._blends: Mapping[str, Blend] = {
                name: Blend.load(folder, name, names) for name, names in served["blends"].items()
            }
            self.cross_encoder_weight = float(served["cross_encoder_weight"])
            self._depth = int(served["cross_encoder_depth"])
            self._snippet_chars = int(served["snippet_chars"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
            raise ModelUnavailable(f"The artifact {folder.name[:12]} cannot be read: {error!r}") from error
        if self.cross_encoder_weight > 0:
            self._load_reader()  # loads, or the model is not served

    @property
    def cross_encoder(self) -> CrossEncoder | None:
        """What serves beside the blend; None where the blend serves alone."""
        return self._reader if self.cross_encoder_weight > 0 else None

    def _load_reader(self) -> CrossEncoder:
        if self._reader is None:
            self._reader = load_cross_encoder(self._folder / CROSS_ENCODER, self._snippet_chars, self._runtime)
        return self._reader

    @property
    def parts(self) -> list[Part]:
        """What can be scored with, for ablations; searches get `served`, and learning may start at `untrained`."""
        found: list[Part] = ["served"]
        if self.cross_encoder_weight > 0:
            found.append("blend")
        if "blend_without_memory" in self._blends:
            found.append("blend_without_memory")
        if (self._folder / CROSS_ENCODER).is_dir():
            found.append("cross_encoder")
        if self.manifest["format"] >= _WITH_SPACE:
            found.append("untrained")
        return found

    def score(self, reading: Reading, part: Part = "served") -> Scores:
        """float64 (n,), higher is better; comparable within one list only.

        Where the reading's budget ends before the cross-encoder has read its head, a shorter head is reordered.

        Raises:
            ScorerFailed: a part failed; no score is made up in its place.
            Overloaded, Cancelled: as CrossEncoder.score.
        """
        if part == "cross_encoder":
            fused = np.array([c.score for c in reading.candidates])
            return reorder_head(fused, self._read_head(reading, fused), 1e6)
        features = self._features(reading)
        if part == "untrained":
            return untrained(features)
        name = "blend_without_memory" if part == "blend_without_memory" else "blend"
        scores = self._blends[name].score(features)
        if part == "served" and self.cross_encoder_weight > 0:
            return reorder_head(scores, self._read_head(reading, scores), self.cross_encoder_weight)
        return scores

    def _features(self, reading: Reading) -> Features:
        # What it was trained on and what it serves are cut alike, whatever the setting is now.
        passages = [tokens.cut(self._snippet_chars) for tokens in reading.passages]
        features = compute(reading.tokens, reading.candidates, passages, self.statistics, self._memory)
        doc_ids = [candidate.doc_id for candidate in reading.candidates]
        return features | self.signals.columns(doc_ids, reading.described, reading.now_us)

    def effects(self, reading: Reading, at: int) -> tuple[float, list[tuple[str, float | None, float]]]:
        """What the blend gives the candidate at this place of the reading, and each feature's part in it: its name, its
        value (of a field of the metadata the document's own; None: it is missing), and the score less what it would be
        if the feature had the median of the list.

        Raises:
            ScorerFailed: the blend could not be computed.
        """
        features, blend = self._features(reading), self._blends["blend"]
        rows = {name: np.repeat(features[name][at : at + 1], len(blend.names) + 1) for name in blend.names}
        for row, name in enumerate(blend.names, 1):
            rows[name][row] = np.median(features[name])
        scores = blend.score(rows)
        told = self.signals.told(reading.candidates[at].doc_id, reading.described, reading.now_us)
        found = [
            (name, told.get(name, float(features[name][at])), float(scores[0] - scores[row]))
            for row, name in enumerate(blend.names, 1)
        ]
        return float(scores[0]), found

    def recalled(self, reading: Reading, doc_id: str) -> list[tuple[str, float]]:
        """What it remembers of a document for a search: as `Memory.recalled`."""
        return self._memory.recalled(reading.tokens.embedding, reading.tokens.ids, doc_id)

    def without(self, doc_id: str, clusters: Collection[str]) -> LearnedReranker:
        """The same model, did it not remember that the document was good for these clusters' queries."""
        other = copy(self)
        other._memory = self._memory.without(doc_id, clusters)
        return other

    def _read_head(self, reading: Reading, scores: Scores) -> Scores:
        """The cross-encoder's scores of the best candidates by `scores`, in that order."""
        head = np.argsort(-scores, kind="stable")[: self._depth]
        chosen = [reading.candidates[i] for i in head]
        texts = [(c.passage.title, c.passage.text) for c in chosen]
        fused = np.array([c.score for c in chosen], np.float32)
        read = self._load_reader().score(reading.query, texts, fused, reading.budget)
        known = known_head(read)
        if known < len(read) and reading.budget is not None:
            reading.budget.shorten(known, len(read))
        return read[:known].astype(np.float64)


def _no_space(arrays: Mapping[str, FloatArray]) -> Space:
    return Space.empty(arrays["memory"].shape[1], len(arrays["idf"]))


def write_artifact(
    folder: Path,
    *,
    manifest: Manifest,
    blends: Mapping[str, Blend],
    statistics: CorpusStatistics,
    memory: Memory,
    snippet_chars: int,
    cross_encoder: Reordering,
    signals: Signals = NO_SIGNALS,
) -> None:
    """Write everything of a model version but the cross-encoder's own folder."""
    for name, blend in blends.items():
        blend.save(folder, name)
    past = memory.queries
    remembered: dict[str, np.ndarray[Any, Any]] = {
        "memory": past.embeddings,
        "memory_words": past.words,
        "memory_owners": past.owners,
    }
    save_file({"idf": statistics.idf, **statistics.space.arrays(), **remembered}, folder / KNOWLEDGE)
    served: ServedParts = {
        "mean_tokens": statistics.mean_tokens,
        "memory": {"clusters": memory.clusters, "good": memory.good},
        "blends": {name: blend.names for name, blend in blends.items()},
        "snippet_chars": snippet_chars,
        "cross_encoder_weight": cross_encoder.weight,
        "cross_encoder_depth": cross_encoder.depth,
        "signals": signals.as_json(),
    }
    content: Manifest = {**manifest, "format": FORMAT, "served": served}
    (folder / MANIFEST).write_text(json.dumps(content, indent=1, sort_keys=True), "utf-8")
