"""Hugging Face cross-encoders in training: query and passage are read together from the first layer on.

The artifact is what `save_pretrained` writes, so that sentence_transformers.CrossEncoder(folder) loads it and says
what is served, and beside it the ONNX export that serves.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from tribrid.encoders.cross_encoder import MODEL, MODEL_INT8
from tribrid.encoders.pairs import PairLimits, WholePairEncoder
from tribrid.encoders.torch_export import Int8File, Logits, add_int8, max_tokens_of, write_export
from tribrid.errors import ModelUnavailable, TrainingFailed
from tribrid.training.lessons import Pair
from tribrid.training.torch_pairs import ParameterGroup

UPPER = 3
"""One layer in so many learns, the last ones, where training.trained_layers is upper."""
LOGITS = "torch.nn.modules.linear.Identity"
"""What sentence-transformers puts after the model: nothing. A sigmoid would press listwise logits into ties."""


class HubModel:
    """The loop's PairModel for a folder with a ...ForSequenceClassification of one label."""

    def __init__(self, base: Path, limits: PairLimits, work: Path, upper_only: bool, model_id: str) -> None:
        """Load the model and set its tokenizer to what will be read.

        Raises:
            ModelUnavailable: transformers cannot load it.
        """
        try:
            model = AutoModelForSequenceClassification.from_pretrained(
                base, dtype=torch.float32, use_safetensors=True, trust_remote_code=False
            )
            tokenizer = AutoTokenizer.from_pretrained(base, trust_remote_code=False)
        # Each architecture refuses in its own way; whatever it says, this model cannot be trained.
        except Exception as error:
            raise ModelUnavailable(
                f"training.base_model: {base.name} cannot be loaded by transformers: {str(error)[:500]}",
                model=base.name,
            ) from error
        self.max_tokens = min(max_tokens_of(base, "cross-encoder"), limits.query_tokens + limits.passage_tokens)
        # Of the tokenizer as it will be saved: training, serving and sentence-transformers then read one and the same.
        self._tokenizer_folder = work / "tokenizer"
        tokenizer.model_max_length = self.max_tokens
        tokenizer.save_pretrained(self._tokenizer_folder)
        self._encoder = WholePairEncoder(self._tokenizer_folder, self.max_tokens, limits.snippet_chars)
        self._pad = int(model.config.pad_token_id or 0)
        self._model_id = model_id
        self._rows: dict[tuple[tuple[str, int], tuple[str, int]], Any] = {}
        self._logits = Logits(model)
        self.module: nn.Module = self._logits
        if upper_only:
            freeze_lower(model)

    def groups(self, learning_rate: float) -> list[ParameterGroup]:
        """See PairModel."""
        return [{"params": [p for p in self._logits.parameters() if p.requires_grad], "lr": learning_rate}]

    def tokens(self, pair: Pair) -> int:
        """See PairModel."""
        return int(self._row(pair).shape[1])

    def read(self, module: nn.Module, pairs: Sequence[Pair]) -> Tensor:
        """See PairModel."""
        device = next(module.parameters()).device
        rows = [self._row(pair) for pair in pairs]
        parts = []
        for at, fill in enumerate((self._pad, 0, 0)):
            part = [torch.from_numpy(row[at]).long() for row in rows]
            parts.append(nn.utils.rnn.pad_sequence(part, batch_first=True, padding_value=fill).to(device))
        scores: Tensor = module(*parts)
        return scores

    def save(self, folder: Path) -> None:
        """Write it as transformers and sentence-transformers load it."""
        model = self._logits.model.cpu().eval()
        model.config.sentence_transformers = {"activation_fn": LOGITS}
        model.save_pretrained(folder, safe_serialization=True)
        shutil.copytree(self._tokenizer_folder, folder, dirs_exist_ok=True)

    def export(self, folder: Path) -> float:
        """See PairModel."""
        self.save(folder)
        try:
            difference = write_export(folder, folder, "cross-encoder", self._model_id, self.max_tokens)
            add_int8(folder, [Int8File(MODEL, MODEL_INT8, exact=0.5)])
        except ModelUnavailable as error:
            raise TrainingFailed(f"The trained cross-encoder cannot be served: {error.detail}") from error
        return difference

    def _row(self, pair: Pair) -> Any:
        """int32 (3, tokens): ids, mask and segments."""
        key = (pair.query_key, pair.passage_key)
        if key not in self._rows:
            row = self._encoder.encode(pair.query, [pair.passage])[0]
            self._rows[key] = np.array([row.ids, row.attention_mask, row.type_ids], np.int32)
        return self._rows[key]


def freeze_lower(model: nn.Module) -> None:
    """Let the last layers and the head alone learn. The layers are the model's longest list of modules."""
    stacks = [found for found in model.modules() if isinstance(found, nn.ModuleList)]
    if not stacks:
        return
    layers = max(stacks, key=len)
    kept = max(1, len(layers) // UPPER)
    upper = {id(p) for layer in list(layers)[len(layers) - kept :] for p in layer.parameters()}
    above = {id(p) for p in _after(model, layers)}
    for parameter in model.parameters():
        parameter.requires_grad_(id(parameter) in upper or id(parameter) in above)


def _after(model: nn.Module, layers: nn.ModuleList) -> list[nn.Parameter]:
    """Parameters declared after the stack of layers: the pooler's and the head's."""
    own = [id(p) for p in layers.parameters()]
    found = list(model.parameters())
    last = max(at for at, p in enumerate(found) if id(p) == own[-1])
    return found[last + 1 :]
