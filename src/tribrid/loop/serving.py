"""What stands between a ranking and who asked for it: the reranker within its budget, the fused order if it fails."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from tribrid.config import Config
from tribrid.encoders.budget import Budget
from tribrid.errors import Cancelled, ModelUnavailable, Overloaded, ScorerFailed, TribridError
from tribrid.observing import note
from tribrid.scoring.calibration import AnyCalibration
from tribrid.scoring.learned import Reading, Scores
from tribrid.scoring.scorer import Scorer, above, by_document, ranked
from tribrid.store.database import now_us
from tribrid.types import Candidate, ScoredDoc, Trial
from tribrid.workspace.corpus import OpenCorpus

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ranking:
    """How the candidates are served, best first.

    Attributes:
        order: all of them.
        model_id: who ranked them, of two rankings mixed both joined by +; None for the first stage.
        fallback: why the reranker that should have ranked them did not.
        candidates: how many were reranked, from the first stage's best on.
        note: what was left undone for want of time, in words.
        trial: the search's part in an experiment.
        calibration: makes probabilities of the scores; None: the first stage's.
    """

    order: list[ScoredDoc]
    model_id: str | None = None
    fallback: TribridError | None = None
    candidates: int = 0
    note: str | None = None
    trial: Trial | None = None
    calibration: AnyCalibration | None = None


@dataclass(frozen=True)
class Candidates:
    """What the first stage found for a search, in fused order, for whoever is to rank it within the budget. `name`:
    what each is called in the ranking, which says of which it is.
    """

    corpus: OpenCorpus
    query: str
    found: Sequence[Candidate]
    budget: Budget
    name: Callable[[Candidate], str] = by_document

    @property
    def fused(self) -> list[ScoredDoc]:
        """All of them, as they were found."""
        return [ScoredDoc(self.name(c), c.score) for c in self.found]

    def named(self, order: Sequence[ScoredDoc]) -> list[Candidate]:
        """The candidates of a part of the ranking."""
        known = {self.name(c): c for c in self.found}
        return [known[scored.doc_id] for scored in order]

    @cached_property
    def _reading(self) -> Reading:
        best = self.found[: self.corpus.config.reranking.tribrid_reranker_topn]
        return replace(self.corpus.read(self.query, best), budget=self.budget)

    def ranked(self, scorer: Scorer) -> Ranking:
        """The best of them by this scorer, the others below.

        Raises:
            Failed, Unavailable: it could not.
            Overloaded, Cancelled: it was not begun.
        """
        start_clock(self.corpus.config, self.budget)
        head = ranked(self._reading, scores(scorer, self._reading), self.name)
        order = above(head, self.fused[len(head) :])
        late = time_note(self.corpus.config, self.budget)
        return Ranking(order, scorer.model_id, None, len(head), late, calibration=scorer.calibration)


def served(
    corpus: OpenCorpus,
    fused: list[ScoredDoc],
    choose: Callable[[], Scorer | None],
    by: Callable[[Scorer], Ranking],
) -> Ranking:
    """The ranking of the reranker that serves. One that fails leaves the fused order as it is, and is counted.

    Args:
        choose: who serves; None for nobody.

    Raises:
        Overloaded, Cancelled: it was not begun.
    """
    try:
        scorer = _chosen(choose)
        return Ranking(fused) if scorer is None or not fused else by(scorer)
    except (Cancelled, Overloaded):
        raise
    except TribridError as error:
        corpus.folder.fallbacks.add(corpus.corpus_id, error, now_us())
        note("fallback", error.code)
        return Ranking(fused, fallback=error)


def _chosen(choose: Callable[[], Scorer | None]) -> Scorer | None:
    """Who serves.

    Raises:
        TribridError: also where it could not be loaded for a reason that nobody foresaw, such as a full disk.
    """
    try:
        return choose()
    except TribridError:
        raise
    except Exception as error:
        _log.exception("The reranker could not be loaded.")
        raise ModelUnavailable(
            f"The reranker could not be loaded ({type(error).__name__}); see the server's log."
        ) from error


def start_clock(config: Config, budget: Budget) -> None:
    """Give reranking its time; a second reranker of the same search has what the first one left."""
    if not budget.limited:
        budget.limit(config.reranking.reranker_timeout_ms)


def scores(scorer: Scorer, reading: Reading) -> Scores:
    """What the scorer gives.

    Raises:
        ScorerFailed: also where it failed in a way that nobody foresaw.
        TribridError: as Scorer.score.
    """
    try:
        return scorer.score(reading)
    except TribridError:
        raise
    except Exception as error:
        _log.exception("The reranker %s failed unexpectedly.", scorer.model_id)
        raise ScorerFailed(
            f"The reranker failed unexpectedly ({type(error).__name__}); see the server's log."
        ) from error


def time_note(config: Config, budget: Budget) -> str | None:
    """What was left undone for want of time, in words; None where nothing was."""
    if budget.read is None:
        return None
    read, of = budget.read
    return (
        f"reranking.reranker_timeout_ms ({config.reranking.reranker_timeout_ms}) was over when {read} of {of} "
        "candidates had been read; the others keep the order that they had."
    )
