"""Whose word judgments are: people's, or models' alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tribrid.answers.judgments import Rating
from tribrid.types import JudgedQuery
from tribrid.workspace.corpus import OpenCorpus


def judged_by_people(corpus: OpenCorpus) -> list[JudgedQuery]:
    """The corpus's judgments without those that models alone gave."""
    store = corpus.store
    return by_people(store.judgments.list(corpus.corpus_id), store.ratings.list(corpus.corpus_id))


def by_people(judged: Iterable[JudgedQuery], ratings: Iterable[Rating]) -> list[JudgedQuery]:
    """The judgments without those that models alone gave: people's word is learned in full, and decides."""
    givers: dict[tuple[str, str], set[str]] = {}
    for rating in ratings:
        givers.setdefault((rating.query_id, rating.doc_id), set()).add(rating.by)
    return [
        replace(
            query,
            judgments={
                doc_id: grade
                for doc_id, grade in query.judgments.items()
                if givers.get((query.query_id, doc_id)) != {"model"}
            },
        )
        for query in judged
    ]
