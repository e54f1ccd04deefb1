"""train: from the newest triplets to a model version.

A training is given lists of the queries whose order is learned, and past queries of which only the good answers are
remembered.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tribrid.encoders.models import fingerprint, locate
from tribrid.errors import Erased
from tribrid.jobs.story import kills
from tribrid.loop import index
from tribrid.loop.eval_queries import kept_out, refuse_leakage
from tribrid.loop.frozen import Retrieved, read_queries
from tribrid.loop.signals import refuse_fields, with_signals
from tribrid.loop.untrained import keep_trained_on
from tribrid.mining.splits import newest_clusters, query_clusters
from tribrid.scoring.features import CorpusStatistics
from tribrid.scoring.signals import Signals
from tribrid.store.database import now_us
from tribrid.training.lists import Labels, PastQuery, TrainingList, labels_by_query, triplets_sha256
from tribrid.training.resources import READING_SHARE, Pace
from tribrid.types import (
    Emit,
    ModelVersion,
    Triplet,
    TripletSet,
)
from tribrid.types.stored import Manifest, TrainingData
from tribrid.version import __version__, source_sha256
from tribrid.workspace.corpus import OpenCorpus


def train(
    corpus: OpenCorpus, run_id: str, params: Mapping[str, object], emit: Emit, cancelled: Callable[[], bool]
) -> ModelVersion:
    """Train on the newest triplets; the artifact is committed under the hash of its content.

    Raises:
        NoTriplets: nothing was mined, or nothing that teaches an order.
        Leakage: a training query is, or nearly is, one of the eval dataset's.
        TrainingFailed, Cancelled: as `training.train`.
        Erased: some of the triplets were erased meanwhile.
        InvalidField: a document's field is not what features.fields says.
    """
    # Imported here: serving must not load what only training needs.
    from tribrid.training.resources import Pace
    from tribrid.training.train import TrainingInputs
    from tribrid.training.train import train as train_model

    for model in corpus.store.models.list(corpus.corpus_id):
        if model.run_id == run_id:  # killed between the model's commit and the run's end
            return model
    corpus = corpus.with_params("training", params)
    refuse_fields(corpus)
    config = corpus.config
    pace = Pace(config.training.time_budget_s)
    triplet_set = corpus.store.triplets.latest(corpus.corpus_id)
    erased = corpus.store.triplets.erased(triplet_set.triplet_set_id)
    triplets = corpus.store.triplets.load(triplet_set.triplet_set_id)
    refuse_leakage(corpus, triplets)
    taught = read_triplets(corpus, triplets, pace, emit)
    keep_trained_on(corpus, triplets, taught.lists)
    base = locate(config.training.base_model)
    inputs = TrainingInputs(
        lists=taught.lists,
        statistics=taught.statistics,
        base=base,
        snippet_chars=config.reranking.rerank_input_snippet_chars,
        facts=_lineage(corpus, base, run_id, _data(triplet_set, triplets)),
        newest=taught.newest,
        pace=pace,
        past=taught.past,
        kills=kills(corpus.store, run_id),
        signals=taught.signals,
    )
    trained = train_model(inputs, config.training, corpus.folder.run_dir(run_id), emit, cancelled)
    _refuse_erased(corpus, triplet_set.triplet_set_id, erased, run_id)
    return _commit(corpus, run_id, trained.folder, trained.manifest)


def _data(found: TripletSet, triplets: Sequence[Triplet]) -> TrainingData:
    clients = found.counts.get("clients")
    return {
        "triplet_set_id": found.triplet_set_id,
        "sha256": triplets_sha256(triplets),
        "heaviest_client": clients["heaviest_share"] if clients else None,
    }


def _lineage(corpus: OpenCorpus, base: Path, run_id: str, data: TrainingData) -> Manifest:
    """What a model's manifest says of where it comes from."""
    return {
        "run_id": run_id,
        "data": data,
        "corpus_id": corpus.corpus_id,
        "base": {"model": corpus.config.training.base_model, "sha256": fingerprint(base)},
        "encoder": corpus.embedder.fingerprint,
        "retrieval": corpus.config.retrieval.model_dump(mode="json"),
        "reranking": corpus.config.reranking.model_dump(mode="json"),
        "corpus_version": corpus.version,
        "kept_out": kept_out(corpus),
        "code": {"version": __version__, "sha256": source_sha256()},
    }


def _refuse_erased(corpus: OpenCorpus, triplet_set_id: str, erased: int, run_id: str) -> None:
    """Let nothing be kept that was trained on what is erased by now."""
    if corpus.store.triplets.erased(triplet_set_id) != erased:
        raise Erased(
            "Some of what this model was trained on was erased while it was trained, so it is not kept. Train again.",
            run_id=run_id,
        )


def _commit(corpus: OpenCorpus, run_id: str, folder: Path, manifest: Manifest) -> ModelVersion:
    staged = corpus.store.artifacts.stage()
    shutil.copytree(folder, staged, dirs_exist_ok=True)
    digest = corpus.store.artifacts.commit(staged)
    model = ModelVersion(digest[:16], corpus.corpus_id, run_id, digest, manifest, now_us())
    corpus.store.models.put(model)
    shutil.rmtree(corpus.folder.run_dir(run_id), ignore_errors=True)
    return model


_STEPS = 20


@dataclass(frozen=True, slots=True)
class Taught:
    """See `TrainingInputs`, whose fields these are."""

    lists: Sequence[TrainingList]
    past: Sequence[PastQuery]
    newest: frozenset[str]
    statistics: CorpusStatistics
    signals: Signals


def read_triplets(corpus: OpenCorpus, triplets: Sequence[Triplet], pace: Pace, emit: Emit) -> Taught:
    """Retrieve and read the candidates of the queries that are learned from, and embed the others."""
    labels = labels_by_query(triplets)
    clusters = dict(zip((own.query_id for own in labels), query_clusters([own.query for own in labels]), strict=True))
    learned = {triplet.query_id for triplet in triplets if not triplet.remembered}
    taught = [own for own in labels if own.query_id in learned]
    newest = newest_clusters(
        [clusters[own.query_id] for own in taught],
        [own.observed_us for own in taught],
        1 / corpus.config.training.folds,
    )
    statistics = index.statistics(corpus, emit)
    known = {own.query_id: own for own in taught}

    def in_time() -> bool:
        return pace.within(READING_SHARE)

    read = [
        (
            TrainingList.of(known[found.query_id], clusters[found.query_id], found.reading, features),
            found.reading.described,
        )
        for found in _read_in_time(corpus, known, emit, in_time)
        if (features := found.features) is not None
    ]
    rest = [own for own in labels if own.query_id not in learned]
    past = list(_embedded_in_time(corpus, rest, clusters, emit, in_time))
    lists, signals = with_signals(corpus, read, emit)
    return Taught(lists, past, newest, statistics, signals)


def _read_in_time(
    corpus: OpenCorpus,
    known: Mapping[str, Labels],
    emit: Emit,
    in_time: Callable[[], bool],
) -> Iterator[Retrieved]:
    """The queries' candidates, as many as there is time for: at least one."""
    texts = {query_id: own.query for query_id, own in known.items()}
    for number, found in enumerate(read_queries(corpus, texts, emit, teaching=True), 1):
        yield found
        if number < len(texts) and not in_time():
            _tell_cut(emit, "read", number, len(texts))
            return


def _embedded_in_time(
    corpus: OpenCorpus,
    rest: Sequence[Labels],
    clusters: Mapping[str, str],
    emit: Emit,
    in_time: Callable[[], bool],
) -> Iterator[PastQuery]:
    """What was good for these queries, for as many as there is time to embed."""
    embedder, step = corpus.embedder, max(1, len(rest) // _STEPS)
    for number, own in enumerate(rest):
        if not in_time():
            _tell_cut(emit, "remember", number, len(rest))
            return
        yield PastQuery(clusters[own.query_id], embedder.query_tokens(own.query), own.good)
        if (number + 1) % step == 0:
            emit("progress", {"stage": "memory", "done": number + 1, "total": len(rest)})


def _tell_cut(emit: Emit, what: str, done: int, total: int) -> None:
    message = f"training.time_budget_s leaves time to {what} {done:,} of {total:,} queries"
    emit("log", {"level": "warning", "message": message})
