"""Mined triplets, and what people decide of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum
from typing import TypeVar

from tribrid.answers.answer import time_at
from tribrid.answers.jobs import MiningCounts
from tribrid.answers.triplets import MinedTriplet, ReviewedTriplet, TripletPage, TripletSide
from tribrid.errors import InvalidInput
from tribrid.store.reviews import StoredTriplet
from tribrid.types import Mark, Passage, Source, TripletStatus
from tribrid.workspace.corpus import OpenCorpus
from tribrid.workspace.data_folder import DataFolder

_Choice = TypeVar("_Choice", bound=StrEnum)


def page_of_triplets(
    corpus: OpenCorpus,
    *,
    source: str | None = None,
    status: str | None = None,
    offset: int = 0,
    limit: int = 50,
) -> TripletPage:
    """A page of the newest triplets, with source, weight, reason and status.

    Args:
        status: `review` for those whose negative may be relevant and that wait for somebody to decide; `active`,
            `accepted`, `flipped`, `dropped`; None for all.

    Raises:
        NoTriplets, InvalidInput.
    """
    store, corpus_id = corpus.store, corpus.corpus_id
    origin, standing = _one_of(Source, "source", source), _one_of(TripletStatus, "status", status)
    latest = store.triplets.latest(corpus_id)
    rows, total = store.triplets.page(corpus_id, latest.triplet_set_id, origin, offset, limit, standing)
    passages = _passages(corpus.folder, corpus_id, rows)
    return TripletPage(
        corpus_id=corpus_id,
        triplet_set_id=latest.triplet_set_id,
        created_at=time_at(latest.created_us),
        counts=MiningCounts.model_validate(latest.counts),
        total=total,
        offset=offset,
        triplets=tuple(_triplet(row, passages) for row in rows),
    )


def review(folder: DataFolder, triplet_id: str, decision: str, corpora: Collection[str] | None) -> ReviewedTriplet:
    """Decide on a triplet, whose negative may be relevant; the triplet as it stands then.

    It holds at once for the mined set and for every later mining; a new decision takes the place of the old.

    Args:
        decision: `accept`: a true negative, to be trained on; `flip`: a positive of the query; `drop`: neither.
        corpora: of which it may be; None: of any.

    Raises:
        TripletNotFound, InvalidInput.
        Conflict: the same document was decided otherwise for the same query.
    """
    mark = _one_of(Mark, "decision", decision)
    if mark is None:
        raise InvalidInput(f"decision: one of {[m.value for m in Mark]} is needed.")
    store = folder.store
    corpus_id = store.reviews.decide(triplet_id, mark, corpora)
    row = store.triplets.find(triplet_id)
    return ReviewedTriplet(corpus_id=corpus_id, **dict(_triplet(row, _passages(folder, corpus_id, [row]))))


def _triplet(row: StoredTriplet, passages: Mapping[tuple[str, int], Passage]) -> MinedTriplet:
    triplet = row.triplet

    def side(key: tuple[str, int]) -> TripletSide:
        passage = passages.get(key)
        return TripletSide(doc_id=key[0], passage=key[1], text=passage.text if passage else None)

    return MinedTriplet(
        triplet_id=row.triplet_id,
        status=row.status,
        query_id=triplet.query_id,
        query=triplet.query,
        positive=side(triplet.positive),
        negative=side(triplet.negative),
        source=triplet.source,
        weight=triplet.weight,
        reason=triplet.reason,
        evidence=triplet.evidence,
        remembered=triplet.remembered,
        observed_at=time_at(triplet.observed_us),
    )


def _passages(folder: DataFolder, corpus_id: str, rows: Iterable[StoredTriplet]) -> Mapping[tuple[str, int], Passage]:
    keys = {key for row in rows for key in (row.triplet.positive, row.triplet.negative)}
    return folder.index(corpus_id).passages(keys)


def _one_of(kind: type[_Choice], name: str, given: str | None) -> _Choice | None:
    if given is None:
        return None
    if given not in set(kind):
        raise InvalidInput(f"{name}: {given!r} is not one of {[choice.value for choice in kind]}.")
    return kind(given)
