"""promote: which model serves, on a person's word, and what shows that it may."""

from __future__ import annotations

from dataclasses import dataclass

from tribrid.errors import EvaluationFailed, NoModel, NotProven
from tribrid.evaluation.gate import objections
from tribrid.evaluation.proof import newest_of, standing
from tribrid.store.models import no_model
from tribrid.types import (
    JobKind,
    State,
)
from tribrid.workspace.corpus import OpenCorpus


def promote(corpus: OpenCorpus, model_id: str | None, reason: str, *, force: bool) -> str:
    """Make a model version the corpus's champion on a person's word; searches use it from the next one on.

    Args:
        force: it need not have been shown to be better than what serves now.

    Raises:
        NoModel: none was named and none was trained.
        ModelNotFound, ModelUnavailable: no such version, or its artifact does not load.
        NotProven: without force, and no evaluation shows that it is better than what serves now.
        Conflict: another champion came to serve meanwhile.
    """
    models = corpus.store.models
    chosen = model_id or newest_model(corpus, None)
    if chosen is None:
        raise NoModel("No model has been trained for this corpus. Train one first.", corpus_id=corpus.corpus_id)
    if models.get(chosen).corpus_id != corpus.corpus_id:
        raise no_model(chosen)  # in the words for an id that nobody has: it may be another corpus's
    corpus.learned(chosen)  # loads, or is not promoted
    champion = corpus.champion_id
    if force:
        models.promote(corpus.corpus_id, chosen, reason, None, "force")
    elif chosen != champion:
        evaluation_id, reasons = prove(corpus, chosen, champion)
        models.promote(corpus.corpus_id, chosen, reason or " ".join(reasons), evaluation_id, "hand", champion)
    return chosen


def newest_model(corpus: OpenCorpus, run_id: str | None) -> str | None:
    """The model of this run, or of the latest one that succeeded.

    Raises:
        EvaluationFailed: this run made no model; an older one is not taken in its place.
    """
    if run_id is not None:
        run = corpus.store.jobs.get(run_id)
        if run.state is not State.SUCCEEDED:
            raise EvaluationFailed(
                f"The training {run_id} whose model was to be evaluated {run.state}: "
                f"{(run.problem or {}).get('detail', 'it made no model.')}",
                run_id=run_id,
                state=run.state,
            )
        return str((run.result or {})["model_id"])
    for job in corpus.store.jobs.list(corpus.corpus_id, JobKind.TRAIN, [State.SUCCEEDED], 1):
        return str((job.result or {})["model_id"])
    return None


def prove(corpus: OpenCorpus, model_id: str, champion_id: str | None) -> tuple[str, tuple[str, ...]]:
    """The evaluation, and its reasons, by which the model is better than what serves now.

    Raises:
        NotProven: there is none; says what the newest one came to, and what to do.
    """
    evalsets, corpus_id = corpus.store.evalsets, corpus.corpus_id
    versions = evalsets.versions(corpus_id)
    looks = corpus.store.evaluations.looks(corpus_id, evalsets.current(corpus_id).sha256) if versions else []
    found = standing(looks, model_id, champion_id)
    if found.proven and found.evaluation_id is not None:
        return found.evaluation_id, found.reasons
    reasons = found.reasons if versions else ("There is no eval dataset to show it on.",)
    raise NotProven(
        f"Model {model_id} has not been shown to be better than what serves now. {' '.join(reasons)} Evaluate it, or "
        "promote it with force and a written reason.",
        model_id=model_id,
        champion=champion_id,
        evaluation_id=found.evaluation_id,
        reasons=list(reasons),
    )


@dataclass(frozen=True, slots=True)
class Shown:
    """The evaluation of a model against what serves, if there is one, and what in it speaks against a promotion that
    does not rest on the measure's gain; None: nothing.
    """

    evaluation_id: str | None
    against: str | None


def objection(corpus: OpenCorpus, model_id: str, champion_id: str | None) -> Shown:
    """Whether the guards allow what users preferred: the newest comparison of the two on the eval dataset in force."""
    evalsets, corpus_id = corpus.store.evalsets, corpus.corpus_id
    if not evalsets.versions(corpus_id):
        return Shown(None, "It is not promoted: there is no eval dataset, so no guard of the gate was looked at.")
    looks = corpus.store.evaluations.looks(corpus_id, evalsets.current(corpus_id).sha256)
    found = newest_of(looks, model_id, champion_id)
    if found is None:
        than = f"model {champion_id}" if champion_id else "no trained model"
        return Shown(
            None,
            f"It is not promoted: it was never compared with what serves, {than}, on the eval dataset in force, so no "
            "guard of the gate was looked at. Evaluate it, and it is promoted unless a guard fails.",
        )
    report = corpus.store.evaluations.get(found.evaluation_id)
    against = objections(report.gate.guards if report.gate else ())
    said = f"It is not promoted: in evaluation {found.evaluation_id} a guard fails. {' '.join(against)}"
    return Shown(found.evaluation_id, said if against else None)
