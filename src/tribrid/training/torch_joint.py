"""The cross-encoder that is trained here, in torch.

The base encoder's lower layers read query and passage apart and stay as they are; the upper layers read both
together and learn. The score is a learned sum of the first stage's score, the joint states' cosine and MaxSim, and
a head on [CLS] that starts at zero: so it starts at the first stage's ranking and can only be taught away from it
(a fresh head on a sentence encoder takes SciFact from 0.690 to 0.200 nDCG@10).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import AutoModel

from tribrid.encoders.cross_encoder import JOINT, JOINT_INT8, LOWER, LOWER_INT8
from tribrid.encoders.pairs import PairEncoder, PairLimits
from tribrid.encoders.torch_export import Int8File, add_int8, pretrained, write_onnx
from tribrid.errors import TrainingFailed
from tribrid.training.lessons import Pair
from tribrid.training.torch_pairs import ParameterGroup, save_weights

FUSED_SCALE = 20.0
"""Starting weight of the first stage's score; about what makes a listwise softmax over it neither flat nor hard."""
PARITY = 1e-3


class Lower(nn.Module):
    """ids, mask int64 (n, t) → states float32 (n, t, dim) of the lower layers."""

    def __init__(self, embeddings: nn.Module, layers: list[nn.Module]) -> None:
        super().__init__()
        self.embeddings = embeddings
        self.layers = nn.ModuleList(layers)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        states: Tensor = self.embeddings(input_ids=input_ids)
        hidden = additive(attention_mask)
        for layer in self.layers:
            states = layer(states, hidden)
        return states


class Joint(nn.Module):
    """Lower states of query and passage, their masks, and the first stage's score (n,) → score (n,)."""

    def __init__(self, layers: list[nn.Module], dim: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.head = nn.Linear(dim, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.mix = nn.Parameter(torch.tensor([FUSED_SCALE, 1.0, 1.0]))

    def forward(
        self, query: Tensor, query_mask: Tensor, passage: Tensor, passage_mask: Tensor, fused: Tensor
    ) -> Tensor:
        states = torch.cat([query, passage], dim=1)
        hidden = additive(torch.cat([query_mask, passage_mask], dim=1))
        for layer in self.layers:
            states = layer(states, hidden)
        read_query, read_passage = states[:, : query.shape[1]], states[:, query.shape[1] :]
        cosine = (unit(pooled(read_query, query_mask)) * unit(pooled(read_passage, passage_mask))).sum(-1)
        similar = unit(read_query) @ unit(read_passage).transpose(1, 2) + additive(passage_mask)[:, 0]
        best = similar.max(-1).values * query_mask
        maxsim = best.sum(-1) / query_mask.sum(-1)
        head = self.head(read_query[:, 0])[:, 0]
        score: Tensor = self.mix[0] * fused + self.mix[1] * cosine + self.mix[2] * maxsim + head
        return score


def additive(mask: Tensor) -> Tensor:
    """0/1 mask int64 (n, t) → float32 (n, 1, 1, t): 0 where read, very negative where not."""
    return (1.0 - mask[:, None, None, :].to(torch.float32)) * -1e9


def pooled(states: Tensor, mask: Tensor) -> Tensor:
    """Mean state (n, dim) over the unmasked tokens."""
    weight = mask[..., None].to(states.dtype)
    return (states * weight).sum(1) / weight.sum(1)


def unit(states: Tensor) -> Tensor:
    """L2-normalised along the last axis."""
    return nn.functional.normalize(states, dim=-1)


class JointModel:
    """The loop's PairModel: reads a text's lower states when it first meets it, and keeps them."""

    def __init__(self, base: Path, limits: PairLimits, folder: Path, kept_bytes: int) -> None:
        """Take the base model apart.

        Args:
            base: folder of a BERT-like sentence encoder.
            limits: what of a query and of a passage is read.
            folder: takes the lower layers' export.
            kept_bytes: most bytes of lower states to keep; past them a text is read anew each time it is met.
        """
        self._lower, self._joint = build(base)
        self.module: nn.Module = self._joint
        self._base, self._encoder = base, PairEncoder(base, limits)
        # They never change, so the export that will be served makes them: faster than torch on a processor, and
        # what is trained on is what will be served.
        self._session = export_lower(self._lower, folder)
        self._ids: dict[tuple[str, int], np.ndarray[Any, np.dtype[np.int64]]] = {}
        self._states: dict[tuple[str, int], Tensor] = {}
        self._room = kept_bytes

    def groups(self, learning_rate: float) -> list[ParameterGroup]:
        """See PairModel."""
        return [
            {"params": [*self._joint.layers.parameters(), *self._joint.head.parameters()]},
            # The mix of scores lives on another scale than the weights.
            {"params": [self._joint.mix], "lr": learning_rate * 100, "weight_decay": 0.0},
        ]

    def tokens(self, pair: Pair) -> int:
        """See PairModel."""
        return len(self._query_ids(pair)) + len(self._passage_ids(pair))

    def read(self, module: nn.Module, pairs: Sequence[Pair]) -> Tensor:
        """See PairModel."""
        device = next(module.parameters()).device
        query, query_mask = _padded([self._read_lower(p.query_key, self._query_ids(p)) for p in pairs])
        passage, passage_mask = _padded([self._read_lower(p.passage_key, self._passage_ids(p)) for p in pairs])
        fused = torch.tensor([pair.fused for pair in pairs], dtype=torch.float32)
        parts = (query, query_mask, passage, passage_mask, fused)
        scores: Tensor = module(*(part.to(device) for part in parts))
        return scores

    def export(self, folder: Path) -> float:
        """See PairModel."""
        difference = export(self._lower, self._joint, folder, self._joint.head.in_features)
        save_weights(self._joint, folder / "model.safetensors")
        shutil.copy(self._base / "tokenizer.json", folder / "tokenizer.json")
        (folder / "config.json").write_text(json.dumps({"limits": asdict(self._encoder.limits)}, indent=1), "utf-8")
        add_int8(folder, [Int8File(LOWER, LOWER_INT8, exact=1), Int8File(JOINT, JOINT_INT8, exact=0)])
        return difference

    def _query_ids(self, pair: Pair) -> np.ndarray[Any, np.dtype[np.int64]]:
        if pair.query_key not in self._ids:
            self._ids[pair.query_key] = np.array(self._encoder.query(pair.query), np.int64)
        return self._ids[pair.query_key]

    def _passage_ids(self, pair: Pair) -> np.ndarray[Any, np.dtype[np.int64]]:
        if pair.passage_key not in self._ids:
            self._ids[pair.passage_key] = np.array(self._encoder.passages([pair.passage])[0], np.int64)
        return self._ids[pair.passage_key]

    def _read_lower(self, key: tuple[str, int], ids: np.ndarray[Any, np.dtype[np.int64]]) -> Tensor:
        """float16 (tokens, dim). One text at a time: as fast as in batches on a processor, nothing is padded, and a
        text's states do not depend on its company, which a resumed training could not bring back.
        """
        if key in self._states:
            return self._states[key]
        feed = {"input_ids": ids[None], "attention_mask": np.ones_like(ids[None])}
        states = torch.from_numpy(self._session.run(None, feed)[0][0]).half()
        if states.nbytes <= self._room:
            self._room -= states.nbytes
            self._states[key] = states
        return states


def _padded(states: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """float32 (n, longest, dim), and its mask int64 (n, longest)."""
    lengths = torch.tensor([len(state) for state in states])
    rows = torch.nn.utils.rnn.pad_sequence([state.float() for state in states], batch_first=True)
    return rows, (torch.arange(rows.shape[1])[None] < lengths[:, None]).long()


def build(source: Path) -> tuple[Lower, Joint]:
    """Split a sentence encoder of BERT's build (see `trainable_as`) after two thirds of its layers."""
    base = pretrained(AutoModel, source)
    layers = list(base.encoder.layer)
    split = max(1, len(layers) * 2 // 3) if len(layers) > 1 else 0
    lower = Lower(base.embeddings, layers[:split]).eval()
    for parameter in lower.parameters():
        parameter.requires_grad_(False)
    return lower, Joint(layers[split:], base.config.hidden_size)


def export(lower: Lower, joint: Joint, folder: Path, dim: int) -> float:
    """Write lower.onnx and joint.onnx, and check them against torch on random input.

    Returns:
        The largest difference of a score.

    Raises:
        TrainingFailed: it is larger than PARITY.
    """
    from tribrid.encoders.onnx import load_session

    lower, joint = lower.cpu().eval(), joint.cpu().eval()
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, lower.embeddings.word_embeddings.num_embeddings, (3, 11), generator=generator)  # type: ignore[union-attr, arg-type]
    mask = torch.ones_like(ids)
    mask[1, 7:] = 0
    query = torch.randn(3, 5, dim, generator=generator)
    with torch.inference_mode():
        passage = lower(ids, mask).clone()
        feed = {
            "query": query,
            "query_mask": torch.ones(3, 5, dtype=torch.int64),
            "passage": passage,
            "passage_mask": mask,
            "fused": torch.rand(3, generator=generator),
        }
        expected = joint(**feed)
    write_onnx(joint, {name: tensor.clone() for name, tensor in feed.items()}, folder / JOINT, "out")
    got = load_session(folder / JOINT).run(None, {name: tensor.numpy() for name, tensor in feed.items()})[0]
    states = export_lower(lower, folder).run(None, {"input_ids": ids.numpy(), "attention_mask": mask.numpy()})[0]
    difference = max(
        float((expected - torch.from_numpy(got)).abs().max()),
        float(((passage - torch.from_numpy(states)) * mask[..., None]).abs().max()),
    )
    if not difference <= PARITY:
        raise TrainingFailed(f"The exported cross-encoder differs from torch by {difference:.2e} (limit {PARITY:.0e}).")
    return difference


def export_lower(lower: Lower, folder: Path) -> Any:
    """Write lower.onnx and open it: an onnxruntime session."""
    from tribrid.encoders.onnx import load_session

    ids = torch.ones((2, 5), dtype=torch.int64)
    write_onnx(lower.eval(), {"input_ids": ids, "attention_mask": ids.clone()}, folder / LOWER, "out")
    return load_session(folder / LOWER)
