"""Which queries belong together, so that a gain on average cannot hide a loss on some of them.

Five ways to cut: by the query's length, by whether it has a rare term, by whether it reads like code, by whether
training had seen one of its relevant documents, and by metadata of these. A query may stand in several slices of
metadata (its relevant documents may differ), in one of each other way. A slice too small to say anything is left out;
so is a way to cut that leaves one piece.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field

import numpy as np

from tribrid.answers.changes import Delta, Part, SlicePart
from tribrid.config.sections import EvaluationConfig
from tribrid.corpus.lexical import expand_identifiers
from tribrid.evaluation.comparison import Matrix, Value, adjusted, deltas
from tribrid.types import JudgedQuery

RARE_SHARE = 0.001
"""A term is rare that stands in no more than this share of the documents, or in one document alone."""
MOST_VALUES = 12
"""A metadata field with more values names things; it does not sort them."""
LEAST_COVERED = 0.5
"""Share of the queries whose relevant documents must have a field for it to be taken unasked."""
TRAINING, SEEN, UNSEEN = "training", "it has seen a relevant document", "it has seen no relevant document"
_LENGTHS = ((2, "1-2 words"), (5, "3-5 words"), (10, "6-10 words"))
_LONGEST = "11 or more words"
_WORD = re.compile(r"\w+")
# A call, a scope, an arrow, a comparison or assignment without spaces, a bracket pair, a path of two steps or more.
_CODE = re.compile(r"\w\((?!s\))|::|->|=>|[=!<>]=|\w=\w|\[\w*\]|[{}]|\w+(?:/[\w.-]+){2,}|(?:^|\s)(?:--\w|-[A-Za-z]\b)")


@dataclass(frozen=True, slots=True)
class Slice:
    """Some queries of a dataset, and what they share. `query_ids` in the dataset's order."""

    field: str
    name: str
    query_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SliceFacts:
    """What is known of the corpus.

    Attributes:
        documents: how many documents the words were counted in.
        holding: word (case folded) → how many of them hold it; every word of the queries, 0 where none does.
        metadata: doc_id → its metadata, of the relevant documents.
        taught: documents that were good for a query of the training; empty where that is not known.
    """

    documents: int = 0
    holding: Mapping[str, int] = field(default_factory=dict)
    metadata: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    taught: Set[str] = frozenset()


def count_words(queries: Iterable[JudgedQuery], texts: Iterable[str]) -> tuple[int, dict[str, int]]:
    """In how many texts there are, and in how many of them each word of the queries stands. One pass, one text held."""
    wanted = {word for query in queries for word in _words(query.text)}
    holding: Counter[str] = Counter(dict.fromkeys(wanted, 0))
    documents = 0
    for text in texts:
        documents += 1
        holding.update(wanted.intersection(_words(text)))
    return documents, dict(holding)


def reads_like_code(text: str) -> bool:
    """Whether a query holds an identifier (camelCase, snake_case, dotted.name), a call, an operator, a flag, a path."""
    return expand_identifiers(text) != text or _CODE.search(text) is not None


def slices(queries: Sequence[JudgedQuery], facts: SliceFacts, config: EvaluationConfig) -> list[Slice]:
    """The slices of at least `config.slice_queries` queries, by field, biggest first."""
    ways: dict[str, dict[str, list[str]]] = {
        "query_length": _cut(queries, lambda query: [_length(query.text)]),
        "rare_terms": _cut(queries, lambda query: [_rarity(query.text, facts)] if facts.documents else []),
        "code_or_prose": _cut(queries, lambda query: ["code" if reads_like_code(query.text) else "prose"]),
    }
    if facts.taught:
        ways[TRAINING] = _cut(queries, lambda query: [UNSEEN if facts.taught.isdisjoint(_positives(query)) else SEEN])
    for name in _metadata_fields(queries, facts, config.slice_metadata):
        ways[f"metadata.{name}"] = _cut(queries, lambda query, name=name: _values(query, facts, name))  # type: ignore[misc]
    return [
        Slice(way, name, tuple(query_ids))
        for way, pieces in ways.items()
        if len(pieces) > 1
        for name, query_ids in sorted(pieces.items(), key=lambda piece: (-len(piece[1]), piece[0]))
        if len(query_ids) >= config.slice_queries
    ]


def slice_rows(
    found: Iterable[Slice],
    before: Mapping[str, Value],
    after: Mapping[str, Value],
    config: EvaluationConfig,
    without_memory: Mapping[str, Value] | None = None,
) -> tuple[SlicePart, ...]:
    """One measure's before, after and change on each slice. p-values are also given as Holm corrects them
    over all slices: looking at twenty, one in twenty differs by chance.

    Args:
        before, after, without_memory: query_id → value.
    """
    rows = []
    for piece in found:
        row = SlicePart(field=piece.field, slice=piece.name, **dict(_part(piece, before, after, config)))
        if piece.field == TRAINING and without_memory is not None:
            row = row.model_copy(update={"without_memory": _part(piece, before, without_memory, config)})
        rows.append(row)
    changes = adjusted([row.delta for row in rows if row.delta is not None])
    return tuple(row.model_copy(update={"delta": change}) for row, change in zip(rows, changes, strict=True))


def _part(piece: Slice, before: Mapping[str, Value], after: Mapping[str, Value], config: EvaluationConfig) -> Part:
    sides = [np.array([side[query_id] for query_id in piece.query_ids]) for side in (before, after)]
    difference: Matrix = (sides[1] - sides[0])[:, None]
    change: Delta = deltas(difference, resamples=config.resamples, confidence=config.confidence, seed=config.seed)[0]
    before_mean, after_mean = (float(side.mean()) for side in sides)
    return Part(queries=len(piece.query_ids), before=before_mean, after=after_mean, delta=change)


def _cut(queries: Sequence[JudgedQuery], names: Callable[[JudgedQuery], list[str]]) -> dict[str, list[str]]:
    pieces: defaultdict[str, list[str]] = defaultdict(list)
    for query in queries:
        for name in names(query):
            pieces[name].append(query.query_id)
    return dict(pieces)


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.casefold()))


def _length(text: str) -> str:
    count = len(_WORD.findall(text))
    return next((name for most, name in _LENGTHS if count <= most), _LONGEST)


def _rarity(text: str, facts: SliceFacts) -> str:
    most = max(1.0, RARE_SHARE * facts.documents)
    return "a rare term" if any(facts.holding.get(word, 0) <= most for word in _words(text)) else "common terms only"


def _positives(query: JudgedQuery) -> list[str]:
    return [doc_id for doc_id, grade in query.judgments.items() if grade >= 1]


def _values(query: JudgedQuery, facts: SliceFacts, name: str) -> list[str]:
    found = {_text(facts.metadata.get(doc_id, {}).get(name)) for doc_id in _positives(query)}
    return sorted(value for value in found if value)


def _text(value: object) -> str:
    """A plain value as text; empty for what is none: a list, an object, a fraction, a long text."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)[:100] if isinstance(value, (str, int)) else ""


def _metadata_fields(queries: Sequence[JudgedQuery], facts: SliceFacts, asked: Sequence[str] | None) -> list[str]:
    """The fields asked for; unasked, those that most relevant documents have, with few values."""
    if asked is not None:
        return list(dict.fromkeys(asked))
    names = sorted({name for metadata in facts.metadata.values() for name in metadata})
    chosen = []
    for name in names:
        values = [_values(query, facts, name) for query in queries]
        covered = sum(bool(of) for of in values)
        distinct = {value for of in values for value in of}
        if covered >= LEAST_COVERED * len(queries) and 2 <= len(distinct) <= MOST_VALUES:
            chosen.append(name)
    return chosen
