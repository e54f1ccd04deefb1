"""evaluate: every system on the same frozen candidates, the report, and the promotion of a challenger that won."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from typing import cast

from pydantic import JsonValue

from tribrid.answers.costs import EvaluationCost
from tribrid.answers.report import About, EvaluationReport, FieldDrift, Leakage, Risers
from tribrid.cloud.prices import together
from tribrid.cloud.purse import bills
from tribrid.errors import EvaluationNotFound
from tribrid.evaluation.arms import (
    Readings,
    base_scores,
    ranks,
    retrieval_arm,
    run_arms,
)
from tribrid.evaluation.consistency import CorpusChange
from tribrid.evaluation.fields import field_drift
from tribrid.evaluation.inputs import EvaluationInputs
from tribrid.evaluation.leakage import leakage
from tribrid.evaluation.learning_curve import learning_curve
from tribrid.evaluation.measured import beliefs, compared_values
from tribrid.evaluation.measures import evaluable, report_key
from tribrid.evaluation.notes import LEARNED_NOTHING, ranks_as_retrieval
from tribrid.evaluation.proof import looked, seed_values
from tribrid.evaluation.report import build_report
from tribrid.evaluation.slices import SliceFacts, count_words
from tribrid.loop.arms import added_arms
from tribrid.loop.costs import estimate, local_cost
from tribrid.loop.experiment import promote_winner
from tribrid.loop.frozen import Task, read_task
from tribrid.loop.held_out import read_searches
from tribrid.loop.index import catch_up
from tribrid.loop.params import Arm, EvaluateParams
from tribrid.loop.promote import newest_model
from tribrid.loop.risers import find_risers
from tribrid.loop.signals import refuse_fields
from tribrid.loop.untrained import keep_evaluated
from tribrid.mining.splits import QueryMatcher
from tribrid.scoring.scorer import UNTRAINED_MODEL, LearnedScorer, Scorer
from tribrid.store.database import now_us
from tribrid.store.erasing import OF_CONTENT
from tribrid.types import (
    Emit,
    EvalDataset,
    JobKind,
    State,
    Triplet,
)
from tribrid.types.looks import Look
from tribrid.types.stored import Manifest
from tribrid.workspace.corpus import OpenCorpus, open_corpus


def evaluate(corpus: OpenCorpus, evaluation_id: str, params: EvaluateParams, emit: Emit) -> EvaluationReport:
    """Compare before with after on the eval dataset's frozen candidates; the challenger is promoted if it won.

    Raises:
        NoEvalDataset: the corpus has none.
        EvaluationFailed: a needed system could not be run, or the training that it waited for made no model.
        InvalidField: a document's field is not what features.fields says.
    """
    try:
        summary = corpus.store.evaluations.get(evaluation_id)  # killed after the report was stored: it stands
    except EvaluationNotFound:
        if corpus.index.count() == 0:
            catch_up(corpus, emit)
        refuse_fields(corpus)
        summary = compare_systems(corpus, evaluation_id, params, emit)
    if summary.promoted and summary.model_id is not None:
        corpus.learned(summary.model_id)  # loads, or is not promoted
        reasons, over = " ".join(summary.verdict.reasons), summary.champion_id
        corpus.store.models.promote(corpus.corpus_id, summary.model_id, reasons, evaluation_id, "gate", over)
    promote_winner(corpus)  # one that users preferred may have waited for its guards
    return summary


WORDS_COUNTED_IN, CHARACTERS_READ = 5000, 20_000
"""Documents in which it is counted how common a query's words are, and of each the start."""


def compare_systems(corpus: OpenCorpus, evaluation_id: str, params: EvaluateParams, emit: Emit) -> EvaluationReport:
    """The report, stored; `promoted` says whether the challenger won its place."""
    erasures = corpus.store.erasures.count(corpus.corpus_id, OF_CONTENT)
    dataset = corpus.store.evalsets.current(corpus.corpus_id)
    challenger_id = _serving(corpus) if params.served else params.model_id or newest_model(corpus, params.run_id)
    task = read_task(corpus, dataset, emit)
    inputs = _run_systems(corpus, task, challenger_id, params.arms, emit)
    others = [
        _elsewhere(open_corpus(corpus.folder, other), challenger_id, dataset.primary_measure, emit)
        for other in params.corpus_ids
    ]
    report = build_report(
        replace(
            inputs,
            fields=_fields(corpus, challenger_id, task.readings),
            others=[change for change, _ in others if change is not None],
            failed={**inputs.failed, **{name: why for _, failed in others for name, why in failed.items()}},
            about=inputs.about.model_copy(
                update={
                    "evaluation_id": evaluation_id,
                    "scheduled": params.served,
                    "queries_url": f"/reranker/evaluations/{evaluation_id}/queries",
                }
            ),
        )
    )
    first = (*_made_nothing(corpus, params), *_learned_nothing(report.summary), *_champion_read(corpus, dataset))
    won = report.summary.verdict.decision == "promote" and challenger_id not in (None, report.summary.champion_id)
    summary = report.summary.model_copy(update={"notes": (*first, *report.summary.notes), "promoted": won})
    corpus.store.evaluations.put(evaluation_id, corpus.corpus_id, summary, report.queries, dataset.sha256, erasures)
    keep_evaluated(corpus, summary)
    return summary


def _run_systems(
    corpus: OpenCorpus, task: Task, challenger_id: str | None, arms: Sequence[Arm], emit: Emit
) -> EvaluationInputs:
    """Run every system on the frozen candidates; the report's inputs but for the evaluation's id."""
    config, readings, champion_id = corpus.config, task.readings, corpus.champion_id
    challenger = corpus.learned(challenger_id) if challenger_id else None
    champion: Scorer | None = corpus.learned(champion_id) if champion_id and champion_id != challenger_id else None
    mode = config.reranking.reranker_mode
    local, cloud = corpus.scorer if mode == "local" else None, corpus.rival() if mode == "cloud" else None
    after = "challenger" if challenger else "local" if local else "cloud" if cloud else None
    added = added_arms(corpus, task, arms)
    named: list[tuple[str, Scorer | None]] = [("challenger", challenger), ("champion", champion), ("local", local)]
    named += [("cloud", cloud), (UNTRAINED_MODEL, corpus.untrained), *added.scorers]
    runs = [("base", base_scores), *ranks(named, challenger.reranker if challenger else None)]
    started = time.monotonic()
    found = run_arms(readings, runs, after or "", time.perf_counter, _telling(emit))
    pairs = sum(len(reading.candidates) for reading in readings.values())
    local_work = local_cost(corpus, "RERANK", "tribrid", pairs, round(time.monotonic() - started, 3))
    cost = together(EvaluationCost, local_work, cloud=bills(named))
    training: Manifest = corpus.store.models.get(challenger_id).manifest if challenger_id else {}
    taught = _taught(corpus, training)
    risers, unranked = _risers(corpus, challenger, champion, taught, emit)
    systems = {**task.legs, "retrieval": retrieval_arm(readings), **found.systems, **added.runs}
    if champion_id is not None and champion_id == challenger_id and "challenger" in systems:
        systems["champion"] = systems["challenger"]
    looks = _looks(corpus, task.dataset)
    return EvaluationInputs(
        dataset=task.dataset,
        candidates=task.candidates,
        systems=systems,
        before="champion" if champion else "retrieval",
        after=after,
        config=config.evaluation,
        latency_ms=found.latency_ms,
        cost=cost.model_copy(update={"estimated": estimate(corpus, JobKind.EVALUATE, {"arms": arms})}),
        leakage=_leakage(corpus, task.dataset, training, taught),
        failed={**found.failed, **added.failed, **unranked},
        about=_about(corpus, champion_id, challenger_id, training).model_copy(update={"mode": mode}),
        outside=added.facts,
        gate=config.gate,
        looks=looked(looks, challenger_id),
        seeds=_seeds(corpus, task.dataset, looks, challenger_id, task.candidates.sha256),
        given=added.given,
        timeout_ms=config.reranking.reranker_timeout_ms,
        risers=risers,
        slice_facts=_slice_facts(corpus, task.dataset, taught),
        serves=_serves(corpus, challenger_id),
        serves_untrained=corpus.serves_untrained,
    )


def _telling(emit: Emit, where: str = "") -> Callable[[str, int, int], None]:
    """What takes the progress of each system."""
    return lambda name, done, total: emit("progress", {"stage": f"{where}{name}", "done": done, "total": total})


def _serving(corpus: OpenCorpus) -> str | None:
    """The trained model that serves; None where none does."""
    return corpus.champion_id if corpus.config.reranking.reranker_mode == "learning" else None


def _fields(corpus: OpenCorpus, challenger_id: str | None, readings: Readings) -> tuple[FieldDrift, ...]:
    """How the candidates' fields differ from those that the challenger learned from."""
    fields = corpus.learned(challenger_id).reranker.signals.fields if challenger_id else ()
    return field_drift(fields, readings)


def _serves(corpus: OpenCorpus, challenger_id: str | None) -> str:
    """What searches get now, by its system's name."""
    mode = corpus.config.reranking.reranker_mode
    if mode == "learning" and corpus.champion_id:
        return "challenger" if corpus.champion_id == challenger_id else "champion"
    if mode == "learning":
        return UNTRAINED_MODEL if corpus.serves_untrained else "retrieval"
    return "retrieval" if mode == "none" else mode


def _leakage(corpus: OpenCorpus, dataset: EvalDataset, training: Manifest, taught: Sequence[Triplet]) -> Leakage | None:
    """What the model has seen of what it is asked; None where it was trained on nothing."""
    texts = _queries_of(taught)
    if not texts:
        return None
    found = leakage(dataset.queries, texts, QueryMatcher(texts))
    return found.model_copy(update={"read_searches": read_searches(corpus, dataset, training, taught)})


def _champion_read(corpus: OpenCorpus, dataset: EvalDataset) -> list[str]:
    """A note where what serves learned from the searches that it is measured on."""
    champion_id = corpus.champion_id
    if dataset.evidence is None or champion_id is None:
        return []
    manifest = corpus.store.models.get(champion_id).manifest
    if not read_searches(corpus, dataset, manifest, _taught(corpus, manifest)):
        return []
    return ["The champion learned from searches that this eval dataset was made of: it is measured too high."]


def _risers(
    corpus: OpenCorpus, challenger: LearnedScorer | None, champion: Scorer | None, taught: Sequence[Triplet], emit: Emit
) -> tuple[Risers | None, dict[str, str]]:
    """As find_risers, where there is a model that may serve instead of another."""
    serves = corpus.before_champion if corpus.serves_untrained else champion
    return (None, {}) if challenger is None else find_risers(corpus, challenger, serves, taught, emit)


def _elsewhere(
    corpus: OpenCorpus, challenger_id: str | None, measure: str, emit: Emit
) -> tuple[CorpusChange | None, dict[str, str]]:
    """The change on another corpus's eval dataset, and what failed there.

    `after` is the corpus's own newest model; where it has none, the challenger, which learned elsewhere.
    """
    own = newest_model(corpus, None)
    model_id = own or challenger_id
    if model_id is None:
        return None, {f"{corpus.corpus_id}: challenger": "There is no trained model, of this corpus or of the first."}
    task = read_task(corpus, corpus.store.evalsets.current(corpus.corpus_id), emit)
    champion_id = corpus.champion_id
    named: list[tuple[str, Scorer | None]] = [("challenger", corpus.learned(model_id))]
    if champion_id and champion_id != model_id:
        named.append(("champion", corpus.learned(champion_id)))
    found = run_arms(task.readings, ranks(named, None), "", time.perf_counter, _telling(emit, f"{corpus.corpus_id}: "))
    if found.failed:
        return None, {f"{corpus.corpus_id}: {name}": why for name, why in found.failed.items()}
    before = "champion" if "champion" in found.systems else "retrieval"
    systems = {"retrieval": retrieval_arm(task.readings), **found.systems}
    key, queries = report_key(measure), task.dataset.queries
    compared = [systems[before], systems["challenger"]]
    believed = beliefs(task.dataset, task.candidates.doc_ids, compared, corpus.config.evaluation.seed)
    values = [compared_values(run, queries, [key], believed)[1][key] for run in compared]
    texts = _queries_of(_taught(corpus, corpus.store.models.get(model_id).manifest))
    change = CorpusChange(
        corpus_id=corpus.corpus_id,
        before=values[0],
        after=values[1],
        before_system=before,
        model_id=model_id,
        transferred=own is None,
        leaked=len(leakage(queries, texts, QueryMatcher(texts)).overlapping) if texts else 0,
    )
    return change, {}


def _slice_facts(corpus: OpenCorpus, dataset: EvalDataset, taught: Sequence[Triplet]) -> SliceFacts:
    """How common the queries' words are among the first documents, the metadata of the relevant ones, and which
    documents training had seen.
    """
    queries = evaluable(dataset.queries)
    positives = {doc_id for query in queries for doc_id, grade in query.judgments.items() if grade >= 1}
    metadata = {
        doc_id: document.metadata
        for doc_id, document in corpus.store.documents.get_many(corpus.corpus_id, positives).items()
    }
    first = islice(corpus.store.documents.iterate(corpus.corpus_id), WORDS_COUNTED_IN)
    documents, holding = count_words(queries, (f"{d.title} {d.text[:CHARACTERS_READ]}" for d in first))
    return SliceFacts(documents, holding, metadata, frozenset(triplet.positive[0] for triplet in taught))


def _about(corpus: OpenCorpus, champion_id: str | None, challenger_id: str | None, training: Manifest) -> About:
    """What a report says of where it comes from."""
    return About(
        corpus_id=corpus.corpus_id,
        created_at=datetime.fromtimestamp(now_us() / 1e6, UTC),
        model_id=challenger_id,
        champion_id=champion_id,
        run_id=training.get("run_id"),
        training=cast("dict[str, JsonValue] | None", training.get("metrics")),
        heaviest_client=(training.get("data") or {}).get("heaviest_client"),
        learning_curve=learning_curve(corpus.store.events.told(str(training.get("run_id")), "metrics")),
    )


def _looks(corpus: OpenCorpus, dataset: EvalDataset) -> list[Look]:
    """Every look at the dataset, newest first; also at what it was before something was erased from it."""
    known_as = corpus.store.erasures.formerly(corpus.corpus_id, dataset.sha256)
    return [look for sha256 in known_as for look in corpus.store.evaluations.looks(corpus.corpus_id, sha256)]


def _seeds(
    corpus: OpenCorpus, dataset: EvalDataset, looks: Sequence[Look], challenger_id: str | None, candidates: str
) -> list[float]:
    if challenger_id is None:
        return []
    models = corpus.store.models
    others, key = models.list(corpus.corpus_id), report_key(dataset.primary_measure)
    return seed_values(looks, models.get(challenger_id), others, candidates, key)


def _taught(corpus: OpenCorpus, manifest: Manifest) -> list[Triplet]:
    """What the model was trained on, as far as it is stored."""
    set_id = (manifest.get("data") or {}).get("triplet_set_id")
    return corpus.store.triplets.load(set_id) if set_id else []


def _queries_of(taught: Sequence[Triplet]) -> list[str]:
    return sorted({triplet.query for triplet in taught})


def _made_nothing(corpus: OpenCorpus, params: EvaluateParams) -> list[str]:
    """A note where the newest training made no model, so that none, or an older one, is measured."""
    newest = corpus.store.jobs.list(corpus.corpus_id, JobKind.TRAIN, None, 1)
    if params.served or params.model_id or not newest or newest[0].state not in (State.FAILED, State.CANCELLED):
        return []
    why = (newest[0].problem or {}).get("detail", "")
    return [f"The newest training, {newest[0].job_id}, {newest[0].state} and made no model. {why}".strip()]


def _learned_nothing(summary: EvaluationReport) -> list[str]:
    """A note where the challenger is the retrieval order under another name."""
    return [LEARNED_NOTHING] if ranks_as_retrieval(summary.training or {}) else []
