"""A cross-encoder trained here, as sentence-transformers loads it: CrossEncoder(folder, trust_remote_code=True).

Its lower layers read query and passage apart, which no architecture of transformers does; so the folder names this
class, and the scores are those of the very code that serves. It scores; it does not train.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tribrid.encoders.cross_encoder import JointCrossEncoder
from tribrid.errors import InvalidInput


class ServedCrossEncoder(nn.Module):
    """What sentence-transformers calls an input module, for pairs (query, passage). The first stage's scores, which it
    reads where it serves, are taken to be equal.
    """

    def __init__(self, folder: Path) -> None:
        """Load an exported folder.

        Raises:
            ModelUnavailable: a file is missing or broken.
        """
        super().__init__()
        self.folder = folder
        self.max_seq_length: int | None = None
        self.modalities = ["text", "message"]
        self._cross_encoder = JointCrossEncoder(folder)

    @classmethod
    def load(cls, model_name_or_path: str, subfolder: str = "", **_: Any) -> ServedCrossEncoder:
        """As sentence-transformers calls it."""
        return cls(Path(model_name_or_path) / subfolder)

    def preprocess(self, inputs: Sequence[Any], prompt: str | None = None, **_: Any) -> dict[str, Any]:
        """Nothing is done yet: pairs are read where they are scored.

        Raises:
            InvalidInput: a prompt was given, which it was not trained with.
        """
        if prompt:
            raise InvalidInput("This cross-encoder was trained without a prompt.")
        return {"pairs": [tuple(pair) for pair in inputs]}

    def forward(self, features: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Adds `scores` float32 (n, 1)."""
        scores = torch.zeros(len(features["pairs"]), 1)
        by_query: dict[str, list[int]] = {}
        for number, (query, _passage) in enumerate(features["pairs"]):
            by_query.setdefault(query, []).append(number)
        for query, numbers in by_query.items():
            passages = [_title_and_text(features["pairs"][number][1]) for number in numbers]
            scores[numbers, 0] = torch.from_numpy(self._cross_encoder.score(query, passages))
        return {**features, "scores": scores}

    def save(self, output_path: str, *_: Any, **__: Any) -> None:
        """Copy the folder."""
        shutil.copytree(self.folder, output_path, dirs_exist_ok=True)

    def get_config_dict(self) -> dict[str, Any]:
        return {}


def _title_and_text(passage: str) -> tuple[str, str]:
    """A passage is its title, a line break, and its text; without a line break it is all text."""
    title, _, text = passage.partition("\n")
    return (title, text) if text else ("", passage)
