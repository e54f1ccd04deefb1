"""Which documents may be a positive's negatives, and which few of them are drawn.

First come documents that users or judges saw and found worse. What they leave open is filled from the deployed
retrieval's own top ranks: what the reranker will have to tell apart when it serves. Such a document was returned
and chosen by nobody, which is a guess about it and not an observation, so it weighs less, and it is never taken
from what a user was shown but perhaps did not look at: there his silence would pass for a judgment.

Never a negative: the positive's document and its near-duplicates, anything positive for this query or a similar
one from any source, and what is not in the corpus.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

from tribrid.config import MiningConfig
from tribrid.corpus.lexical import jaccard, normalise, shingles
from tribrid.mining.labels import Group, Known, Positive
from tribrid.mining.splits import content_words
from tribrid.types import Candidate, Passage, Source

_T = TypeVar("_T")

PassagesOf = Callable[[Collection[str]], Mapping[str, Sequence[Passage]]]

RETRIEVED = "retrieved_not_chosen"
RETRIEVED_WEIGHT = {Source.LOGS: 0.3, Source.JUDGMENTS: 0.7, Source.HEURISTICS: 1.0}
"""How far a retrieved document that nobody chose may be trusted to be worse: a judge looked for what is relevant, a
user stopped at what sufficed. A heuristic positive weighs so little already that nothing more is taken off."""
LOWER_GRADED_SHARE = 3
"""One in so many negatives may be relevant itself, only graded lower: enough to teach the order among the good."""


@dataclass(frozen=True, slots=True)
class Negative:
    """A chosen negative; `weight` (0, 1] is how sure it is to be worse than the positive."""

    passage: Passage
    weight: float
    reason: str
    kind: str


class Ranking:
    """The deployed ranking of one query, and of each document the passage that the reranker would read.

    That is the passage retrieval ranked best. For a document it did not return it is the indexed passage that
    shares most words with the query (the first of equals).
    """

    def __init__(self, query: str, candidates: Sequence[Candidate], passages_of: PassagesOf) -> None:
        self.query = query
        self.candidates = candidates
        self.rank_of = {candidate.doc_id: candidate.rank for candidate in candidates}
        self._passages_of = passages_of
        self._passages: dict[str, Passage | None] = {c.doc_id: c.passage for c in candidates}
        self._shingles: dict[str, frozenset[str]] = {}

    def fetch(self, doc_ids: Iterable[str]) -> None:
        """Looks up, in one call, the passages of documents that retrieval did not return."""
        missing = [doc_id for doc_id in dict.fromkeys(doc_ids) if doc_id not in self._passages]
        if not missing:
            return
        found = self._passages_of(missing)
        wanted = content_words(self.query)
        for doc_id in missing:
            passages = found.get(doc_id, ())
            self._passages[doc_id] = max(
                passages, key=lambda p: (len(wanted & content_words(p.text)), -p.ordinal), default=None
            )

    def answer(self, positive: Positive) -> Passage | None:
        """The positive's passage: the one that holds most of its answer where that is known, else the best."""
        if positive.answer is None:
            return self.passage(positive.doc_id)
        start, end = positive.answer
        passages = self._passages_of([positive.doc_id]).get(positive.doc_id, ())
        return max(passages, key=lambda p: (min(end, p.end) - max(start, p.start), -p.ordinal), default=None)

    def passage(self, doc_id: str) -> Passage | None:
        """None when the index does not hold the document."""
        if doc_id not in self._passages:
            self.fetch([doc_id])
        return self._passages[doc_id]

    def shingles(self, doc_id: str) -> frozenset[str]:
        """Of title and text, which is what the reranker reads."""
        if doc_id not in self._shingles:
            passage = self.passage(doc_id)
            self._shingles[doc_id] = shingles(f"{passage.title}\n{passage.text}") if passage else frozenset()
        return self._shingles[doc_id]


def choose_negatives(
    group: Group,
    positive: Positive,
    ranking: Ranking,
    shielded: Collection[str],
    config: MiningConfig,
    rejected: Counter[str],
) -> list[Negative]:
    """At most `negatives_per_pair` negatives of one positive, the same ones every time.

    Args:
        shielded: documents that are positive for a similar query, or for this one by another source.
        rejected: counts, by reason, what may not be a negative.
    """
    pair = _Pair(group, positive, ranking, shielded, config, rejected)
    ranking.fetch(other.doc_id for other in group.positives)
    room = config.negatives_per_pair
    near: list[Known] = []
    far: list[Known] = []
    for known in group.known_negatives(positive):
        # A judge may have looked far beyond what retrieval returns; what a user was shown stood in some top ranks.
        shown = group.source is not Source.JUDGMENTS or known.doc_id in ranking.rank_of
        (near if shown else far).append(known)
    chosen = pair.seen(near, room)
    chosen += pair.drawn(room - len(chosen), skip={known.doc_id for known in (*near, *far)})
    return chosen + pair.seen(far, room - len(chosen))


@dataclass(frozen=True, slots=True)
class _Pair:
    """The tests a negative of one pair has to pass."""

    group: Group
    positive: Positive
    ranking: Ranking
    shielded: Collection[str]
    config: MiningConfig
    rejected: Counter[str]

    def seen(self, known: Sequence[Known], room: int) -> list[Negative]:
        """Documents seen and found worse: surest first, then hardest; those graded lower in their share."""
        last = len(self.ranking.candidates) + 1
        order = sorted(known, key=lambda k: (-k.weight, self.ranking.rank_of.get(k.doc_id, last), k.doc_id))
        lower_room = max(1, room // LOWER_GRADED_SHARE)
        lower = self._fitting([k for k in order if k.kind == "judged_lower"], min(lower_room, room))
        worse = self._fitting([k for k in order if k.kind != "judged_lower"], room - len(lower))
        return worse + lower

    def _fitting(self, known: Iterable[Known], room: int) -> list[Negative]:
        chosen: list[Negative] = []
        for found in known:
            if len(chosen) >= room:
                break
            passage = self.ranking.passage(found.doc_id)
            if passage is not None and self._admissible(found.doc_id):
                chosen.append(Negative(passage, found.weight, found.reason, found.kind))
        return chosen

    def drawn(self, room: int, skip: Collection[str]) -> list[Negative]:
        """A few of the deployed top ranks, spread over them."""
        taken = {*skip, *(other.doc_id for other in self.group.positives)}
        pool = []
        for candidate in self.ranking.candidates[: self.config.negative_depth]:
            if candidate.doc_id in self.group.unknown and candidate.doc_id not in taken:
                self.rejected["shown_not_examined"] += 1
            elif candidate.doc_id not in taken and self._admissible(candidate.doc_id):
                pool.append(candidate)
        weight = RETRIEVED_WEIGHT[self.group.source]
        seed = f"{self.group.query_id}\0{self.positive.doc_id}"
        return [
            Negative(c.passage, weight, f"the negative was retrieved at rank {c.rank} and not chosen", RETRIEVED)
            for c in spread(pool, room, seed)
        ]

    def _admissible(self, doc_id: str) -> bool:
        if doc_id in self.shielded:
            self.rejected["positive_for_similar_query"] += 1
        elif self._repeats_a_positive(doc_id):
            self.rejected["near_duplicate"] += 1
        elif self.group.source is Source.HEURISTICS and self._says_the_query(doc_id):
            self.rejected["contains_query"] += 1
        else:
            return True
        return False

    def _repeats_a_positive(self, doc_id: str) -> bool:
        own = self.ranking.shingles(doc_id)
        return any(
            _alike(own, self.ranking.shingles(other.doc_id), self.config.near_duplicate_threshold)
            for other in self.group.positives
            if other.doc_id != doc_id
        )

    def _says_the_query(self, doc_id: str) -> bool:
        """By the heuristic's own reasoning such a document answers the query as well."""
        passage = self.ranking.passage(doc_id)
        return passage is not None and says(passage, self.group.query)


def says(passage: Passage, query: str) -> bool:
    """Whether the query stands verbatim in what the reranker reads."""
    return normalise(query) in normalise(f"{passage.title}\n{passage.text}")


def _alike(a: frozenset[str], b: frozenset[str], threshold: float) -> bool:
    # Sets of such different sizes cannot reach the threshold: no need to compare them.
    return min(len(a), len(b)) >= threshold * max(len(a), len(b)) and jaccard(a, b) >= threshold


def spread(ranked: Sequence[_T], count: int, seed: str) -> list[_T]:
    """`count` of `ranked`, one at random from each of `count` equal stretches; all of them when there are no more.

    The same seed draws the same.
    """
    if count <= 0:
        return []
    if len(ranked) <= count:
        return list(ranked)
    generator = random.Random(hashlib.sha256(seed.encode("utf-8", "surrogatepass")).digest())
    bounds = [len(ranked) * i // count for i in range(count + 1)]
    return [ranked[generator.randrange(low, high)] for low, high in pairwise(bounds)]
