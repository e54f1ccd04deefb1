"""The blend as it is served: a linear model that starts at the fused ranking, and trees that correct it.

score = linear(features) + mean of the ensembles of trees. The whole of it is one ONNX graph, written where it was
trained (`training/onnx_blend.py`): what serves here is what `tribrid models export` hands on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tribrid.encoders.onnx import FloatArray, load_graph
from tribrid.errors import ModelUnavailable, ScorerFailed
from tribrid.scoring.features import matrix

FEATURES, SCORE = "features", "score"
"""The graph's input, float64 (n, features), and its output, float64 (n,). Also the key under which the graph lists the
names of its features, one a line."""


class Blend:
    """A fitted blend over named features. Safe for threads."""

    def __init__(self, names: Sequence[str], graph: bytes) -> None:
        """Open the graph.

        Args:
            names: of the features, in the order of the columns.
            graph: ONNX.

        Raises:
            ModelUnavailable: onnxruntime refuses it, or it was made for other features.
        """
        self.names, self.graph = tuple(names), graph
        self._session = load_graph(graph)
        made_for = self._session.get_modelmeta().custom_metadata_map.get(FEATURES, "").split("\n")
        if made_for != list(self.names):
            raise ModelUnavailable("The blend was made for other features than the artifact names.")

    def score(self, features: Mapping[str, FloatArray]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """float64 (n,), higher is better. Differences mean something within one list only.

        Raises:
            ScorerFailed: a feature is missing or a score is not finite.
        """
        try:
            columns = matrix(features, self.names)
        except KeyError as error:
            raise ScorerFailed(f"The blend needs the feature {error.args[0]!r}, which was not computed.") from error
        try:
            scores: np.ndarray[Any, np.dtype[np.float64]] = self._session.run(
                [SCORE], {FEATURES: columns.astype(np.float64)}
            )[0]
        except Exception as error:
            raise ScorerFailed(f"The blend failed: {error}") from error
        if not np.isfinite(scores).all():
            raise ScorerFailed("The blend gave a score that is not a number.")
        return scores

    def save(self, folder: Path, name: str) -> None:
        """Write `name`.onnx."""
        graph_file(folder, name).write_bytes(self.graph)

    @classmethod
    def load(cls, folder: Path, name: str, names: Sequence[str]) -> Blend:
        """Read what `save` wrote.

        Raises:
            ModelUnavailable: the file is missing or broken.
        """
        try:
            return cls(names, graph_file(folder, name).read_bytes())
        except OSError as error:
            raise ModelUnavailable(f"The artifact's {name} cannot be read: {error}") from error


def graph_file(folder: Path, name: str) -> Path:
    """Where an artifact keeps one of its blends."""
    return folder / f"{name}.onnx"
