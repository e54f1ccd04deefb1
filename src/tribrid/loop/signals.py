"""What a training learns of documents beside their texts: fields that the settings name, and how much they are used.

What may not be learned from is not counted either: the eval dataset's queries and the span that it was made from. And
no query is told what was clicked for itself, or for what is nearly the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tribrid.config.features import FeaturesConfig
from tribrid.encoders.onnx import FloatArray
from tribrid.loop.eval_queries import eval_queries_of
from tribrid.loop.held_out import held_out_of
from tribrid.mining.clicks.popularity import Popularity, count
from tribrid.mining.holdout import without
from tribrid.mining.splits import QueryMatcher
from tribrid.scoring.fields import learn, refuse
from tribrid.scoring.signals import NO_SIGNALS, Described, Metadata, Signals
from tribrid.store.database import now_us
from tribrid.training.lists import TrainingList
from tribrid.types import Emit, LoggedList
from tribrid.workspace.corpus import OpenCorpus


def refuse_fields(corpus: OpenCorpus) -> None:
    """Pass if every field that features.fields names is, in every document, of its kind or missing.

    Raises:
        InvalidField: naming the first document that has another.
    """
    if named := corpus.config.features.named:
        described = corpus.store.documents.described(corpus.corpus_id)
        refuse(named, ((doc_id, metadata) for doc_id, _, metadata in described))


def with_signals(
    corpus: OpenCorpus, read: Sequence[tuple[TrainingList, Described]], emit: Emit
) -> tuple[Sequence[TrainingList], Signals]:
    """The lists with the features of what the settings name, and what was learned for them.

    Args:
        read: each list with what gives the metadata of its documents.
    """
    config, lists = corpus.config.features, [item for item, _ in read]
    if not lists or config.asks_nothing:
        return lists, NO_SIGNALS
    shown = [[candidate.doc_id for candidate in item.candidates] for item in lists]
    values = [_named(config, doc_ids, described) for doc_ids, (_, described) in zip(shown, read, strict=True)]
    now = now_us()
    signals = Signals(learn(config.named, _distinct(values), now))
    _tell_left_out(corpus, signals, emit)
    columns = [signals.field_columns(doc_ids, of, now) for doc_ids, of in zip(shown, values, strict=True)]
    if config.clicks:
        counted = _counted(corpus)
        signals, used = replace(signals, clicks=counted.clicks), _used(counted, lists, shown)
    else:
        used = [{}] * len(lists)
    found = zip(lists, columns, used, strict=True)
    return [replace(item, described={**item.described, **own, **clicks}) for item, own, clicks in found], signals


def _named(config: FeaturesConfig, doc_ids: Sequence[str], described: Described) -> Metadata:
    """Of the metadata, what is learned from: the rest may be large."""
    if not config.fields:
        return {}
    names = [field.name for field in config.named]
    found = described(doc_ids).items()
    return {doc_id: {name: of[name] for name in names if name in of} for doc_id, of in found}


def _distinct(values: Sequence[Metadata]) -> list[Mapping[str, Any]]:
    """Each document once, or as often as something else was told of it."""
    found = {(doc_id, json.dumps(of, sort_keys=True)): of for one in values for doc_id, of in one.items()}
    return list(found.values())


def _tell_left_out(corpus: OpenCorpus, signals: Signals, emit: Emit) -> None:
    known = {field.name for field in signals.fields}
    for field in corpus.config.features.named:
        if field.name not in known:
            message = f"features.fields names {field.name}, which no document has that a training query found"
            emit("log", {"level": "warning", "message": message})


def _counted(corpus: OpenCorpus) -> Popularity:
    held, logs, mining = held_out_of(corpus), corpus.store.logs, corpus.config.mining
    asked = QueryMatcher(query.text for query in eval_queries_of(corpus))
    known: dict[str, bool] = {}

    def learnable(lists: Iterable[LoggedList]) -> Iterator[LoggedList]:
        for logged in lists:
            if held is not None and held.holds(logged):
                continue
            if logged.query not in known:
                known[logged.query] = not asked.matches(logged.query)
            if known[logged.query]:
                yield logged

    return count(
        learnable(logs.iterate_with_feedback(corpus.corpus_id)),
        without(logs.blocks_with_feedback(corpus.corpus_id, named=True), held),
        min_clients=mining.min_clients,
        examined_below_click=mining.examined_below_click,
        half_life_days=corpus.config.features.clicks_half_life_days,
    )


def _used(
    counted: Popularity, lists: Sequence[TrainingList], shown: Sequence[Sequence[str]]
) -> list[dict[str, FloatArray]]:
    """The columns of each list, without what was done for its own cluster of queries."""
    matcher = QueryMatcher(counted.queries)
    own: dict[str, set[str]] = {}
    for item in lists:
        own.setdefault(item.cluster, set()).update(matcher.near(item.labels.query))
    usual = counted.usual
    return [
        counted.tally(doc_ids, own[item.cluster]).columns(usual) for item, doc_ids in zip(lists, shown, strict=True)
    ]
