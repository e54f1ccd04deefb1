"""What a training learns of documents beside their texts: fields that the settings name, and how much they are used.

What may not be learned from is not counted either: the eval dataset's queries and the span that it was made from. And
no query is told what was clicked for itself, or for what is nearly the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain

from tribrid.encoders.onnx import FloatArray
from tribrid.loop.eval_queries import eval_queries_of
from tribrid.loop.held_out import held_out_of
from tribrid.mining.clicks.popularity import Popularity, count
from tribrid.mining.holdout import without
from tribrid.mining.splits import QueryMatcher
from tribrid.scoring.fields import learn, refuse
from tribrid.scoring.signals import NO_SIGNALS, Signals
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
    corpus: OpenCorpus, lists: Sequence[TrainingList], emit: Emit
) -> tuple[Sequence[TrainingList], Signals]:
    """The lists with the features of what the settings name, and what was learned for them."""
    config = corpus.config.features
    if not lists or config.asks_nothing:
        return lists, NO_SIGNALS
    shown = [[candidate.doc_id for candidate in item.candidates] for item in lists]
    metadata, now = corpus.described(sorted(set(chain.from_iterable(shown)))), now_us()
    signals = Signals(learn(config.named, list(metadata.values()), now))
    _tell_left_out(corpus, signals, emit)
    columns = [signals.field_columns(doc_ids, lambda _: metadata, now) for doc_ids in shown]
    if config.clicks:
        counted = _counted(corpus)
        signals = replace(signals, clicks=counted.clicks)
        used = _used(counted, lists, shown)
        columns = [{**fields, **clicks} for fields, clicks in zip(columns, used, strict=True)]
    return [_with(item, own) for item, own in zip(lists, columns, strict=True)], signals


def _with(item: TrainingList, columns: Mapping[str, FloatArray]) -> TrainingList:
    return replace(item, described={**item.described, **columns})


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
        for logged in without(lists, held):
            if logged.query not in known:
                known[logged.query] = not asked.matches(logged.query)
            if known[logged.query]:
                yield logged

    return count(
        learnable(logs.iterate_with_feedback(corpus.corpus_id)),
        without(logs.iterate_with_feedback(corpus.corpus_id, named=True), held),
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
