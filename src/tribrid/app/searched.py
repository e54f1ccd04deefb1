"""A search as its answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tribrid.answers.search import (
    FacetValue,
    FirstStage,
    LegScores,
    LineSpan,
    PassageSpan,
    SearchAnswer,
    SearchResult,
)
from tribrid.app.experiments import search_trial
from tribrid.app.rerank import UNLOGGED
from tribrid.corpus.located import highlights, locate
from tribrid.errors import InvalidInput
from tribrid.loop.search import Found
from tribrid.types import Candidate, Document, ShownDoc
from tribrid.types.filters import Filter
from tribrid.workspace.corpus import OpenCorpus

MAX_TOP_K = 1000
PER = ("doc", "passage")
MAX_FACETS, MAX_FACET_VALUES = 10, 100


def check_page(offset: int, top_k: int, facets: Sequence[str], per: str) -> None:
    """Pass if a search may be asked for this.

    Raises:
        InvalidInput: it may not.
    """
    if not 0 <= offset <= MAX_TOP_K - top_k:
        raise InvalidInput(f"offset: 0 or more, and with top_k up to {MAX_TOP_K}.", offset=offset, top_k=top_k)
    if per not in PER:
        raise InvalidInput(f"per: {per!r} is not one of {', '.join(PER)}.", per=per)
    if isinstance(facets, str) or len(facets) > MAX_FACETS:
        raise InvalidInput(f"facets: a list of up to {MAX_FACETS} fields of the metadata.")


class Counted(NamedTuple):
    """How many documents the filter lets through, None where there is none; and how many of them have each value of the
    fields that were asked for.
    """

    matching: int | None = None
    facets: Mapping[str, tuple[FacetValue, ...]] = {}


def counted(corpus: OpenCorpus, wanted: Filter | None, facets: Sequence[str]) -> Counted:
    """What a search says of its filter, whatever its query is."""
    if wanted is None and not facets:
        return Counted()
    through = corpus.metadata.matching(wanted.meaning if wanted else None)
    found = {name: corpus.metadata.counts(name, through, MAX_FACET_VALUES) for name in facets}
    return Counted(
        None if wanted is None else int(through.sum()),
        {name: tuple(FacetValue(**count._asdict()) for count in counts) for name, counts in found.items()},
    )


def search_answer(found: Found, counts: Counted) -> SearchAnswer:
    """The answer to a search."""
    impression, ranking = found.impression, found.ranking
    return SearchAnswer(
        query_id=impression.query_id if found.logged else f"{UNLOGGED}{impression.query_id}",
        logged=found.logged,
        results=tuple(
            _result(impression.query, row, candidate, found.documents.get(row.doc_id))
            for row, candidate in zip(found.rows, found.shown, strict=True)
        ),
        reranked=impression.reranked,
        reranked_candidates=ranking.candidates,
        fallback_reason=impression.fallback_reason,
        fallback_code=ranking.fallback.code if ranking.fallback else None,
        note=ranking.note,
        model_id=impression.model_id,
        experiment=search_trial(impression.trial),
        took_ms=impression.took_ms,
        matching=counts.matching,
        facets=dict(counts.facets),
    )


def _result(query: str, row: ShownDoc, candidate: Candidate, document: Document | None) -> SearchResult:
    passage, place = candidate.passage, locate(document, candidate.passage)
    return SearchResult(
        rank=row.rank,
        doc_id=row.doc_id,
        title=passage.title,
        uri=document.uri if document else "",
        text=passage.text,
        score=row.score,
        passage=PassageSpan(start=row.start, end=row.end),
        headings=place.headings,
        page=place.page,
        lines=None if place.lines is None else LineSpan(first=place.lines[0], last=place.lines[1]),
        highlights=tuple(highlights(passage.text, query)),
        first_stage=FirstStage(rank=candidate.rank, score=candidate.score, legs=LegScores(**candidate.legs)),
    )
