"""BM25 of any text on the scale of an index, also of one that the index does not hold."""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Sequence

from tribrid.retrieval.lance import PassageTable
from tribrid.retrieval.rows import RowIds
from tribrid.scoring.features import BM25_B, BM25_K1

LENGTHS_SAMPLED = 500
"""Passages from which the mean length is taken: it is then known to about 2 %, which moves BM25 by less than 1 %."""
MAX_QUERY_TERMS = 64
_WEIGHTS_KEPT = 20_000


def saturation(frequency: int, length: int, mean_length: float) -> float:
    """BM25 of one term but for its weight: 0 to BM25_K1 + 1."""
    return frequency * (BM25_K1 + 1) / (frequency + BM25_K1 * (1 - BM25_B + BM25_B * length / mean_length))


class TermWeights:
    """BM25 of any text. The weights are those of an index, asked for a term at a time, or of a list of texts."""

    def __init__(self, mean_length: float, weights: dict[str, float], table: PassageTable | None = None) -> None:
        self._mean_length, self._known, self._table = max(mean_length, 1.0), weights, table
        self._lock = threading.Lock()

    @classmethod
    def of_index(cls, table: PassageTable, row_ids: RowIds) -> TermWeights:
        """Those of one version of an index."""
        step = max(1, len(row_ids) // LENGTHS_SAMPLED)
        lengths = [len(text.split()) for text in table.lexical_at(row_ids[::step].tolist())]
        return cls(sum(lengths) / max(len(lengths), 1), {}, table)

    @classmethod
    def of_texts(cls, texts: Sequence[Sequence[str]]) -> TermWeights:
        """Those of the texts themselves, given by their terms, where there is no index to compare them with."""
        frequency = Counter(term for text in texts for term in set(text))
        weights = {term: math.log1p((len(texts) - n + 0.5) / (n + 0.5)) for term, n in frequency.items()}
        return cls(sum(map(len, texts)) / max(len(texts), 1), weights)

    def score(self, query: Sequence[str], text: Sequence[str]) -> float:
        """BM25 of a text's terms for a query's, one asked twice counting twice; 0 if they share none."""
        frequency = Counter(text)
        return sum(
            self._weight(term) * saturation(frequency[term], len(text), self._mean_length)
            for term in query[:MAX_QUERY_TERMS]
            if term in frequency
        )

    def _weight(self, term: str) -> float:
        if self._table is None:
            return self._known.get(term, 0.0)
        with self._lock:
            if term not in self._known:
                if len(self._known) >= _WEIGHTS_KEPT:
                    self._known.clear()
                self._known[term] = self._ask(self._table, term)
            return self._known[term]

    def _ask(self, table: PassageTable, term: str) -> float:
        """What one occurrence is worth, from the score of the best passage for this term alone."""
        rows, scores = table.match(term, 1)
        if len(rows) == 0:
            return math.log1p((table.count() + 0.5) / 0.5)
        found = table.lexical_at(rows.tolist())[0].split()
        return float(scores[0]) / saturation(max(found.count(term), 1), len(found), self._mean_length)
