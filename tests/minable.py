"""A small corpus to mine from, and what users and judges may have said of it."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from typing import Any

from tribrid.config.sections import MiningConfig
from tribrid.corpus.lexical import normalise
from tribrid.mining.mine import Mined, MiningInputs, mine
from tribrid.types import Candidate, Document, Feedback, LegScore, LoggedList, Passage, Signal


def nothing(*_: object) -> None:
    """Takes progress and forgets it."""


SETTINGS = {"negatives_per_pair": 7, "negative_depth": 30, "near_duplicate_threshold": 0.9, "examined_below_click": 1}


class Corpus:
    """Documents of one passage each, ranked by how many words they share with a query."""

    def __init__(self, texts: dict[str, str], titles: dict[str, str] | None = None) -> None:
        titles = titles or {}
        self.documents = [Document(doc_id, text, titles.get(doc_id, "")) for doc_id, text in texts.items()]
        self.passages = {d.doc_id: [Passage(d.doc_id, 0, 0, len(d.text), d.title, d.text)] for d in self.documents}
        self.words = {d.doc_id: {*normalise(f"{d.title} {d.text}").split()} for d in self.documents}
        self.retrieved: list[str] = []

    def retrieve(self, query: str) -> list[Candidate]:
        self.retrieved.append(query)
        wanted = {*normalise(query).split()}
        scored = [(len(wanted & words), doc_id) for doc_id, words in self.words.items() if wanted & words]
        return [
            Candidate(self.passages[doc_id][0], rank, score, {"sparse": LegScore(rank, score)})
            for rank, (score, doc_id) in enumerate(sorted(scored, reverse=True), 1)
        ]

    def known(self, doc_ids: Collection[str]) -> set[str]:
        return {*doc_ids} & self.passages.keys()

    def passages_of(self, doc_ids: Collection[str]) -> dict[str, list[Passage]]:
        return {doc_id: self.passages[doc_id] for doc_id in doc_ids if doc_id in self.passages}

    def mine(self, *, config: dict[str, Any] | None = None, emit: Any = nothing, **inputs: Any) -> Mined:
        made = MiningInputs(known=self.known, passages_of=self.passages_of, **inputs)
        return mine(made, self.retrieve, MiningConfig.model_validate(SETTINGS | (config or {})), emit)


def numbered(count: int, words: str = "") -> dict[str, str]:
    """Documents d00, d01, ... that share `words` and have three words of their own."""
    return {f"d{n:02}": f"{words} own{n} other{n} third{n}" for n in range(count)}


def session(query: str, docs: Sequence[str], *acts: tuple[Any, ...], query_id: str = "") -> LoggedList:
    query_id = query_id or hashlib.sha256(f"{query}{docs}{acts}".encode()).hexdigest()[:8]
    done = [Feedback(query_id, Signal(act[1]), act[0], act[2] if len(act) > 2 else None, 0) for act in acts]
    return LoggedList(query_id, query, docs, range(1, len(docs) + 1), done)


def pairs_of(mined: Mined) -> set[tuple[str, str, str]]:
    return {(t.query, t.positive[0], t.negative[0]) for t in mined.triplets}
