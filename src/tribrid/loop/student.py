"""student: a model version's order taught to a plain cross-encoder, and measured before anybody is given it.

It learns from no label: the model's scores of the candidates of many queries are all it is told. So queries need not be
judged, and none of them is, or nearly is, one of the eval dataset's.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from tribrid.answers.models import Student, StudentMeasures
from tribrid.corpus.lexical import normalise
from tribrid.encoders.models import locate, public_name, require_torch, trainable_as
from tribrid.encoders.pairs import PairLimits
from tribrid.errors import NotProven, NoTriplets
from tribrid.loop.eval_queries import eval_queries_of
from tribrid.loop.frozen import read_queries, read_task
from tribrid.mining.heuristics import heuristic_groups
from tribrid.mining.splits import QueryMatcher, query_clusters
from tribrid.private import own_folder
from tribrid.scoring.learned import Scores
from tribrid.scoring.scorer import LearnedScorer, ranked
from tribrid.training.lessons import Lesson
from tribrid.training.resources import READING_SHARE, Pace, Run
from tribrid.training.start import Base
from tribrid.types import Candidate, Emit, EvalDataset
from tribrid.workspace.corpus import OpenCorpus

MOST_QUERIES = 3000
"""Read at most: more are hardly learned from within the time that anybody gives it."""
LEAST_QUERIES = 20
HELD_OUT_SHARE, MOST_HELD_OUT = 0.1, 50
"""Of the clusters of queries: so many are kept to compare orders on, and as many to choose the best weights by."""
TRAINING, LOG, DOCUMENTS = "training", "log", "documents"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be made.

    Attributes:
        model_id: the teacher.
        base_model: where the student starts; None: at training.base_model.
        minutes: for reading what is learned from, and for training. Measuring comes on top.
    """

    model_id: str
    base_model: str | None
    minutes: float


@dataclass(frozen=True, slots=True)
class _Split:
    learn: Sequence[Lesson]
    dev: Sequence[Lesson]
    held_out: Sequence[Lesson]


def make_student(corpus: OpenCorpus, wanted: Wanted, target: Path, work: Path, emit: Emit) -> Student:
    """Train a cross-encoder, write it into the empty folder `target` and measure it.

    Args:
        work: an empty folder for what is needed meanwhile.

    Raises:
        NoEvalDataset: the corpus has none, so nothing could be measured.
        NoTriplets: there are too few queries to learn from.
        NotProven: it ranks the eval dataset worse than the first stage does. What is in `target` is not to be used.
        ModelUnavailable, MissingExtra, Unavailable, TrainingFailed: as a training of a cross-encoder.
    """
    started = time.monotonic()
    dataset = corpus.store.evalsets.current(corpus.corpus_id)
    require_torch("Teaching a cross-encoder")
    # Imported here: torch, and what measures, are the training extra's.
    from tribrid.evaluation.student import orders_agree
    from tribrid.training.torch_student import read_student, train_student

    base, pace, teacher = _base(corpus, wanted), Pace(60 * wanted.minutes), corpus.learned(wanted.model_id)
    lessons, learned_from = _lessons(corpus, teacher, pace, emit)
    split = _split(lessons, corpus.config.training.seed)
    for name in ("training", "reading"):
        own_folder(work / name)
    run = Run(work / "training", emit, lambda: False, pace)
    taught = train_student(base, split.learn, split.dev, corpus.config.training, run, target)
    read = partial(read_student, target, base.limits, work / "reading", tell=partial(_tell_read, emit))
    measured = _measured(corpus, dataset, teacher, read, emit)
    _refuse_worse(measured)
    truth = [lesson.blend for lesson in split.held_out]
    first = [_first_stage(lesson.item.candidates) for lesson in split.held_out]
    return Student(
        base_model=public_name(base.model),
        learned_from=learned_from,
        lists=taught.lists,
        steps=taught.steps,
        took_s=round(time.monotonic() - started, 1),
        max_tokens=taught.max_tokens,
        snippet_chars=base.limits.snippet_chars,
        held_out=len(split.held_out),
        agrees=orders_agree(list(zip(read(split.held_out), truth, strict=True))),
        first_stage_agrees=orders_agree(list(zip(first, truth, strict=True))),
        measured=measured,
    )


def _base(corpus: OpenCorpus, wanted: Wanted) -> Base:
    training = corpus.config.training
    named = wanted.base_model or training.base_model
    folder, snippet_chars = locate(named), corpus.config.reranking.rerank_input_snippet_chars
    limits = PairLimits(training.query_tokens, training.passage_tokens, snippet_chars)
    return Base(folder, trainable_as(folder), named, limits)


def _tell_read(emit: Emit, done: int, total: int) -> None:
    emit("progress", {"stage": "measuring", "done": done, "total": total})


def _queries(corpus: OpenCorpus, model_id: str) -> Iterator[tuple[str, str]]:
    """Where a query is from, and its text, the most telling first: what people judged and what the model was trained
    on, what users ask, most of them first, and what documents ask of themselves.
    """
    store, corpus_id = corpus.store, corpus.corpus_id
    set_id = (store.models.get(model_id).manifest.get("data") or {}).get("triplet_set_id")
    yield from ((TRAINING, query.text) for query in store.judgments.list(corpus_id))
    yield from ((TRAINING, text) for text in (store.triplets.queries(set_id) if set_id else ()))
    yield from ((LOG, text) for text in store.logs.crowd(corpus_id, MOST_QUERIES).queries)
    groups, _ = heuristic_groups(store.documents.iterate(corpus_id))
    yield from ((DOCUMENTS, group.query) for group in groups)


def _apart(found: Iterable[tuple[str, str]], eval_queries: Sequence[str]) -> dict[str, str]:
    """Text → where it is from; each query once, and none that is nearly one of the eval dataset's."""
    asked, kept = QueryMatcher(eval_queries), {}
    seen: set[str] = set()
    for source, text in found:
        if (normal := normalise(text)) in seen:
            continue
        seen.add(normal)
        if not asked.matches(text):
            kept[text] = source
        if len(kept) == MOST_QUERIES:
            break
    return kept


def _lessons(corpus: OpenCorpus, teacher: LearnedScorer, pace: Pace, emit: Emit) -> tuple[list[Lesson], dict[str, int]]:
    """Each query's candidates with the teacher's scores, as many as there is time to read; and where they are from."""
    from tribrid.training.torch_student import lesson_of

    eval_texts = [query.text for query in eval_queries_of(corpus)]
    sources = _apart(_queries(corpus, teacher.model_id), eval_texts)
    texts = list(sources)
    clusters = dict(zip(texts, query_clusters(texts), strict=True))
    found: list[Lesson] = []
    for read in read_queries(corpus, dict(zip(texts, texts, strict=True)), emit):
        if len(read.reading.candidates) > 1:
            scores = teacher.score(read.reading)
            found.append(lesson_of(read.query_id, clusters[read.query_id], read.reading, scores))
        if not pace.within(READING_SHARE):
            break
    unlike = len({lesson.item.cluster for lesson in found})
    if unlike < LEAST_QUERIES:
        raise NoTriplets(
            f"A student takes at least {LEAST_QUERIES} queries to learn from that are unlike, and there was time for "
            f"{unlike} beside the eval dataset's: judged or logged ones, titles and headings of documents. Give it "
            "more of them, or more minutes.",
            queries=unlike,
        )
    return found, dict(Counter(sources[lesson.item.labels.query_id] for lesson in found))


def _split(lessons: Sequence[Lesson], seed: int) -> _Split:
    """Near-duplicate queries stand on one side; which, the seed decides."""
    clusters = sorted(
        {lesson.item.cluster for lesson in lessons},
        key=lambda cluster: hashlib.sha256(f"{seed}:{cluster}".encode()).digest(),
    )
    each = max(1, min(MOST_HELD_OUT, round(HELD_OUT_SHARE * len(clusters))))
    held_out, dev = set(clusters[:each]), set(clusters[each : 2 * each])
    return _Split(
        [lesson for lesson in lessons if lesson.item.cluster not in held_out | dev],
        [lesson for lesson in lessons if lesson.item.cluster in dev],
        [lesson for lesson in lessons if lesson.item.cluster in held_out],
    )


def _first_stage(candidates: Sequence[Candidate]) -> Scores:
    return np.array([candidate.score for candidate in candidates], np.float64)


def _measured(
    corpus: OpenCorpus,
    dataset: EvalDataset,
    teacher: LearnedScorer,
    read: Callable[[Sequence[Lesson]], list[Scores]],
    emit: Emit,
) -> StudentMeasures:
    """First stage, teacher and student on the same candidates of the eval dataset's queries."""
    from tribrid.evaluation.student import measure_student
    from tribrid.training.torch_student import lesson_of

    task = read_task(corpus, dataset, emit)
    readings = {query_id: reading for query_id, reading in task.readings.items() if reading.candidates}
    lessons = [lesson_of(name, name, reading, teacher.score(reading)) for name, reading in readings.items()]
    scored = {
        "first_stage": [_first_stage(lesson.item.candidates) for lesson in lessons],
        "teacher": [lesson.blend for lesson in lessons],
        "student": read(lessons),
    }
    runs = {
        name: {
            query_id: ranked(reading, scores)
            for (query_id, reading), scores in zip(readings.items(), by_query, strict=True)
        }
        for name, by_query in scored.items()
    }
    return measure_student(dataset, task.candidates.doc_ids, runs, corpus.config.evaluation)


def _refuse_worse(measured: StudentMeasures) -> None:
    """Pass where the student ranks at least as well as the first stage.

    The mean decides, not its interval: who reranks with it pays for every search, and "perhaps not worse" is no reason
    to.

    Raises:
        NotProven: it ranks worse; with the numbers.
    """
    worth, change = measured.ndcg_at_10, measured.over_first_stage
    if change.mean >= 0:
        return
    low, high = change.ci95
    raise NotProven(
        f"The student ranks worse than the first stage does without any reranker, so nothing was written: nDCG@10 "
        f"{worth['student']:.4f} against {worth['first_stage']:.4f} on {measured.queries} queries ({change.mean:+.4f}, "
        f"95 % interval {low:+.4f} to {high:+.4f}; its teacher has {worth['teacher']:.4f}). Give it more minutes or "
        "more queries, or start from a model that is a cross-encoder already (base_model).",
        ndcg_at_10=dict(worth),
        ci95=[low, high],
        queries=measured.queries,
    )
