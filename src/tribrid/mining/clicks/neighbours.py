"""Which families of queries are alike: half of their words are the same, so what is good for one may be for others.

Far looser than what counts as one query (splits.py): "halo reach" and "halo reach map" are alike. That is too little to
add up votes, and enough to ask whether others found the same document good.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from tribrid.mining.splits import content_words

ALIKE = 0.5
"""Jaccard similarity of the sets of content words."""
COMMON = 1000
"""A word that more families have finds none of them: it says too little, and there are too many to look at."""


class Neighbours:
    """Finds the families that are alike.

    Args:
        texts: a query of each family, by the family's number.
    """

    def __init__(self, texts: Mapping[int, str]) -> None:
        self._words = {family: content_words(text) for family, text in texts.items()}
        self._having: defaultdict[str, list[int]] = defaultdict(list)
        for family, words in self._words.items():
            for word in words:
                self._having[word].append(family)

    def of(self, family: int) -> list[int]:
        """Ascending, itself among them."""
        own = self._words[family]
        sharing = {other for word in own if len(self._having[word]) <= COMMON for other in self._having[word]}
        return sorted(other for other in {family, *sharing} if alike(own, self._words[other]))


def alike(a: frozenset[str], b: frozenset[str]) -> bool:
    """Whether two queries are, by their content words."""
    shared = len(a & b)
    return shared >= ALIKE * (len(a) + len(b) - shared)
