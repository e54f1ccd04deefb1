"""Did the model see the exam? Eval queries that also stood, word for word or nearly, in the training data.

Mining keeps them out; this looks again at what was trained on, so that a report does not rest on a promise. Its own
notion of "nearly" is the narrow one, word 3-grams, as for texts anywhere in Tribrid; a matcher that sees through
word order and small words can be handed in.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Protocol

from tribrid.answers.report import Leakage
from tribrid.corpus.lexical import jaccard, normalise, shingles
from tribrid.types import JudgedQuery, Query

NEAR = 0.8
"""Word 3-gram Jaccard similarity from which two queries count as one."""

_SLACK = 1e-9


class Matcher(Protocol):
    """Knows the training queries, and whether a text is nearly one of them."""

    def matches(self, query: str) -> bool: ...


def leakage(
    eval_queries: Iterable[Query | JudgedQuery], training_queries: Iterable[str], matcher: Matcher | None = None
) -> Leakage:
    """Which eval queries were trained on. 10,000 against 10,000 take about a second.

    Args:
        eval_queries: the dataset's.
        training_queries: the texts behind the triplets; repeats cost nothing.
        matcher: replaces the word 3-grams.

    Returns:
        `overlapping`: in ascending order; `exact`: with the very words, case and white space aside; `checked`: distinct
        training queries.
    """
    seen = {normalise(text) for text in training_queries}
    near = _Shingled(seen) if matcher is None else matcher
    overlapping, exact, looked_at = [], 0, 0
    for query in eval_queries:
        looked_at += 1
        if normalise(query.text) in seen:
            exact += 1
            overlapping.append(query.query_id)
        elif near.matches(query.text):
            overlapping.append(query.query_id)
    return Leakage(overlapping=tuple(sorted(overlapping)), exact=exact, checked=len(seen), eval_queries=looked_at)


class _Shingled:
    """Finds near-duplicates by their shingles without comparing all pairs.

    Two sets this similar share at least ceil(NEAR * n) of one's n shingles, so one of its rarest
    n - ceil(NEAR * n) + 1 is always shared: only the texts that hold one of those are compared.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._sets = [shingles(text) for text in texts]
        self._holders: defaultdict[str, list[int]] = defaultdict(list)
        for number, grams in enumerate(self._sets):
            for gram in grams:
                self._holders[gram].append(number)

    def matches(self, query: str) -> bool:
        grams = shingles(query)
        probes = len(grams) - math.ceil(NEAR * len(grams) - _SLACK) + 1
        rarest = sorted(grams, key=lambda gram: (len(self._holders.get(gram, ())), gram))[:probes]
        close = {number for gram in rarest for number in self._holders.get(gram, ())}
        return any(jaccard(grams, self._sets[number]) >= NEAR - _SLACK for number in close)
