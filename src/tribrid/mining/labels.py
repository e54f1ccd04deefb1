"""What a source says about the documents of one query, in the form every source shares.

A `Positive` should stand high. A `Known` document was seen and found worse, by a user or a judge. `standing` puts a
number to how good the feedback on a document is; a document is a negative only of positives that stand higher.
A document that nobody looked at has neither: it is unknown.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

from tribrid.types import FILTERED_EVIDENCE, Source

FEW_EVIDENCE = "few clients, "
"""What precedes the evidence of a label that too few clients stand behind: it is learned from, but not remembered."""
EXPLICITLY_BAD = -1.0
"""Standing of a document that was rated or judged not relevant."""


@dataclass(frozen=True, slots=True)
class Positive:
    """A document with good feedback.

    `weight` (0, 1] is how sure it is that the document is relevant. `answer` is the stretch of the document that
    answers the query (characters), where the source knows it. `observed_us` is when users last acted on it
    (microseconds since 1970); None for labels that nobody dated.
    """

    doc_id: str
    weight: float
    standing: float
    reason: str
    evidence: str = ""
    answer: tuple[int, int] | None = None
    observed_us: int | None = None

    @property
    def few(self) -> bool:
        """Whether too few clients stand behind it for it to be remembered."""
        return self.evidence.startswith(FEW_EVIDENCE)

    @property
    def filtered(self) -> bool:
        """Whether it was found in a search with a filter."""
        return self.evidence.removeprefix(FEW_EVIDENCE).startswith(FILTERED_EVIDENCE)


@dataclass(frozen=True, slots=True)
class Known:
    """A document that was seen and found worse than a positive; `weight` (0, 1] is how sure that is."""

    doc_id: str
    weight: float
    standing: float
    reason: str
    kind: str


class Preferences(Mapping[str, tuple[Known, ...]]):
    """Preferences that are worked out only when asked for, because a log holds them for more queries than are mined."""

    @abstractmethod
    def documents(self) -> Collection[str]:
        """The documents that lost to any other, without working out how."""


class Positives(Sequence[Positive]):
    """Positives that are worked out only when asked for, best standing first."""

    @property
    @abstractmethod
    def doc_ids(self) -> Sequence[str]:
        """Of all of them, in any order."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))


@dataclass(frozen=True, slots=True)
class Group:
    """One query's labels from one source.

    Attributes:
        positives: best standing first.
        explicit: found bad in so many words; negatives of every positive.
        preferred: positive's doc_id → documents that lost to it where both were examined.
        unknown: shown below where a user stopped looking: never a negative on our own guess.
        within_rank: how high retrieval must rank a positive to be believed; None where the label needs no proof.
    """

    query_id: str
    query: str
    source: Source
    positives: Sequence[Positive]
    explicit: tuple[Known, ...] = ()
    preferred: Mapping[str, tuple[Known, ...]] = field(default_factory=dict)
    unknown: Set[str] = frozenset()
    within_rank: int | None = None

    def known_negatives(self, positive: Positive) -> list[Known]:
        """Everything seen and found worse than `positive`, each document once, surest first."""
        found = {known.doc_id: known for known in self.preferred.get(positive.doc_id, ())}
        found.update((known.doc_id, known) for known in self.explicit)
        worse = [
            known for known in found.values() if known.standing < positive.standing and known.doc_id != positive.doc_id
        ]
        return sorted(worse, key=lambda known: (-known.weight, known.doc_id))

    @property
    def good(self) -> Sequence[str]:
        """The documents of the positives, in any order."""
        if isinstance(self.positives, Positives):
            return self.positives.doc_ids
        return [positive.doc_id for positive in self.positives]

    def documents(self) -> set[str]:
        """Every document that a label names."""
        labelled = {*self.good, *(known.doc_id for known in self.explicit)}
        if isinstance(self.preferred, Preferences):
            return labelled.union(self.preferred.documents())
        return labelled.union(known.doc_id for found in self.preferred.values() for known in found)

    def without(self, missing: Collection[str]) -> Group:
        """The same group with no label for the documents in `missing`."""
        lost = {winner: _kept(found, missing) for winner, found in self.preferred.items() if winner not in missing}
        positives = tuple(positive for positive in self.positives if positive.doc_id not in missing)
        return replace(self, positives=positives, explicit=_kept(self.explicit, missing), preferred=lost)


def _kept(found: tuple[Known, ...], missing: Collection[str]) -> tuple[Known, ...]:
    return tuple(known for known in found if known.doc_id not in missing)


def by_turns(groups: Sequence[Group]) -> Iterator[tuple[Group, Positive]]:
    """Every query's best positive, then every query's second, and so on."""
    turn, waiting = 0, list(groups)
    while waiting:
        for group in waiting:
            yield group, group.positives[turn]
        turn += 1
        waiting = [group for group in waiting if len(group.positives) > turn]
