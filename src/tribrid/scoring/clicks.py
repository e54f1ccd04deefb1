"""How much a document was used, whatever was searched for: what is popular, as the log knew it at the training.

The counts are the model's own. A model that read the log as it is would change with it, and an evaluation would be
told what its own searches clicked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tribrid.encoders.onnx import FloatArray

USED, RATE = "clicks_used", "clicks_rate"
DIRECTIONS: Mapping[str, int] = {USED: 1, f"{USED}_beside": 1, RATE: 1}
"""Having been used more, or by more of those who looked, never harms."""
DOUBT = 10.0
"""So many looks at the usual rate are added to a document's own: of few looks little is known."""

Counts = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Tally:
    """What was done with documents, in clients, of whom each counts less the longer ago it was.

    Attributes:
        used: float64 (n,), those who used it.
        tried, looked: of lists that were recorded, those who used it, and those who looked at it.
    """

    used: Counts
    tried: Counts
    looked: Counts

    def columns(self, usual: float) -> dict[str, FloatArray]:
        """Features of a list's documents, float32 (n,).

        Args:
            usual: the share of looks that ends in a use.
        """
        used = np.log1p(self.used)
        rate = (self.tried + DOUBT * usual) / (self.looked + DOUBT)
        columns = {USED: used, f"{USED}_beside": used - np.median(used), RATE: rate}
        return {name: values.astype(np.float32) for name, values in columns.items()}


@dataclass(frozen=True, slots=True)
class Clicks:
    """The counts that a model carries.

    Attributes:
        usual: of all looks, the share that ended in a use, 0..1.
        counts: doc_id → used, tried, looked; a document that is not there was not used by enough.
    """

    usual: float
    counts: Mapping[str, Sequence[float]]

    def columns(self, doc_ids: Sequence[str]) -> dict[str, FloatArray]:
        """Features of a list's documents, float32 (n,)."""
        rows = np.array([self.counts.get(doc_id, (0.0, 0.0, 0.0)) for doc_id in doc_ids], np.float64).reshape(-1, 3)
        return Tally(*rows.T).columns(self.usual)
