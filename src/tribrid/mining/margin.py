"""When a retrieved document that nobody chose is more likely relevant than not, and so no negative on our own guess.

The first stage scores it near or above the positive. How near is too near differs from corpus to corpus: measured
with one relevant document known and the others hidden, 0.97 times the positive's score and up are more often
relevant than not on Medline (23 relevant abstracts a query), and nothing ever is on SciFact (1.1), where a fixed 0.95
would throw away one negative in twelve, the ones that teach most, to be right about 2 % of them. So the margin is
read off the corpus's own judgments, and where those show none, nothing is suspected.

Without enough judgments only this is suspected: every leg scores the document above the positive by
`mining.relative_margin`, and the positive is among the first `TRUSTED_RANKS`. Where retrieval ranks the positive
low it is wrong about the query, and its opinion of what stands above says nothing: those are the negatives that a
reranker has to learn. In the measurement above this held back 0.2 to 0.4 % of the candidates, of which 24 % (SciFact),
61 % (ADI) and 92 % (Medline) were relevant; without the second condition 1.5 to 11 %, and 5 % right on SciFact.

References:
    Moreira et al.: NV-Retriever, 2024 (margins relative to the positive). Ayer et al.: An empirical distribution
    function for sampling with incomplete information, 1955 (pool adjacent violators).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from tribrid.types import LEGS, Candidate
from tribrid.types.stored import MarginFacts

MORE_LIKELY_THAN_NOT = 0.5
"""Share of relevant documents from which one is suspected: below it, more good negatives would go than bad ones."""
FEWEST_PAIRS = 50
"""Pairs of relevant documents, both retrieved for one query, that a calibration needs."""
FEWEST_SUSPECTS = 20
"""Documents above a margin that it takes to believe it: the top of any sample is all of one kind by chance."""
CALIBRATION_QUERIES = 300
HELD_OUT = 10
"""Most positives that stand in for "the positive" in turn, for one query: evenly from the first to the last."""
TRUSTED_RANKS = 5


@dataclass(frozen=True, slots=True)
class Margin:
    """The rule, and what it rests on.

    Attributes:
        relative: the share of the positive's score that the rule without judgments asks for.
        calibrated: whether there were judgments enough; if so, `ratio` decides.
        ratio: candidate's fused score over the positive's from which it is suspected; None: never.
        judged_pairs: pairs of relevant documents behind it.
        false_negative_rate: of the candidates below the margin, the share that was relevant; None: not known.
    """

    relative: float
    calibrated: bool = False
    ratio: float | None = None
    judged_pairs: int = 0
    false_negative_rate: float | None = None

    def facts(self) -> MarginFacts:
        """For the counts of a mining."""
        facts: MarginFacts = {
            "calibrated": self.calibrated,
            "ratio": _rounded(self.ratio),
            "judged_pairs": self.judged_pairs,
            "false_negative_rate": _rounded(self.false_negative_rate),
        }
        return facts if self.calibrated else {**facts, "relative": round(self.relative, 4)}

    def suspicion(self, candidate: Candidate, positive: Candidate | None) -> str | None:
        """Why the candidate may be relevant too; None where nothing says so.

        Args:
            positive: as the first stage ranked it; None where it did not.
        """
        if positive is None or positive.score <= 0:
            return None
        if not self.calibrated:
            return self._by_every_leg(candidate, positive)
        ratio = candidate.score / positive.score
        if self.ratio is None or ratio < self.ratio:
            return None
        return (
            f"it may be relevant: it scores {ratio:.2f} of the positive's, and from {self.ratio:.2f} on, most such "
            "documents of judged queries are"
        )

    def _by_every_leg(self, candidate: Candidate, positive: Candidate) -> str | None:
        if positive.rank > TRUSTED_RANKS:
            return None
        for leg in LEGS:
            own, other = candidate.legs.get(leg), positive.legs.get(leg)
            if own is None or other is None or other.score <= 0 or own.score < (1 + self.relative) * other.score:
                return None
        return f"it may be relevant: every leg scores it above the well-ranked positive by {self.relative:.0%} or more"


@dataclass(frozen=True, slots=True)
class _Point:
    """An unlabelled candidate: its score over the positive's, how much it counts, and whether it was relevant."""

    ratio: float
    weight: float
    relevant: bool


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def worth_retrieving(relevant: Iterable[Collection[str]]) -> bool:
    """Whether queries with these relevant documents could make a calibration, if all were retrieved."""
    return sum(min(len(found), HELD_OUT) * (len(found) - 1) for found in relevant) >= FEWEST_PAIRS


def calibrate(judged: Iterable[tuple[Collection[str], Sequence[Candidate]]], relative: float) -> Margin:
    """The corpus's margin.

    One relevant document at a time is "the positive", and all others are hidden among the unlabelled. Queries with a
    single relevant document count too: leaving them out would make every query look as rich as the richest. A query
    counts once, however many relevant documents it has.

    Args:
        judged: for each query, its relevant documents and its candidates, as deep as negatives are drawn from.
        relative: the setting, for a corpus with too few judgments.
    """
    points: list[_Point] = []
    pairs = 0
    for relevant, candidates in judged:
        found = [candidate for candidate in candidates if candidate.doc_id in relevant and candidate.score > 0]
        held_out = [found[i * len(found) // HELD_OUT] for i in range(HELD_OUT)] if len(found) > HELD_OUT else found
        pairs += len(held_out) * (len(found) - 1) if found else 0
        points += [
            _Point(other.score / positive.score, 1 / len(held_out), other.doc_id in relevant)
            for positive in held_out
            for other in candidates
            if other.doc_id != positive.doc_id
        ]
    if pairs < FEWEST_PAIRS:
        return Margin(relative, judged_pairs=pairs)
    points.sort(key=lambda point: point.ratio)
    ratio = _crossing(points)
    used = [point for point in points if ratio is None or point.ratio < ratio]
    weight = sum(point.weight for point in used)
    missed = sum(point.weight for point in used if point.relevant)
    return Margin(relative, True, ratio, pairs, missed / weight if weight else None)


def _crossing(points: Sequence[_Point]) -> float | None:
    """The smallest ratio from which the share of relevant ones, fitted as never falling, is high enough."""
    blocks: list[tuple[float, float, int]] = []  # relevant weight, weight, where it starts
    for number, point in enumerate(points):
        relevant, weight, start = point.weight * point.relevant, point.weight, number
        tied = number > 0 and points[number - 1].ratio == point.ratio
        while blocks and (tied or blocks[-1][0] * weight >= relevant * blocks[-1][1]):
            before = blocks.pop()
            relevant, weight, start, tied = relevant + before[0], weight + before[1], before[2], False
        blocks.append((relevant, weight, start))
    for relevant, weight, start in blocks:
        if relevant >= MORE_LIKELY_THAN_NOT * weight:
            return points[start].ratio if len(points) - start >= FEWEST_SUSPECTS else None
    return None
