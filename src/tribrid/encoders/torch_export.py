"""Exports a model to ONNX and checks the export against torch. Run as a process of its own, so that torch's
memory goes with it: `python -m tribrid.encoders.torch_export SOURCE TARGET encoder|cross-encoder MODEL_ID`.
"""

from __future__ import annotations

import json
import logging
import shutil
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any, NamedTuple

import numpy as np
import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification

from tribrid.encoders.cross_encoder import MODEL, MODEL_INT8, settle_export
from tribrid.encoders.models import staged
from tribrid.encoders.onnx import (
    HARD_MAX_TOKENS,
    FloatArray,
    IntArray,
    load_session,
    load_tokenizer,
    pad,
    token_batches,
)
from tribrid.encoders.tokens import WIDTH
from tribrid.encoders.variants import Decision, multiplies_int8, processor_flags
from tribrid.errors import ModelUnavailable, TribridError

TOLERANCE = 1e-4
_PROJECTION_CHARS = 100_000
_PROBES = (
    "what does the cat eat",
    "Aspirin inhibits the production of prostaglandins.",
    "def read_lines(path): return path.read_text().splitlines() " * 8,
)


class Int8File(NamedTuple):
    """An fp32 file, its int8 form, and how much of that stays fp32.

    Attributes:
        exact: share of the feed-forward blocks, from the first on, that stay fp32: int8 is coarsest on their outliers,
            and an error made early goes through every later layer.
    """

    name: str
    made: str
    exact: float


def pretrained(kind: Any, source: Path) -> Any:
    """The model in a folder as it is exported: `kind` is one of transformers' Auto classes."""
    return kind.from_pretrained(
        source, attn_implementation="eager", dtype=torch.float32, use_safetensors=True, trust_remote_code=False
    )


class Hidden(torch.nn.Module):
    """ids, mask int64 (n, t) → last hidden states float32 (n, t, dim)."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        hidden: torch.Tensor = self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return hidden


class Logits(torch.nn.Module):
    """ids, mask, segments int64 (n, t) → logits float32 (n,)."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        if model.config.num_labels != 1:
            raise ModelUnavailable(f"A cross-encoder has one output; this model has {model.config.num_labels}.")
        self.model = model
        self.segments = getattr(model.config, "type_vocab_size", 0) > 1

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor
    ) -> torch.Tensor:
        segments = {"token_type_ids": token_type_ids} if self.segments else {}
        logits: torch.Tensor = self.model(input_ids=input_ids, attention_mask=attention_mask, **segments).logits
        # Adding zero keeps the third input in the graph of models that do not read it.
        return logits[:, 0].float() + 0.0 * token_type_ids.sum()


def write_onnx(graph: torch.nn.Module, inputs: dict[str, torch.Tensor], path: Path, output: str) -> None:
    """Trace `graph` and write it with a dynamic batch, and a dynamic length of every input that has one."""
    axes = {
        name: {0: "rows"} | ({1: f"{name.split('_')[0]}_tokens"} if tensor.dim() > 1 else {})
        for name, tensor in inputs.items()
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer warns of shapes that the parity check proves dynamic
        torch.onnx.export(
            graph,
            tuple(inputs.values()),
            str(path),
            input_names=list(inputs),
            output_names=[output],
            dynamic_axes=axes,
            opset_version=17,
            dynamo=False,
        )


def worst_difference(graph: torch.nn.Module, feeds: list[dict[str, IntArray]], path: Path) -> float:
    """Largest absolute difference between torch and onnxruntime over the feeds (int64 arrays by input name)."""
    session = load_session(path)
    names = {i.name for i in session.get_inputs()}
    worst = 0.0
    for feed in feeds:
        with torch.inference_mode():
            expected: FloatArray = graph(**{name: torch.from_numpy(a) for name, a in feed.items()}).numpy()
        got = session.run(None, {name: a for name, a in feed.items() if name in names})[0]
        valid = feed["attention_mask"].astype(bool) if expected.ndim == 3 else slice(None)
        worst = max(worst, float(np.abs(expected[valid] - got[valid]).max()))
    return worst


def _feeds(source: Path, role: str, max_tokens: int, padding: int) -> list[dict[str, IntArray]]:
    tokenizer = load_tokenizer(source, max_tokens)
    feeds = []
    for texts in (_PROBES[:1], _PROBES):
        rows = tokenizer.encode_batch(list(texts) if role == "encoder" else [(_PROBES[0], text) for text in texts])
        feed = {
            "input_ids": pad([r.ids for r in rows], padding),
            "attention_mask": pad([r.attention_mask for r in rows]),
        }
        if role != "encoder":
            feed["token_type_ids"] = pad([r.type_ids for r in rows])
        feeds.append(feed)
    return feeds


def token_projection(exported: Path, source: Path, max_tokens: int) -> FloatArray:
    """float32 (dim, width): the principal directions of the model's own token vectors over plain prose.

    The prose is Python's language reference, which every installation carries: so the projection depends on the
    model alone, not on a corpus, and index and artifacts of one model always fit each other.
    """
    prose = "\n".join(text for _, text in sorted(topics.items()))[:_PROJECTION_CHARS]
    tokenizer = load_tokenizer(source, max_tokens)
    rows = tokenizer.encode_batch([prose[at : at + 1000] for at in range(0, len(prose), 1000)])
    session = load_session(exported)
    second_moment: Any = 0.0
    for batch in token_batches([len(row.ids) for row in rows]):
        mask = pad([rows[i].attention_mask for i in batch])
        hidden = session.run(None, {"input_ids": pad([rows[i].ids for i in batch]), "attention_mask": mask})[0]
        vectors = hidden[mask.astype(bool)].astype(np.float64)
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        second_moment = second_moment + vectors.T @ vectors
    _, directions = np.linalg.eigh(second_moment)
    projection: FloatArray = directions[:, ::-1][:, :WIDTH].astype(np.float32)
    return projection


def max_tokens_of(source: Path, role: str) -> int:
    """Tokens the model can read: its position table's, less what RoBERTa-like models reserve, at most 512."""
    config = AutoConfig.from_pretrained(source, trust_remote_code=False)
    positions = int(getattr(config, "max_position_embeddings", HARD_MAX_TOKENS))
    if config.model_type in {"roberta", "xlm-roberta", "camembert", "mpnet"}:
        positions -= 2
    return min(positions, HARD_MAX_TOKENS)


def export(source: Path, target: Path, role: str, model_id: str) -> None:
    """Write the export beside the target and rename it into place.

    Raises:
        ModelUnavailable: the export differs from torch by more than TOLERANCE, or the model is no reranker.
    """
    with staged(target) as folder:
        write_export(source, folder, role, model_id, max_tokens_of(source, role))
        shutil.copy(source / "tokenizer.json", folder / "tokenizer.json")
        if role == "cross-encoder":
            add_int8(folder, [Int8File(MODEL, MODEL_INT8, exact=0.5)])


def write_export(source: Path, folder: Path, role: str, model_id: str, max_tokens: int) -> float:
    """Write model.onnx, what goes with it, and manifest.json into `folder`.

    Returns:
        The largest difference from torch.

    Raises:
        ModelUnavailable: it is more than TOLERANCE, or the model is no reranker.
    """
    kind, build = (AutoModel, Hidden) if role == "encoder" else (AutoModelForSequenceClassification, Logits)
    inner = pretrained(kind, source)
    # The graph itself is put in eval mode: the exporter restores the mode it found, children included.
    graph: torch.nn.Module = build(inner).eval()
    padding = int(getattr(inner.config, "pad_token_id", None) or 0)
    feeds = _feeds(source, role, max_tokens, padding)
    write_onnx(
        graph,
        {name: torch.from_numpy(a) for name, a in feeds[-1].items()},
        folder / "model.onnx",
        "hidden" if role == "encoder" else "logits",
    )
    difference = worst_difference(graph, feeds, folder / "model.onnx")
    if not difference <= TOLERANCE:
        raise ModelUnavailable(f"The export differs from torch by {difference:.2e} (limit {TOLERANCE:.0e}).")
    if role == "encoder":
        np.save(folder / "projection.npy", token_projection(folder / "model.onnx", source, max_tokens))
    manifest = {
        "model_id": model_id,
        "role": role,
        "dim": int(inner.config.hidden_size),
        "vocabulary": int(inner.config.vocab_size),
        "max_tokens": max_tokens,
        "pad": padding,
        "parity": {"max_abs_difference": difference, "tolerance": TOLERANCE, "torch": torch.__version__},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2), "utf-8")
    return difference


def add_int8(folder: Path, files: Sequence[Int8File]) -> Decision:
    """Write the int8 form of each file beside it, and decide which form this machine serves: see variants.py.

    Args:
        folder: a whole export, with description and tokenizer.
        files: what is made of which.

    Returns:
        The decision, as it stands in the export's description.
    """
    # Where products of int8 are summed in pairs in 16 bits, weights of 8 bits overflow; of 7 they do not.
    narrow = not multiplies_int8(processor_flags())
    for name, made, exact in files:
        model = onnx.load(folder / name)
        # Shapes are inferred below; without the mark the quantizer advises everybody to do it first.
        onnx.helper.set_model_props(model, {"onnx.infer": "onnxruntime.quant"})
        quantize_dynamic(
            model,
            folder / made,
            op_types_to_quantize=["MatMul", "Gemm"],
            nodes_to_exclude=_feed_forward(model, exact),
            per_channel=True,
            reduce_range=narrow,
            weight_type=QuantType.QInt8,
        )
    return settle_export(folder)


def _feed_forward(model: onnx.ModelProto, share: float) -> list[str]:
    """Names of the first of the multiplications whose weights are not square, in the order of the layers."""
    shapes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    found = [
        node.name
        for node in model.graph.node
        if node.op_type == "MatMul" and any(len(s) == 2 and s[0] != s[1] for s in map(shapes.get, node.input) if s)
    ]
    return found[: round(share * len(found))]


def main() -> int:
    """Export as the command line says; the reason for a refusal goes to standard error."""
    torch.set_num_threads(1)  # small work: threads would only wait for each other on a busy machine
    logging.disable(logging.WARNING)
    source, target, role, model_id = sys.argv[1:5]
    try:
        export(Path(source), Path(target), role, model_id)
    except TribridError as error:
        sys.stderr.write(f"{error.detail}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
