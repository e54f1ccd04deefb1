"""Every error Tribrid raises on purpose, each with a stable code, an HTTP status and an exit code.

    TribridError                      500  exit 1
    ├── InvalidInput                  422  exit 2   the caller can mend the request
    │   ├── UnknownSetting            422           a field that no Pydantic model has
    │   ├── NotShown                  422           feedback for a document that was never shown
    │   ├── InvalidField              422           a document's metadata is not of the kind that features.fields says
    │   └── TooLarge                  413           a body, a document or a list over its limit
    ├── Unauthorized                  401  exit 6   no key, or none that is known
    ├── Forbidden                     403  exit 6   a key that may not do this
    ├── RateLimited                   429  exit 5   too many requests of one caller
    ├── NotFound                      404  exit 3
    │   ├── CorpusNotFound, QueryNotFound, RunNotFound, ModelNotFound,
    │   ├── KeyNotFound,
    │   └── EvaluationNotFound, JobNotFound, DocumentNotFound, TripletNotFound
    ├── Conflict                      409  exit 4   the request is right, the state is not ready for it
    │   ├── CorpusExists, NoDocuments, NoTriplets, NoEvalDataset, NoModel, NotRunning,
    │   └── Leakage, StaleIndex, NotComparable, NotProven, NoChallenger, Erased, NotEnoughEvidence
    ├── Overloaded                    429  exit 5   more at once than this machine takes; says when to come again
    ├── Unavailable                   503  exit 5   something this machine lacks right now
    │   ├── MissingExtra              503           a package to install, with the command
    │   ├── StorageUnavailable        503           the object store cannot be reached, or refuses
    │   ├── GeneratorUnavailable      503           the server that writes queries refuses, or is not there
    │   ├── JudgeUnavailable          503           the model that judges refuses, or is not there
    │   └── ModelUnavailable          503           a model that cannot be loaded, and why
    └── Failed                        500  exit 1   work that started and did not end well
        ├── ScorerFailed, TrainingFailed, EvaluationFailed,
        ├── BudgetSpent               409  exit 4   a rerank service may cost no more for now (a ScorerFailed)
        ├── GenerationFailed          500           one question to the generator, unanswered
        ├── JudgeFailed               500           one question to a judging model, unanswered
        ├── OutOfTime                 504           the reranker's time was over before it had read anything
        └── Cancelled                 409  exit 130

`detail` says what happened and what to do; `facts` carries the values, never query text
(but for Leakage: a training row without its text could not be found and mended).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar


class TribridError(Exception):
    """Root of the tree. `str(error)` is the detail a person reads."""

    code: ClassVar[str] = "internal"
    title: ClassVar[str] = "Internal error"
    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1

    def __init__(self, detail: str, **facts: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.facts = facts

    def problem(self) -> dict[str, Any]:
        """The error as an RFC 9457 problem, facts as extension members."""
        return {
            **self.facts,
            "type": f"urn:tribrid:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
        }


class InvalidInput(TribridError):
    code, title, status, exit_code = "invalid_input", "Invalid input", 422, 2


class UnknownSetting(InvalidInput):
    code, title = "unknown_setting", "Unknown setting"


class NotShown(InvalidInput):
    code, title = "not_shown", "Document was not shown"


class InvalidField(InvalidInput):
    code, title = "invalid_field", "A document's field is not what it is said to be"


class TooLarge(InvalidInput):
    code, title, status = "too_large", "Too large", 413


class Unauthorized(TribridError):
    code, title, status, exit_code = "unauthorized", "Unauthorized", 401, 6


class Forbidden(TribridError):
    code, title, status, exit_code = "forbidden", "Forbidden", 403, 6


class RateLimited(TribridError):
    code, title, status, exit_code = "rate_limited", "Too many requests", 429, 5


class NotFound(TribridError):
    code, title, status, exit_code = "not_found", "Not found", 404, 3


class CorpusNotFound(NotFound):
    code, title = "corpus_not_found", "No such corpus"

    def __init__(self, corpus_id: str) -> None:
        super().__init__(
            f"There is no corpus {corpus_id!r}. Create it with POST /corpora or `tribrid index`.",
            corpus_id=corpus_id,
        )


class QueryNotFound(NotFound):
    code, title = "query_not_found", "No such query_id"


class RunNotFound(NotFound):
    code, title = "run_not_found", "No such training run"


class ModelNotFound(NotFound):
    code, title = "model_not_found", "No such model version"


class EvaluationNotFound(NotFound):
    code, title = "evaluation_not_found", "No such evaluation"


class JobNotFound(NotFound):
    code, title = "job_not_found", "No such job"


class DocumentNotFound(NotFound):
    code, title = "document_not_found", "No such document"


class TripletNotFound(NotFound):
    code, title = "triplet_not_found", "No such triplet"


class KeyNotFound(NotFound):
    code, title = "key_not_found", "No such API key"


class Conflict(TribridError):
    code, title, status, exit_code = "conflict", "Conflict", 409, 4


class CorpusExists(Conflict):
    code, title = "corpus_exists", "Corpus exists"


class NoDocuments(Conflict):
    code, title = "no_documents", "The corpus is empty"


class NoTriplets(Conflict):
    code, title = "no_triplets", "No triplets"


class NoEvalDataset(Conflict):
    code, title = "no_eval_dataset", "No eval dataset"


class NoModel(Conflict):
    code, title = "no_model", "No trained model"


class NotRunning(Conflict):
    code, title = "not_running", "Not running"


class Leakage(Conflict):
    code, title = "leakage", "Training data overlaps the eval dataset"


class StaleIndex(Conflict):
    code, title = "stale_index", "The index does not match the documents"


class NotComparable(Conflict):
    code, title = "not_comparable", "The two evaluations cannot be compared"


class NotProven(Conflict):
    code, title = "not_proven", "Not shown to be better"


class Erased(Conflict):
    code, title = "erased", "What it learned from was erased"


class NotEnoughEvidence(Conflict):
    code, title = "not_enough_evidence", "The log says too little"


class NoChallenger(Conflict):
    code, title = "no_challenger", "Nothing to compare with the champion"


class Overloaded(TribridError):
    """`retry_after_s` among its facts: whole seconds until it may be tried again."""

    code, title, status, exit_code = "overloaded", "Too much at once", 429, 5


class Unavailable(TribridError):
    code, title, status, exit_code = "unavailable", "Unavailable", 503, 5


class MissingExtra(Unavailable):
    code, title = "missing_extra", "A package is missing"

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            # By the package's own name, or from Tribrid's source: nobody vouches for what an index has as "tribrid".
            f"{purpose} needs the package {package!r}: pip install {package}, or in Tribrid's source folder "
            f"pip install '.[{extra}]', which brings all of the extra {extra!r}.",
            package=package,
            extra=extra,
        )


class StorageUnavailable(Unavailable):
    code, title = "storage_unavailable", "The object store cannot be used"


class GeneratorUnavailable(Unavailable):
    code, title = "generator_unavailable", "The generator of queries cannot be used"


class JudgeUnavailable(Unavailable):
    code, title = "judge_unavailable", "The judging model cannot be used"


class ModelUnavailable(Unavailable):
    code, title = "model_unavailable", "The model cannot be loaded"


class Failed(TribridError):
    code, title = "failed", "Failed"


class ScorerFailed(Failed):
    code, title = "scorer_failed", "The reranker failed"


class BudgetSpent(ScorerFailed):
    code, title, status, exit_code = "budget_spent", "The budget is spent", 409, 4


class TrainingFailed(Failed):
    code, title = "training_failed", "Training failed"


class EvaluationFailed(Failed):
    code, title = "evaluation_failed", "Evaluation failed"


class GenerationFailed(Failed):
    code, title = "generation_failed", "A question to the generator failed"


class JudgeFailed(Failed):
    code, title = "judge_failed", "A question to the judging model failed"


class OutOfTime(Failed):
    code, title, status = "out_of_time", "The reranker's time was over", 504


class Cancelled(Failed):
    code, title, status, exit_code = "cancelled", "Cancelled", 409, 130


_MEMBERS = frozenset({"type", "title", "status", "code", "detail"})


def from_problem(problem: Mapping[str, object]) -> TribridError:
    """The error that a problem was made from, by its code: what `problem()` says of it is what it says of itself."""
    kind = next((found for found in _tree(TribridError) if found.code == problem.get("code")), TribridError)
    error = kind.__new__(kind)
    facts = {name: value for name, value in problem.items() if name not in _MEMBERS}
    # Not the class's own __init__: some make their detail from other arguments.
    TribridError.__init__(error, str(problem.get("detail", kind.title)), **facts)
    return error


def codes() -> list[str]:
    """Every code of the tree, in alphabetical order."""
    return sorted(error.code for error in _tree(TribridError) if error.__module__ == __name__)


def _tree(root: type[TribridError]) -> Iterator[type[TribridError]]:
    yield root
    for child in root.__subclasses__():
        yield from _tree(child)
