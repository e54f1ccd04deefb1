"""The seam between the training loop and the kinds of cross-encoder that it trains, and how pairs are batched."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypedDict

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from tribrid.encoders.onnx import token_batches
from tribrid.training.lessons import Pair

CPU_BATCH_TOKENS, BATCH_TOKENS = 2048, 65_536
"""Most padded tokens a forward; more is no faster on a processor: it only leaves its caches."""
CPU_GROUP_TOKENS = 4 * CPU_BATCH_TOKENS
"""Most tokens whose forward passes wait for one backward pass on a processor, however much memory there is."""


class ParameterGroup(TypedDict, total=False):
    """Parameters of AdamW with settings of their own."""

    params: list[nn.Parameter]
    lr: float
    weight_decay: float


class PairModel(Protocol):
    """A cross-encoder in training."""

    module: nn.Module
    """What learns; the loop moves it to its device."""

    def groups(self, learning_rate: float) -> list[ParameterGroup]:
        """AdamW's parameter groups."""

    def tokens(self, pair: Pair) -> int:
        """How many tokens the pair has."""

    def read(self, module: nn.Module, pairs: Sequence[Pair]) -> Tensor:
        """Scores float32 (n,) in one padded forward of `module`, which is the model's own, perhaps wrapped."""

    def export(self, folder: Path) -> float:
        """Write what serves the model into the empty `folder`; returns the largest difference from torch.

        Raises:
            TrainingFailed: the export does not agree with torch.
        """


def score(
    model: PairModel, module: nn.Module, pairs: Sequence[Pair], tick: Callable[[], None], spare: bool = False
) -> Tensor:
    """Scores float32 (n,) of the pairs, read in batches of like length.

    Args:
        model, module: see PairModel.read.
        pairs: any number.
        tick: called before each batch; may raise.
        spare: forget what a backward pass needs and compute it again: slower, in the memory of one batch.
    """
    device = next(module.parameters()).device
    found = []
    order: list[int] = []
    most = CPU_BATCH_TOKENS if device.type == "cpu" else BATCH_TOKENS
    for batch in token_batches([model.tokens(pair) for pair in pairs], most):
        tick()
        chosen = [pairs[i] for i in batch]
        found.append(
            checkpoint(model.read, module, chosen, use_reentrant=False) if spare else model.read(module, chosen)
        )
        order += batch
    return torch.cat(found)[torch.argsort(torch.tensor(order, device=device))]


def kept_bytes(model: PairModel, module: nn.Module, pairs: Sequence[Pair]) -> int:
    """Bytes that a forward of the pairs keeps for its backward pass, parameters aside; each storage counts once."""
    own = {parameter.untyped_storage().data_ptr() for parameter in module.parameters()}
    seen: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        scores = model.read(module, pairs)
    del scores
    return sum(seen.values())


def computes_in_bfloat16(device: torch.device) -> bool:
    """Whether the device has instructions for bfloat16; without them it is emulated, and slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    if device.type != "cpu":
        return False
    # torch.cpu tells it, but under names that it does not promise to keep.
    asked = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(ask() for ask in asked if ask is not None)


def groups_of(lengths: Sequence[int], most: int) -> Iterator[list[int]]:
    """Positions in consecutive groups whose lengths add up to at most `most`; a longer one stands alone."""
    group: list[int] = []
    total = 0
    for i, length in enumerate(lengths):
        if group and total + length > most:
            yield group
            group, total = [], 0
        group.append(i)
        total += length
    if group:
        yield group


def save_weights(module: nn.Module, path: Path) -> None:
    """Write the weights as safetensors: all of the file is there, or none of it."""
    staged = path.with_name(f"{path.name}.new")
    save_file({name: tensor.detach().contiguous().clone() for name, tensor in module.state_dict().items()}, staged)
    staged.replace(path)


def load_weights(module: nn.Module, path: Path) -> None:
    """Read what `save_weights` wrote."""
    module.load_state_dict(load_file(path))
