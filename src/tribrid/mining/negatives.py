"""Which documents may be a positive's negatives, and which few of them are drawn.

First come documents that users or judges saw and found worse. What they leave open is filled from the deployed
retrieval's own top ranks: what the reranker will have to tell apart when it serves. Such a document was returned
and chosen by nobody, which is a guess about it and not an observation, so it weighs less, and it is never taken
from what a user was shown but perhaps did not look at: there his silence would pass for a judgment.

Never a negative: the positive's document and its near-duplicates, unless a field that is learned from tells them apart;
its parents and children, anything positive for this query or a similar one from any source, what a review dropped, and
what is not in the corpus. Never on a guess: its siblings, and what is probably relevant too (margin.py), which is held
back for review.

None is drawn from the whole corpus at random: every learner here reads the served candidates and ignores labels of
other documents, and all of the candidates, easy ones too, are drawn from already.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, TypeVar

from tribrid.config.sections import MiningConfig
from tribrid.corpus.lexical import jaccard, normalise, shingles
from tribrid.mining.families import PlacesOf, Relatives
from tribrid.mining.labels import Group, Known, Positive
from tribrid.mining.margin import Margin
from tribrid.mining.reviews import REVIEWED, Reviews
from tribrid.mining.splits import content_words
from tribrid.types import FIRST_RANK, Candidate, Passage, Place, Source

_T = TypeVar("_T")

PassagesOf = Callable[[Collection[str]], Mapping[str, Sequence[Passage]]]

RETRIEVED = "retrieved_not_chosen"
RETRIEVED_WEIGHT = {Source.LOGS: 0.3, Source.JUDGMENTS: 0.7, Source.JUDGE: 0.3, Source.HEURISTICS: 1.0}
"""How far a retrieved document that nobody chose may be trusted to be worse: a judge looked for what is relevant, a
user stopped at what sufficed, and a model was shown a pool and no more. A heuristic positive weighs so little already
that nothing more is taken off."""
TOP_SHARE = 5
"""One in so many of the top ranks is left out where a document asks its own query. It finds that document first, so all
that such a negative teaches is that the others on the subject are worse, which is not so for the query of a person.
In development, the linear blend from heuristics alone changed nDCG@10 with and without them by -0.013 and +0.001 on
Medline, +0.001 and +0.006 on ESCI, +0.004 and +0.006 on WikiQA, +0.003 and 0.000 on SciFact (a hundred queries each,
Medline 30)."""
LOWER = ("judged_lower", "judge_lower")
LOWER_GRADED_SHARE = 3
"""One in so many negatives may be relevant itself, only graded lower: enough to teach the order among the good."""
MOST_SIBLINGS = 0.5
"""A family with more of the candidates than this is not a document in parts: it is how the whole corpus is filed."""


@dataclass(frozen=True, slots=True)
class Negative:
    """A chosen negative; `weight` (0, 1] is how sure it is to be worse than the positive."""

    passage: Passage
    weight: float
    reason: str
    kind: str


class Chosen(NamedTuple):
    """A positive's negatives, and those that are held back for review."""

    negatives: list[Negative]
    suspected: list[Negative]


@dataclass(frozen=True, slots=True)
class Rules:
    """What is the same for every pair of a mining."""

    config: MiningConfig
    margin: Margin
    reviews: Reviews


def no_places(_doc_ids: Collection[str]) -> Mapping[str, Place]:
    """For documents of which nothing but the id is known."""
    return {}


class Ranking:
    """The deployed ranking of one query, and of each document the passage that the reranker would read.

    That is the passage retrieval ranked best. For a document it did not return it is the indexed passage that
    shares most words with the query (the first of equals).
    """

    def __init__(
        self, query: str, candidates: Sequence[Candidate], passages_of: PassagesOf, places_of: PlacesOf = no_places
    ) -> None:
        self.query = query
        self.candidates = candidates
        self.rank_of = {candidate.doc_id: candidate.rank for candidate in candidates}
        self.places: dict[str, Place] = {}
        self._candidate_of = {candidate.doc_id: candidate for candidate in candidates}
        self._passages_of = passages_of
        self._places_of = places_of
        self._passages: dict[str, Passage | None] = {c.doc_id: c.passage for c in candidates}
        self._shingles: dict[str, frozenset[str]] = {}
        # What holds for all positives of a group, which may be thousands, is worked out once and not for each.
        self.kinship: dict[tuple[Source, str], str | None] = {}
        self.siblings: dict[Source, set[str]] = {}
        self.prepared: set[Source] = set()
        self._relatives: dict[Source, Relatives] = {}
        self._said: dict[Source, list[tuple[str, frozenset[str]]]] = {}

    def relatives(self, group: Group) -> Relatives:
        """Of the group's positives."""
        if group.source not in self._relatives:
            self._relatives[group.source] = Relatives(group.good, self.places)
        return self._relatives[group.source]

    def said_by_positives(self, group: Group) -> Sequence[tuple[str, frozenset[str]]]:
        """The group's positives, each once, and what they say."""
        if group.source not in self._said:
            names = dict.fromkeys(group.good)
            self._said[group.source] = [(name, self.shingles(name)) for name in names]
        return self._said[group.source]

    def fetch(self, doc_ids: Iterable[str]) -> None:
        """Looks up, in one call, the passages of documents that retrieval did not return."""
        missing = [doc_id for doc_id in dict.fromkeys(doc_ids) if doc_id not in self._passages]
        if not missing:
            return
        found = self._passages_of(missing)
        wanted = content_words(self.query)
        for doc_id in missing:
            passages = found.get(doc_id, ())
            self._passages[doc_id] = (
                passages[0]
                if len(passages) == 1
                else max(passages, key=lambda p: (len(wanted & content_words(p.text)), -p.ordinal), default=None)
            )

    def prepare(self, group: Group) -> None:
        """Looks up what choosing the negatives of any of the group's positives needs, once."""
        if group.source not in self.prepared:
            self.prepared.add(group.source)
            self.fetch(group.good)
            self.locate(group.documents())

    def locate(self, doc_ids: Iterable[str]) -> None:
        """Looks up, in one call, where these documents and all candidates belong."""
        missing = [doc_id for doc_id in (*self.rank_of, *doc_ids) if doc_id not in self.places]
        if missing:
            found = self._places_of(missing)
            self.places.update((doc_id, found.get(doc_id, Place())) for doc_id in missing)

    def candidate(self, doc_id: str) -> Candidate | None:
        """None when retrieval did not return the document."""
        return self._candidate_of.get(doc_id)

    def within(self, doc_id: str, rank: int) -> bool:
        """Whether retrieval ranks the document this high."""
        return doc_id in self.rank_of and self.rank_of[doc_id] <= rank

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

    def beside(self, doc_id: str) -> str:
        """What a model reads of a document beside its text: two that say the same may differ in it."""
        return self.places[doc_id].beside if doc_id in self.places else ""

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
    rules: Rules,
    rejected: Counter[str],
) -> Chosen:
    """At most `negatives_per_pair` negatives of one positive, the same ones every time, and all that are suspected.

    Args:
        shielded: documents that are positive for a similar query, or for this one by another source.
        rejected: counts, by reason, what may not be a negative.
    """
    dropped = rules.reviews.dropped(group, positive)
    pair = _Pair(group, positive, ranking, shielded, dropped, rules, rejected)
    ranking.prepare(group)
    room = rules.config.negatives_per_pair
    near: list[Known] = []
    far: list[Known] = []
    for known in group.known_negatives(positive):
        # A judge may have looked far beyond what retrieval returns; what a user was shown stood in some top ranks.
        shown = group.source is not Source.JUDGMENTS or known.doc_id in ranking.rank_of or known.kind == REVIEWED
        (near if shown else far).append(known)
    chosen = pair.seen(near, room)
    # Of what a filter left out, nobody knows whether it would have been chosen.
    filtered = any(other.filtered for other in group.positives)
    drawn = pair.drawn(0 if filtered else room - len(chosen), skip={known.doc_id for known in (*near, *far)})
    chosen += drawn.negatives
    return Chosen(chosen + pair.seen(far, room - len(chosen)), drawn.suspected)


@dataclass(frozen=True, slots=True)
class _Pair:
    """The tests a negative of one pair has to pass."""

    group: Group
    positive: Positive
    ranking: Ranking
    shielded: Collection[str]
    dropped: Collection[str]
    rules: Rules
    rejected: Counter[str]

    def seen(self, known: Sequence[Known], room: int) -> list[Negative]:
        """Documents seen and found worse: surest first, then hardest; those graded lower in their share."""
        last = len(self.ranking.candidates) + 1
        order = sorted(known, key=lambda k: (-k.weight, self.ranking.rank_of.get(k.doc_id, last), k.doc_id))
        lower_room = max(1, room // LOWER_GRADED_SHARE)
        lower = self._fitting([k for k in order if k.kind in LOWER], min(lower_room, room))
        worse = self._fitting([k for k in order if k.kind not in LOWER], room - len(lower))
        return worse + lower

    def _fitting(self, known: Sequence[Known], room: int) -> list[Negative]:
        chosen: list[Negative] = []
        self.ranking.fetch(found.doc_id for found in known[:room])
        for found in known:
            if len(chosen) >= room:
                break
            passage = self.ranking.passage(found.doc_id)
            if passage is not None and self._admissible(found.doc_id):
                chosen.append(Negative(passage, found.weight, found.reason, found.kind))
        return chosen

    def drawn(self, room: int, skip: Collection[str]) -> Chosen:
        """A few of the deployed top ranks, spread over them; and of all of them those that are suspected."""
        taken = {*skip, *self.group.good}
        candidates = self._window() if room > 0 else ()
        siblings = self._siblings(candidates)
        pool: list[Candidate] = []
        suspected: list[tuple[Candidate, str]] = []
        for candidate in candidates:
            doc_id = candidate.doc_id
            if doc_id in taken:
                continue
            if doc_id in self.group.unknown:
                self.rejected["shown_not_examined"] += 1
            elif doc_id in siblings:
                self.rejected["parent_or_sibling"] += 1
            elif self._admissible(doc_id):
                why = self._suspicion(candidate)
                if why:
                    suspected.append((candidate, why))
                else:
                    pool.append(candidate)
        seed = f"{self.group.query_id}\0{self.positive.doc_id}"
        return Chosen(
            [self._guessed(candidate) for candidate in spread(pool, room, seed)],
            [self._guessed(candidate, f"; {why}") for candidate, why in suspected],
        )

    def _window(self) -> Sequence[Candidate]:
        """The ranks that negatives come from."""
        candidates = self.ranking.candidates[: self.rules.config.negative_depth]
        guessed = self.group.source is Source.HEURISTICS and self.group.within_rank is None
        return candidates[len(candidates) // TOP_SHARE :] if guessed else candidates

    def _guessed(self, candidate: Candidate, suspicion: str = "") -> Negative:
        weight = RETRIEVED_WEIGHT[self.group.source]
        reason = f"the negative was retrieved at rank {candidate.rank} and not chosen{suspicion}"
        return Negative(candidate.passage, weight, reason, RETRIEVED)

    def _suspicion(self, candidate: Candidate) -> str | None:
        """Of a query with several graded documents nothing is suspected: its judge looked further than one answer."""
        graded = sum(other.evidence != REVIEWED for other in self.group.positives) + len(self.group.explicit)
        if self.group.source in (Source.JUDGMENTS, Source.JUDGE) and graded > 1:
            return None
        return self.rules.margin.suspicion(candidate, self.ranking.candidate(self.positive.doc_id))

    def _siblings(self, candidates: Sequence[Candidate]) -> set[str]:
        """Of a positive; none where they are most of the candidates."""
        known = self.ranking.siblings
        if self.group.source not in known and candidates:
            relatives = self.ranking.relatives(self.group)
            found = {c.doc_id for c in candidates if relatives.have_sibling(c.doc_id)}
            known[self.group.source] = found if len(found) <= MOST_SIBLINGS * len(candidates) else set()
        return known.get(self.group.source, set())

    def _admissible(self, doc_id: str) -> bool:
        if doc_id in self.dropped:
            self.rejected["dropped_in_review"] += 1
        elif doc_id in self.shielded:
            self.rejected["positive_for_similar_query"] += 1
        elif kinship := self._kinship(doc_id):
            self.rejected[kinship] += 1
        elif self.group.source is Source.HEURISTICS and self._says_the_query(doc_id):
            self.rejected["contains_query"] += 1
        else:
            return True
        return False

    def _kinship(self, doc_id: str) -> str | None:
        """What the document is to one of the positives, if that rules it out."""
        known, key = self.ranking.kinship, (self.group.source, doc_id)
        if key not in known:
            related = self.ranking.relatives(self.group).hold_or_are_in(doc_id)
            repeats = not related and self._repeats_a_positive(doc_id)
            known[key] = "parent_or_sibling" if related else "near_duplicate" if repeats else None
        return known[key]

    def _repeats_a_positive(self, doc_id: str) -> bool:
        own, beside, ranking = self.ranking.shingles(doc_id), self.ranking.beside(doc_id), self.ranking
        threshold = self.rules.config.near_duplicate_threshold
        size = len(own)
        for name, other in ranking.said_by_positives(self.group):
            # Sets of such different sizes cannot reach the threshold: no need to compare them.
            if not (size >= threshold * len(other) and len(other) >= threshold * size) or name == doc_id:
                continue
            if jaccard(own, other) >= threshold and ranking.beside(name) == beside:
                return True
        return False

    def _says_the_query(self, doc_id: str) -> bool:
        """By the heuristic's own reasoning such a document answers the query as well."""
        passage = self.ranking.passage(doc_id)
        return passage is not None and says(passage, self.group.query)


def trivial(query: str, passage: Passage, ranking: Ranking) -> bool:
    """Whether retrieval needs no help: every leg has the document first, and its passage says the query verbatim.

    All legs first is the widest margin that any fusion knows, whatever scale its scores have.
    """
    first = ranking.candidates[0] if ranking.candidates else None
    legs = {leg for candidate in ranking.candidates for leg in candidate.legs}
    return (
        first is not None
        and first.doc_id == passage.doc_id
        and all(leg in first.legs and first.legs[leg].rank == FIRST_RANK for leg in legs)
        and says(passage, query)
    )


def says(passage: Passage, query: str) -> bool:
    """Whether the query stands verbatim in what the reranker reads."""
    return normalise(query) in normalise(f"{passage.title}\n{passage.text}")


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
