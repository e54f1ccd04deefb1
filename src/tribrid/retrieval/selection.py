"""The rows of an index that a search may find, and its legs' best among them: the filter comes before the cut.

BM25's statistics stay those of the whole index, and a cosine needs none: so a passage has the same raw scores with a
filter as without, and only its ranks are those among what may be found.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tribrid.retrieval.lance import Scored
from tribrid.retrieval.metadata import Mask, Metadata, Numbers
from tribrid.retrieval.rows import Positions, Rows
from tribrid.types.filters import Expression

FEW_ROWS = 2000
"""So many rows are named to Lance one by one. With more, it takes longer than to ask for more and leave some out."""
_MARGIN = 1.5
_WIDEN = 4


@dataclass(frozen=True, slots=True)
class Selection:
    """What a search may find: documents by what their metadata says, as it stands in the store."""

    metadata: Metadata
    expression: Expression

    def documents(self) -> Mask:
        """Bool (n,), by the document's number."""
        return self.metadata.matching(self.expression)

    def rows(self, documents_of: Numbers) -> Positions:
        """The rows whose document may be found, ascending.

        Args:
            documents_of: of each row its document's number; -1: it has none, or another text than the row.
        """
        mask = np.append(self.documents(), False)  # what -1 finds
        return np.flatnonzero(mask[documents_of])


def numbered(metadata: Metadata, doc_ids: list[str], hashes: dict[str, str]) -> Numbers:
    """int32 (n,): the number of each row's document; -1 where the store has none of that text under the id. What was
    replaced and is not indexed yet is so found by nobody who may only find what its new metadata lets through.

    Args:
        doc_ids: of each row.
        hashes: doc_id → content_sha that the rows were made of.
    """
    known = {
        doc_id: number for doc_id, number in metadata.number_of.items() if hashes.get(doc_id) == metadata.hashes[number]
    }
    return np.array([known.get(doc_id, -1) for doc_id in doc_ids], np.int32)


def best_among(search: Callable[[int], Scored], k: int, rows: Rows, among: Positions) -> Scored:
    """The k best of some rows: a search is asked for more and more until it has named as many of them.

    Args:
        search: its best n rows of all, or fewer where there are no more.
        among: where the rows stand that may be found.
    """
    count = len(rows.row_ids)
    chosen = np.zeros(count, bool)
    chosen[among] = True
    n = min(count, int(_MARGIN * k * count / max(1, len(among))) + 1)
    while True:
        row_ids, scores = search(n)
        kept = chosen[rows.positions(row_ids)]
        if np.count_nonzero(kept) >= k or len(row_ids) < n or n >= count:
            return row_ids[kept][:k], scores[kept][:k]
        n = min(count, n * _WIDEN)
