"""The seam of reranking: what every backend looks like to search and to evaluation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from tribrid.corpus.terms import identifiers, terms
from tribrid.encoders.cross_encoder import CrossEncoder
from tribrid.encoders.tokens import maxsim
from tribrid.errors import OutOfTime, ScorerFailed
from tribrid.observing import timed
from tribrid.scoring.calibration import SIGMOID, AnyCalibration, Proportion, calibration_of
from tribrid.scoring.features import CorpusStatistics, describe, untrained
from tribrid.scoring.learned import LearnedReranker, Reading, Scores, known_head
from tribrid.types import DENSE, Candidate, ScoredDoc, rank_order

UNTRAINED_MODEL = "untrained"
"""The model_id of the order before any label."""
LEAST_STEP = 1e-6
"""Between the last score that a reranker gave and the first that it did not."""


class Scorer(Protocol):
    """Scores the candidates of one search. `model_id` says who answered."""

    model_id: str

    @property
    def calibration(self) -> AnyCalibration:
        """What makes probabilities of its scores."""

    @property
    def cross_encoder(self) -> CrossEncoder | None:
        """The cross-encoder that serves in it, if one does."""

    def score(self, reading: Reading) -> Scores:
        """float64 (n,), one a candidate, higher is better. NaN for the last candidates where the reading's budget
        ended before they were read.

        Raises:
            ScorerFailed: it could not; no score is made up.
            OutOfTime: the budget ended before anything was read.
            Overloaded, Cancelled: it was not begun.
        """


class LearnedScorer:
    """Mode learning: a model version trained here."""

    def __init__(self, model_id: str, reranker: LearnedReranker) -> None:
        self.model_id = model_id
        self.reranker = reranker

    @property
    def calibration(self) -> AnyCalibration:
        """See Scorer: fitted when it was trained."""
        return calibration_of(self.reranker.manifest)

    @property
    def cross_encoder(self) -> CrossEncoder | None:
        """The cross-encoder that serves in it, if one does."""
        return self.reranker.cross_encoder

    @timed("score")
    def score(self, reading: Reading) -> Scores:
        """See Scorer."""
        return self.reranker.score(reading)


class LocalScorer:
    """Mode local: a Hugging Face cross-encoder as it is. Its logit is made for a sigmoid."""

    calibration: AnyCalibration = SIGMOID

    def __init__(self, model_id: str, cross_encoder: CrossEncoder) -> None:
        self.model_id = model_id
        self.cross_encoder = cross_encoder

    @timed("score")
    def score(self, reading: Reading) -> Scores:
        """See Scorer."""
        texts = [(c.passage.title, c.passage.text) for c in reading.candidates]
        scores = self.cross_encoder.score(reading.query, texts, None, reading.budget).astype(np.float64)
        known = known_head(scores)
        if known == len(scores) or reading.budget is None:
            return scores
        if not known:
            raise OutOfTime(
                "The time for reranking (reranking.reranker_timeout_ms) was over before a candidate had been read."
            )
        # A later one that was read must not pass an earlier one that was not.
        scores[known:] = np.nan
        reading.budget.shorten(known, len(scores))
        return scores


class InteractionScorer:
    """A sentence encoder as it is: the mean of the passage's cosine and of its best token's for each of the query's. To
    an encoder a hash is like any other, so where the query names identifiers, having them counts for half.

    References:
        Khattab, Zaharia: ColBERT: efficient and effective passage search via contextualized late interaction, 2020.
    """

    calibration: AnyCalibration = Proportion()
    cross_encoder: CrossEncoder | None = None

    def __init__(self, model_id: str) -> None:
        self.model_id = model_id

    def score(self, reading: Reading) -> Scores:
        """See Scorer. The cosine is the dense leg's."""
        cosines = [c.legs[DENSE].score if DENSE in c.legs else 0.0 for c in reading.candidates]
        best = [maxsim(reading.tokens, passage) for passage in reading.passages]
        mean: Scores = (np.array(cosines) + np.array(best)) / 2
        shares = shares_named(reading)
        return mean if shares is None else (mean + shares) / 2


class UntrainedScorer:
    """The order before any label (`features.UNTRAINED`): what mode learning serves until a model is promoted.

    A query that names identifiers asks for what has them: those candidates come first, whatever else they are like.
    The order has no scale of its own, so the first stage's scores are dealt out anew: they mean what they meant.
    """

    model_id = UNTRAINED_MODEL
    cross_encoder: CrossEncoder | None = None

    def __init__(self, statistics: CorpusStatistics, snippet_chars: int, calibration: AnyCalibration) -> None:
        """From what is counted over the corpus.

        Args:
            snippet_chars: of a passage's text, what is read.
            calibration: of the first stage's scores.
        """
        self._statistics, self._snippet_chars, self.calibration = statistics, snippet_chars, calibration

    @timed("score")
    def score(self, reading: Reading) -> Scores:
        """See Scorer."""
        passages = [tokens.cut(self._snippet_chars) for tokens in reading.passages]
        worth = untrained(describe(reading.tokens, reading.candidates, passages, self._statistics))
        if not np.isfinite(worth).all():
            raise ScorerFailed("The order before any label has a score that is not a number.")
        shares = shares_named(reading)
        order = np.lexsort((-worth, np.zeros(len(worth)) if shares is None else -shares))
        scores = np.empty(len(worth))
        scores[order] = falling(np.array([c.score for c in reading.candidates]))
        return scores


def shares_named(reading: Reading) -> Scores | None:
    """float64 (n,): the share of the query's identifiers that each candidate has; None where it names none."""
    named = identifiers(reading.query)
    if not named:
        return None
    texts = [f"{c.passage.title}\n{c.passage.text}" for c in reading.candidates]
    return np.array([len(named.intersection(terms(text))) / len(named) for text in texts])


def falling(scores: Scores) -> Scores:
    """The scores, highest first, each lower than the one before by LEAST_STEP or more."""
    steps = LEAST_STEP * np.arange(len(scores))
    found: Scores = np.minimum.accumulate(-np.sort(-scores) + steps) - steps
    return found


def above(head: Sequence[ScoredDoc], tail: Sequence[ScoredDoc]) -> list[ScoredDoc]:
    """A reranked head and the first stage's tail as one list, best first. The tail's scores are of another kind: its
    order and distances stay, and all of them are lowered, if need be, so that no score rises with rank.
    """
    if not head or not tail:
        return [*head, *tail]
    drop = max(0.0, tail[0].score - head[-1].score + LEAST_STEP)
    return [*head, *(ScoredDoc(doc.doc_id, doc.score - drop) for doc in tail)]


def by_document(candidate: Candidate) -> str:
    """What a candidate is called in a ranking of documents."""
    return candidate.doc_id


def ranked(reading: Reading, scores: Scores, name: Callable[[Candidate], str] = by_document) -> list[ScoredDoc]:
    """The candidates by score, best first, ties as trec_eval breaks them; without those that have none (NaN)."""
    scored = zip(reading.candidates, scores.tolist(), strict=True)
    return rank_order(ScoredDoc(name(c), float(score)) for c, score in scored if not math.isnan(score))
