"""What people decided in review, laid over the labels of every source: it outranks them all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from tribrid.corpus.lexical import normalise
from tribrid.mining.labels import EXPLICITLY_BAD, Group, Known, Positive
from tribrid.types import Mark, Review

REVIEWED = "review"
"""Evidence of what a review made positive, and kind of what it made negative."""


class Reviews:
    """Decisions, by query: case and white space aside, as everywhere in mining."""

    def __init__(self, reviews: Iterable[Review]) -> None:
        self._of: defaultdict[str, list[Review]] = defaultdict(list)
        for review in reviews:
            self._of[normalise(review.query)].append(review)

    def applied(self, group: Group) -> Group:
        """The group with flipped documents as positives, as good as its best, and accepted ones as negatives."""
        reviews = self._of.get(normalise(group.query))
        if not reviews:
            return group
        flipped = dict.fromkeys(review.negative for review in reviews if review.mark is Mark.FLIP)
        preferred = {doc_id: _without(lost, flipped) for doc_id, lost in group.preferred.items()}
        for review in reviews:
            if review.mark is Mark.ACCEPT and review.negative not in flipped:
                known = Known(review.negative, 1.0, EXPLICITLY_BAD, "the negative was accepted in review", REVIEWED)
                others = tuple(k for k in preferred.get(review.positive, ()) if k.doc_id != review.negative)
                preferred[review.positive] = (*others, known)
        best = max((positive.standing for positive in group.positives), default=1.0)
        labelled = {positive.doc_id for positive in group.positives}
        made = tuple(
            Positive(doc_id, 1.0, best, "made a positive in review", REVIEWED)
            for doc_id in flipped
            if doc_id not in labelled
        )
        return replace(
            group,
            positives=(*group.positives, *made),
            explicit=_without(group.explicit, flipped),
            preferred=preferred,
            unknown=frozenset(group.unknown) - flipped.keys(),
        )

    def dropped(self, group: Group, positive: Positive) -> frozenset[str]:
        """Documents that are never a negative of this positive."""
        reviews = self._of.get(normalise(group.query), ())
        return frozenset(r.negative for r in reviews if r.mark is Mark.DROP and r.positive == positive.doc_id)


def _without(known: tuple[Known, ...], gone: Iterable[str]) -> tuple[Known, ...]:
    return tuple(item for item in known if item.doc_id not in gone)
