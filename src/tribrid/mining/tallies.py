"""Adds up the evidence of many impressions, query by query, into labels.

Impressions of the same normalised text are one query. Evidence for a document makes it surer, evidence that
disagrees makes it less sure, and a document is a negative only of those with better feedback than its own.
Impressions are streamed: what is kept grows with the distinct queries and the documents shown for them, never
with the length of the log.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tribrid.corpus.lexical import normalise
from tribrid.mining.labels import EXPLICITLY_BAD, Group, Known, Positive
from tribrid.mining.logs import ABOVE, BELOW, CERTAINTY, Evidence, Opinion, evidence
from tribrid.types import Feedback, Impression, Source

LEAST_WEIGHT = 0.05
"""Evidence that disagrees until less than this remains is no label."""
PASSED_OVER_DOUBT = 0.3
"""Being passed over speaks against relevance less than a click speaks for it: users stop when they have enough."""
PRIOR = 1.0
"""Imagined neutral evidence that every standing starts with, so that one click of one does not beat 90 of 100."""
IMPLICIT_CEILING = 0.5
"""No number of clicks stands above an undisputed good rating."""


class _Tally:
    """One document's evidence for one query, over all its impressions."""

    __slots__ = ("acts", "doubt", "examined", "explicit", "hushed", "likes", "passed", "query_id", "spoken")

    def __init__(self, query_id: str) -> None:
        self.query_id = query_id
        self.likes = 0.0
        self.doubt = 1.0
        self.passed = 0.0
        self.explicit = 0.0
        self.spoken = 0
        self.hushed = 1.0
        self.examined = 0
        self.acts: dict[str, int] | None = None

    def add(self, opinion: Opinion) -> None:
        self.examined += 1
        self.acts = self.acts or {}
        self.acts[opinion.act] = self.acts.get(opinion.act, 0) + 1
        if not opinion.explicit:
            self.likes += opinion.strength
            self.doubt *= 1 - opinion.strength
            return
        # A middling rating has strength 0 and still dilutes the rest: it is somebody's considered opinion.
        self.spoken += 1
        self.explicit += opinion.strength
        self.hushed *= 1 - abs(opinion.strength)

    @property
    def standing(self) -> float:
        """How good the feedback is, -1..1. Ratings and thumbs alone decide it where there are any."""
        if self.spoken:
            return self.explicit / self.spoken
        if not self.likes:
            return 0.0
        return IMPLICIT_CEILING * self.likes / (self.likes + PASSED_OVER_DOUBT * self.passed + PRIOR)

    @property
    def weight(self) -> float:
        """How sure the standing's sign is, 0..1: grows with the evidence, shrinks with its disagreement."""
        if self.spoken:
            return (1 - self.hushed) * abs(self.standing)
        if not self.likes:
            return 0.0
        return (1 - self.doubt) * self.likes / (self.likes + PASSED_OVER_DOUBT * self.passed)

    def words(self) -> str:
        acts = ", ".join(f"{act} {count}x" for act, count in sorted((self.acts or {}).items()))
        return f"{acts} in {self.examined} impressions" if self.examined > 1 else acts


class _Contest:
    """How often one document was used while another, examined, was left alone."""

    __slots__ = ("above", "below")

    def __init__(self) -> None:
        self.above = 0
        self.below = 0

    @property
    def evidence(self) -> float:
        return CERTAINTY[ABOVE] * self.above + CERTAINTY[BELOW] * self.below

    @property
    def sureness(self) -> float:
        return 1 - (1 - CERTAINTY[ABOVE]) ** self.above * (1 - CERTAINTY[BELOW]) ** self.below


class _QueryTally:
    """One query's evidence. `names` holds each doc_id once: a log repeats them a million times."""

    __slots__ = ("contests", "documents", "names", "query", "query_id", "unknown")

    def __init__(self, query_id: str, query: str, names: dict[str, str]) -> None:
        self.query_id = query_id
        self.query = query
        self.names = names
        self.documents: dict[str, _Tally] = {}
        self.contests: dict[str, dict[str, _Contest]] = {}
        self.unknown: set[str] = set()

    def add(self, found: Evidence) -> None:
        for doc_id, opinion in found.opinions.items():
            self._document(doc_id, found.query_id).add(opinion)
        for doc_id, where in found.passed_over.items():
            tally = self._document(doc_id, found.query_id)
            tally.examined += 1
            tally.passed += CERTAINTY[where]
        for better in found.liked:
            self._contests(self.names[better], found.passed_over)
        self.unknown.update(self.names.setdefault(doc_id, doc_id) for doc_id in found.unknown)

    def _document(self, doc_id: str, query_id: str) -> _Tally:
        tally = self.documents.get(doc_id)
        if tally is None:
            tally = self.documents[self.names.setdefault(doc_id, doc_id)] = _Tally(query_id)
        return tally

    def _contests(self, better: str, passed_over: Mapping[str, str]) -> None:
        lost = self.contests.setdefault(better, {})
        for worse, where in passed_over.items():
            contest = lost.setdefault(self.names[worse], _Contest())
            if where == ABOVE:
                contest.above += 1
            else:
                contest.below += 1


@dataclass(frozen=True, slots=True)
class LogLabels:
    """What the logs say: groups with the surest positive first; `conflicting` counts labels that cancelled out."""

    groups: list[Group]
    impressions: int
    conflicting: int


def log_groups(impressions: Iterable[tuple[Impression, Sequence[Feedback]]], *, examined_below_click: int) -> LogLabels:
    """Adds up a log. Reads `impressions` once, in any order; one without feedback on a document says nothing."""
    tallies: dict[str, _QueryTally] = {}
    names: dict[str, str] = {}
    read = 0
    for impression, feedback in impressions:
        read += 1
        found = evidence(impression, feedback, examined_below_click=examined_below_click)
        if not found.opinions:
            continue
        key = normalise(impression.query)
        tally = tallies.get(key)
        if tally is None:
            tally = tallies[key] = _QueryTally(impression.query_id, impression.query, names)
        tally.add(found)
    conflicts: Counter[str] = Counter()
    groups: list[Group] = []
    while tallies:
        # Each tally goes as its group comes: both together would double the peak memory of a long log.
        group = _group(tallies.popitem()[1], conflicts)
        if group.positives:
            groups.append(group)
    groups.sort(key=lambda group: (-group.positives[0].weight, group.query_id))
    return LogLabels(groups, read, conflicts.total())


def _group(tally: _QueryTally, conflicts: Counter[str]) -> Group:
    positives: list[Positive] = []
    bad: list[Known] = []
    neutral: set[str] = set()
    for doc_id, document in tally.documents.items():
        standing, weight = document.standing, document.weight
        if weight < LEAST_WEIGHT:
            conflicts["labels"] += bool(document.likes or document.spoken)
            neutral.update([doc_id] if document.acts else [])
        elif standing > 0:
            evidence_id = f"impression:{document.query_id}"
            positives.append(Positive(doc_id, weight, standing, document.words(), evidence_id))
        else:
            reason = f"the negative was {document.words()}"
            bad.append(Known(doc_id, weight, EXPLICITLY_BAD, reason, "explicitly_bad"))
    positives.sort(key=lambda positive: (-positive.standing, positive.doc_id))
    return Group(
        tally.query_id,
        tally.query,
        Source.LOGS,
        tuple(positives),
        tuple(bad),
        {p.doc_id: lost for p in positives if (lost := _lost_to(p, tally))},
        frozenset(tally.unknown | neutral),
    )


def _lost_to(positive: Positive, tally: _QueryTally) -> tuple[Known, ...]:
    """The documents passed over more often for `positive` than it was for them, and of lower standing."""
    found: list[Known] = []
    for worse, contest in tally.contests.get(positive.doc_id, {}).items():
        loser = tally.documents[worse]
        if not 0 <= loser.standing < positive.standing:
            continue
        back = tally.contests.get(worse, {}).get(positive.doc_id)
        against = back.evidence if back else 0.0
        agreement = (contest.evidence - against) / (contest.evidence + against)
        weight = contest.sureness * agreement * (1 - loser.standing / positive.standing)
        if weight >= LEAST_WEIGHT:
            kind = ABOVE if contest.above else BELOW
            found.append(Known(worse, weight, loser.standing, _lost_in_words(contest), kind))
    return tuple(found)


def _lost_in_words(contest: _Contest) -> str:
    parts = []
    if contest.above:
        parts.append(f"the negative was shown above and passed over {contest.above}x")
    if contest.below:
        parts.append(f"the negative was shown next below and left alone {contest.below}x")
    return "; ".join(parts)
