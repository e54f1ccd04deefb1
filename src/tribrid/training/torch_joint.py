"""The cross-encoder that is trained here, in torch.

The base encoder's lower layers read query and passage apart and stay as they are; the upper layers read both
together and learn. The score is a learned sum of the first stage's score, the joint states' cosine and MaxSim, and
a head on [CLS] that starts at zero: so it starts at the first stage's ranking and can only be taught away from it
(a fresh head on a sentence encoder takes SciFact from 0.690 to 0.200 nDCG@10).
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel

from tribrid.errors import TrainingFailed
from tribrid.scoring.cross_encoder import JOINT, LOWER

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


def build(source: Path) -> tuple[Lower, Joint]:
    """Split a BERT-like encoder after two thirds of its layers.

    Raises:
        TrainingFailed: the model is not a BERT-like encoder.
    """
    config = AutoConfig.from_pretrained(source, trust_remote_code=False)
    if config.model_type != "bert":
        raise TrainingFailed(
            f"training.base_model must be a BERT-like encoder; {source.name} is {config.model_type!r}.",
            model_type=config.model_type,
        )
    base: Any = AutoModel.from_pretrained(
        source, attn_implementation="eager", use_safetensors=True, trust_remote_code=False
    )
    layers = list(base.encoder.layer)
    split = max(1, len(layers) * 2 // 3) if len(layers) > 1 else 0
    lower = Lower(base.embeddings, layers[:split]).eval()
    for parameter in lower.parameters():
        parameter.requires_grad_(False)
    return lower, Joint(layers[split:], config.hidden_size)


def save_weights(joint: nn.Module, path: Path) -> None:
    """Write the joint part's weights as safetensors."""
    save_file({name: tensor.detach().contiguous() for name, tensor in joint.state_dict().items()}, path)


def load_weights(joint: nn.Module, path: Path) -> None:
    """Read what `save_weights` wrote into `joint`."""
    joint.load_state_dict(load_file(path))


def export(lower: Lower, joint: Joint, folder: Path, dim: int) -> float:
    """Write lower.onnx and joint.onnx, and check them against torch on random input.

    Returns:
        The largest difference of a score.

    Raises:
        TrainingFailed: it is larger than PARITY.
    """
    from tribrid.scoring.onnx import load_session

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
    _write(joint, {name: tensor.clone() for name, tensor in feed.items()}, folder / JOINT)
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
    from tribrid.scoring.onnx import load_session

    ids = torch.ones((2, 5), dtype=torch.int64)
    _write(lower.eval(), {"input_ids": ids, "attention_mask": ids.clone()}, folder / LOWER)
    return load_session(folder / LOWER)


def _write(module: nn.Module, inputs: dict[str, Tensor], path: Path) -> None:
    rows = {
        name: {0: "rows", **({1: f"{name.split('_')[0]}_tokens"} if t.dim() > 1 else {})} for name, t in inputs.items()
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer warns of shapes that the parity check proves dynamic
        torch.onnx.export(
            module,
            tuple(inputs.values()),
            str(path),
            input_names=list(inputs),
            output_names=["out"],
            dynamic_axes=rows,
            opset_version=17,
            dynamo=False,
        )
