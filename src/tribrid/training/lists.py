"""Triplets as the lists that are learned from: per query, the served candidates and what is known of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np

from tribrid.encoders.tokens import QueryTokens
from tribrid.mining.labels import FEW_EVIDENCE
from tribrid.scoring.features import CorpusStatistics, Features, describe, remember
from tribrid.scoring.learned import Reading
from tribrid.scoring.memory import Memory, PastQueries
from tribrid.types import FILTERED_EVIDENCE, FIRST_RANK, RECONSTRUCTED_EVIDENCE, Candidate, Source, Triplet

GOOD, BETWEEN, BAD, UNKNOWN = 2, 1, 0, -1
MOST_EMPHASIS = 10
"""Where a click stands for this many searches, more rank would add more noise than knowledge."""
UNSEEN_WEIGHT = 0.3
"""How much a candidate that no user looked at weighs against one that was used: it is unknown, and not one of many."""


@dataclass(frozen=True, slots=True)
class Labels:
    """What the triplets of one query say.

    Attributes:
        query_id, query: of the query.
        grades: doc_id → GOOD (only ever better), BETWEEN (better than some, worse than others), BAD (only worse).
        weights: doc_id → largest weight of a triplet about it, 0..1.
        observed_us: when users last did something that a label rests on; None where no label has a date.
        few: documents that too few clients found good for this to be remembered; what a model said is no client's.
        clicked: all labels come from what users did in lists that were recorded and not filtered, so that what stood
            low was seen less often.
    """

    query_id: str
    query: str
    grades: Mapping[str, int]
    weights: Mapping[str, float]
    observed_us: int | None = None
    clicked: bool = False
    few: Set[str] = frozenset()

    @property
    def good(self) -> Sequence[str]:
        """What may be remembered of it."""
        return [doc_id for doc_id, grade in self.grades.items() if grade > BAD and doc_id not in self.few]


def labels_by_query(triplets: Sequence[Triplet]) -> list[Labels]:
    """One Labels a query, in the order in which queries first appear."""
    better: dict[str, set[str]] = {}
    worse: dict[str, set[str]] = {}
    weights: dict[str, dict[str, float]] = {}
    texts: dict[str, str] = {}
    observed: dict[str, int] = {}
    stated: set[str] = set()
    few = _few(triplets)
    for triplet in triplets:
        if triplet.source is not Source.LOGS or _beside_the_list(triplet):
            stated.add(triplet.query_id)
        if triplet.observed_us is not None:
            observed[triplet.query_id] = max(triplet.observed_us, observed.get(triplet.query_id, triplet.observed_us))
        good, bad = triplet.positive[0], None if triplet.remembered else triplet.negative[0]
        texts.setdefault(triplet.query_id, triplet.query)
        better.setdefault(triplet.query_id, set()).add(good)
        lost = worse.setdefault(triplet.query_id, set())
        known = weights.setdefault(triplet.query_id, {})
        known[good] = max(known.get(good, 0.0), triplet.weight)
        if bad is not None:
            lost.add(bad)
            known[bad] = max(known.get(bad, 0.0), triplet.weight)
    return [
        Labels(
            query_id,
            texts[query_id],
            {
                doc_id: BAD if doc_id not in better[query_id] else BETWEEN if doc_id in worse[query_id] else GOOD
                for doc_id in known
            },
            known,
            observed.get(query_id),
            query_id not in stated,
            few.get(query_id, frozenset()),
        )
        for query_id, known in weights.items()
    ]


def _beside_the_list(triplet: Triplet) -> bool:
    """Whether it is not known which of the candidates stood in the list that was clicked, and where."""
    return triplet.evidence.removeprefix(FEW_EVIDENCE).startswith((RECONSTRUCTED_EVIDENCE, FILTERED_EVIDENCE))


def _few(triplets: Sequence[Triplet]) -> dict[str, frozenset[str]]:
    """query_id → the documents that nothing but labels of too few clients, or of a model, speaks for."""
    doubted: dict[str, set[str]] = {}
    agreed: dict[str, set[str]] = {}
    for triplet in triplets:
        doubtful = triplet.source is Source.JUDGE or triplet.evidence.startswith(FEW_EVIDENCE)
        found = doubted if doubtful else agreed
        found.setdefault(triplet.query_id, set()).add(triplet.positive[0])
    return {query_id: frozenset(found - agreed.get(query_id, set())) for query_id, found in doubted.items()}


def triplets_sha256(triplets: Sequence[Triplet]) -> str:
    """What was taught, as a hash (hex) of every query, pair and weight in order."""
    digest = hashlib.sha256()
    for t in triplets:
        digest.update(f"{t.query}\x1f{t.positive}\x1f{t.negative}\x1f{t.weight}\x1e".encode("utf-8", "surrogatepass"))
        digest.update(b"remembered" * t.remembered)
    return digest.hexdigest()


def own_features(reading: Reading, statistics: CorpusStatistics, snippet_chars: int) -> Features:
    """The candidates' features that do not depend on past queries.

    Args:
        snippet_chars: of a passage's text, what is read; as it will be served.
    """
    passages = [tokens.cut(snippet_chars) for tokens in reading.passages]
    return describe(reading.tokens, reading.candidates, passages, statistics)


@dataclass(frozen=True, slots=True)
class TrainingList:
    """One query's served list with its labels; what every learner here is given.

    Attributes:
        cluster: near-duplicate queries share it; splits never divide one.
        candidates: as the first stage serves them, in fused order, whole.
        tokens: the query's.
        described: their `own_features`: the same whatever is held out. The candidates' own tokens, a hundred times as
            much, are not kept.
    """

    labels: Labels
    cluster: str
    candidates: Sequence[Candidate]
    tokens: QueryTokens
    described: Features

    @classmethod
    def of(cls, labels: Labels, cluster: str, reading: Reading, described: Features) -> TrainingList:
        """From a query's candidates, which must not be none, and their `own_features`."""
        return cls(labels, cluster, reading.candidates, reading.tokens, described)

    @property
    def good(self) -> Sequence[str]:
        """doc_ids of what may be remembered as good for the query, including documents that the first stage missed."""
        return self.labels.good

    @property
    def grades(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """int64 (n,): GOOD, BETWEEN, BAD or UNKNOWN for each candidate."""
        return np.array([self.labels.grades.get(c.doc_id, UNKNOWN) for c in self.candidates])

    @property
    def weights(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """float64 (n,): the labels' weights times the list's emphasis, 0 where unknown."""
        return self.emphasis * np.array([self.labels.weights.get(c.doc_id, 0.0) for c in self.candidates])

    @property
    def emphasis(self) -> float:
        """How many searches this one stands for, 1 to MOST_EMPHASIS; 1 where the labels are no clicks.

        Users look at rank k about once in k times, so that of the relevant documents there only one in k is clicked. A
        click counts for those that were not seen, or learning would find that the ranking was right all along.

        References: Joachims, Swaminathan, Schnabel: Unbiased learning-to-rank with biased feedback, WSDM 2017.
        """
        surest = max(self.labels.weights.values(), default=0.0)
        if not self.labels.clicked or not surest:
            return 1.0
        used = [
            self.labels.weights[c.doc_id] * min(rank, MOST_EMPHASIS)
            for rank, c in enumerate(self.candidates, FIRST_RANK)
            if self.labels.grades.get(c.doc_id, UNKNOWN) > BAD
        ]
        return max(1.0, max(used, default=0.0) / surest)

    @property
    def contrast(self) -> tuple[np.ndarray[Any, np.dtype[np.int64]], np.ndarray[Any, np.dtype[np.float64]]]:
        """Grades and weights (n,) of what a listwise loss sets against each other.

        That is every candidate with a label. Where the labels are clicks, the candidates that nobody looked at belong
        to it too, at little weight: to leave out just those near the top would make the ranking below look perfect.
        """
        grades, weights = self.grades, self.weights
        if self.labels.clicked:
            unseen = grades == UNKNOWN
            sure = UNSEEN_WEIGHT * self.emphasis * self._agreed
            grades, weights = np.where(unseen, BAD, grades), np.where(unseen, sure, weights)
        return grades, weights

    @property
    def _agreed(self) -> float:
        """What the list counts for as a whole, 0..1: where all that is good in it rests on few clients, as little."""
        if self.labels.good or not self.labels.few:
            return 1.0
        return max(self.labels.weights[doc_id] for doc_id in self.labels.few)

    @property
    def teaches(self) -> bool:
        """Whether some candidate is known to be better than another."""
        known = {grade for grade in self.grades.tolist() if grade != UNKNOWN}
        return len(known) > 1

    def features(self, memory: Memory) -> Features:
        """All features, with what the list's own cluster left in the memory taken out."""
        return self.described | remember(self.tokens, self.candidates, memory, frozenset((self.cluster,)))


@dataclass(frozen=True, slots=True)
class PastQuery:
    """A query of which it is only known what was good for it.

    Attributes:
        cluster, tokens, good: as a TrainingList's.
    """

    cluster: str
    tokens: QueryTokens
    good: Sequence[str]


def remembered(queries: Sequence[TrainingList | PastQuery]) -> list[TrainingList | PastQuery]:
    """Those of which something may be remembered."""
    return [item for item in queries if item.good]


def memory_of(queries: Sequence[TrainingList | PastQuery]) -> Memory:
    """What these queries were answered well by; one of which nothing may be remembered has no say either."""
    known = remembered(queries)
    embeddings = np.stack([item.tokens.embedding for item in known or queries])[: len(known)]
    past = PastQueries.of(embeddings, [item.tokens.ids for item in known])
    return Memory.of(past, [item.cluster for item in known], [item.good for item in known])


def ndcg(scores: np.ndarray[Any, Any], item: TrainingList, k: int = 10) -> float:
    """nDCG@k of a ranking by `scores` on the list's own labels; unknown counts as not relevant.

    The ideal is over all labels of the query, so what the first stage missed lowers it, as in an evaluation.
    """
    gains = np.maximum(item.grades, 0)
    order = np.argsort(-scores, kind="stable")[:k]
    ideal = sorted((grade for grade in item.labels.grades.values() if grade > 0), reverse=True)[:k]
    discount = 1 / np.log2(np.arange(2, k + 2))
    best = float((np.array(ideal) * discount[: len(ideal)]).sum())
    return float((gains[order] * discount[: len(order)]).sum()) / best if best else 0.0
