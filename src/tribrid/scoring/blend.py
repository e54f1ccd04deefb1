"""The blend as it is served: a linear model that starts at the fused ranking, and trees that correct it.

score = linear(features) + mean of the ensembles of trees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from tribrid.encoders.onnx import FloatArray
from tribrid.errors import ModelUnavailable, ScorerFailed
from tribrid.scoring.features import matrix
from tribrid.scoring.trees import Trees


@dataclass(frozen=True, slots=True)
class Blend:
    """A fitted blend over named features.

    Attributes:
        names: of the features, in the order of the columns.
        mean, scale: float64 (len(names),), the standardisation.
        weights: float64 (len(names),), of the standardised features.
        trees: ensembles over the raw features; their mean is added. None for a linear blend.
    """

    names: tuple[str, ...]
    mean: np.ndarray[Any, np.dtype[np.float64]]
    scale: np.ndarray[Any, np.dtype[np.float64]]
    weights: np.ndarray[Any, np.dtype[np.float64]]
    trees: tuple[Trees, ...] = ()

    def linear(self, columns: FloatArray) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The linear part's scores (n,) of raw feature columns (n, len(names))."""
        scores: np.ndarray[Any, np.dtype[np.float64]] = ((columns - self.mean) / self.scale) @ self.weights
        return scores

    def score(self, features: Mapping[str, FloatArray]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """float64 (n,), higher is better. Differences mean something within one list only.

        Raises:
            ScorerFailed: a feature is missing or a score is not finite.
        """
        try:
            columns = matrix(features, self.names)
        except KeyError as error:
            raise ScorerFailed(f"The blend needs the feature {error.args[0]!r}, which was not computed.") from error
        scores = self.linear(columns)
        for ensemble in self.trees:
            scores = scores + ensemble.predict(columns) / len(self.trees)
        if not np.isfinite(scores).all():
            raise ScorerFailed("The blend gave a score that is not a number.")
        return scores

    def save(self, folder: Path, name: str) -> None:
        """Write `name`.safetensors, and `name`-trees-N.txt for each ensemble."""
        arrays = {"mean": self.mean, "scale": self.scale, "weights": self.weights, "trees": np.array(len(self.trees))}
        save_file(arrays, folder / f"{name}.safetensors", {"names": "\n".join(self.names)})
        for number, ensemble in enumerate(self.trees):
            (folder / f"{name}-trees-{number}.txt").write_text(ensemble.text, "utf-8")

    @classmethod
    def load(cls, folder: Path, name: str, names: Sequence[str]) -> Blend:
        """Read what `save` wrote.

        Raises:
            ModelUnavailable: a file is missing or broken.
        """
        try:
            arrays = load_file(folder / f"{name}.safetensors")
            if any(arrays[part].shape != (len(names),) for part in ("mean", "scale", "weights")):
                raise ModelUnavailable(f"The artifact's {name} has not one weight for each feature.")
            paths = [folder / f"{name}-trees-{number}.txt" for number in range(int(arrays["trees"]))]
            ensembles = tuple(Trees.read(path.read_text("utf-8")) for path in paths)
            return cls(tuple(names), arrays["mean"], arrays["scale"], arrays["weights"], ensembles)
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise ModelUnavailable(f"The artifact's {name} cannot be read: {error}") from error
