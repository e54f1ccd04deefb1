"""Whether the order before any label serves, by the corpus's own judgments: compared where they are read anyway.

An evaluation compares it on the eval dataset. Where there is none, a training does, on the judgments that it learns
from; clicks are not asked, for they were made on one of the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tribrid.answers.report import EvaluationReport
from tribrid.evaluation.notes import RETRIEVAL
from tribrid.loop.eval_queries import kept_out
from tribrid.scoring.features import untrained
from tribrid.scoring.scorer import UNTRAINED_MODEL
from tribrid.store.untrained import UntrainedComparison
from tribrid.training.lists import TrainingList, ndcg
from tribrid.types import Source, Triplet
from tribrid.workspace.corpus import OpenCorpus

TRAINED_ON_MEASURE = "ndcg@10"


def keep_evaluated(corpus: OpenCorpus, report: EvaluationReport) -> None:
    """Keep how the two did in an evaluation, if both took part and people judged: clicks were made on what served, and
    whoever makes them must not choose what serves next.
    """
    fused, own = report.systems.get(RETRIEVAL), report.systems.get(UNTRAINED_MODEL)
    if fused is None or own is None or report.eval_dataset.log is not None:
        return
    dataset, measure = report.eval_dataset, report.primary_measure
    queries = dataset.queries - dataset.excluded
    found = UntrainedComparison(dataset.sha256, queries, measure, fused.means[measure], own.means[measure])
    corpus.store.untrained.put(corpus.corpus_id, found)


def keep_trained_on(corpus: OpenCorpus, triplets: Sequence[Triplet], lists: Sequence[TrainingList]) -> None:
    """Keep how the two did on the judgments that are learned from, if there is no eval dataset to ask."""
    judged = {triplet.query_id for triplet in triplets if triplet.source is Source.JUDGMENTS}
    asked = [item for item in lists if item.labels.query_id in judged and item.teaches]
    if not asked or kept_out(corpus) is not None:
        return
    fused = _mean(asked, [item.described["fused"] for item in asked])
    own = _mean(asked, [untrained(item.described) for item in asked])
    corpus.store.untrained.put(corpus.corpus_id, UntrainedComparison(None, len(asked), TRAINED_ON_MEASURE, fused, own))


def _mean(lists: Sequence[TrainingList], scores: Sequence[np.ndarray[Any, Any]]) -> float:
    return float(np.mean([ndcg(of, item) for of, item in zip(scores, lists, strict=True)]))
