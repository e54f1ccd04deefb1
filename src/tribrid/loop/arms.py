"""What else takes part in an evaluation: checked and stored before its job is queued, and run or read by the job."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import ValidationError

from tribrid.answers.report import OutsideSystem
from tribrid.cloud.clouds import ServiceArm
from tribrid.corpus.runfiles import RunFile, parse_run
from tribrid.errors import Cancelled, InvalidInput, TribridError
from tribrid.evaluation.arms import (
    given_arm,
    restricted,
)
from tribrid.evaluation.notes import GIVEN
from tribrid.evaluation.report import NAMED
from tribrid.loop.frozen import Task
from tribrid.loop.params import Arm, ModelArm, RunArm
from tribrid.scoring.scorer import UNTRAINED_MODEL, Scorer
from tribrid.store.models import no_model
from tribrid.types import GRAPH, LEGS, ScoredDoc
from tribrid.workspace.corpus import OpenCorpus

MAX_ARMS = 10


TAKEN = frozenset((*LEGS, GRAPH, *NAMED, GIVEN, "local", "cloud", "blend", "cross_encoder", UNTRAINED_MODEL))
"""Names of systems that Tribrid itself gives."""


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


_KINDS = ("run", "model_id", "provider")


def prepared(corpus: OpenCorpus, arms: Sequence[Mapping[str, object]]) -> list[Arm]:
    """The arms as the job is told of them: small, with a run stored under its hash.

    Args:
        arms: each with `name` and one of `run` (the text of a TREC run file), `model_id` (a version trained for this
            corpus) and `provider` (a rerank service, with `url` and `model`). A run is judged as it is, with what it
            retrieved itself; with `restrict` only its order of the frozen candidates is.

    Raises:
        InvalidInput: a name is taken or comes twice; not exactly one of the three is given; a run cannot be read, or
            ranks none of the eval dataset's queries; a service may not be asked. Names the arm.
        ModelNotFound: the corpus has no such version.
    """
    if len(arms) > MAX_ARMS:
        raise InvalidInput(f"arms: at most {MAX_ARMS}.", arms=len(arms))
    names = [str(arm.get("name", "")) for arm in arms]
    for at, name in enumerate(names):
        if not _NAME.fullmatch(name) or name in TAKEN or name.startswith("blend_") or name in names[:at]:
            raise InvalidInput(
                f"arms: {name!r} cannot be the name of an arm: it is taken, or is not 1 to 64 letters, digits, '.', "
                "'_' or '-'.",
                name=name,
            )
    return [_prepared(corpus, arm) for arm in arms]


def _prepared(corpus: OpenCorpus, arm: Mapping[str, object]) -> Arm:
    name = str(arm["name"])
    given = [kind for kind in _KINDS if arm.get(kind) is not None]
    if len(given) != 1:
        raise InvalidInput(f"arms: {name!r} needs one of {', '.join(_KINDS)}.", name=name)
    if given == ["model_id"]:
        model = ModelArm(name=name, model_id=str(arm["model_id"]))
        require_model(corpus, model.model_id)
        return model
    if given == ["provider"]:
        service = _service(name, arm)
        corpus.rival(service)
        return service
    try:
        run = _asked_for(corpus, parse_run(str(arm["run"])))
    except InvalidInput as error:
        raise InvalidInput(f"arms: {name!r}: {error.detail}", name=name) from None
    corpus.store.candidates.put(
        run_key(corpus.corpus_id, run.sha256), corpus.corpus_id, {"tag": run.tag, "lists": run.as_json()}
    )
    return RunArm(name=name, sha256=run.sha256, tag=run.tag, restrict=bool(arm.get("restrict")))


def _service(name: str, arm: Mapping[str, object]) -> ServiceArm:
    try:
        return ServiceArm.model_validate({**arm, "name": name, "kind": "cloud"})
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        raise InvalidInput(f"arms: {name!r}: {'.'.join(map(str, fault['loc']))}: {fault['msg']}", name=name) from None


def _asked_for(corpus: OpenCorpus, run: RunFile) -> RunFile:
    """The run's lists for the eval dataset's queries: what is judged, hashed and stored."""
    asked = {query.query_id for query in corpus.store.evalsets.current(corpus.corpus_id).queries}
    lists = {query_id: docs for query_id, docs in run.lists.items() if query_id in asked}
    if not lists:
        raise InvalidInput(
            f"The run ranks none of the eval dataset's queries: its first query is {next(iter(run.lists))!r}, the "
            f"dataset's are such as {min(asked)!r}."
        )
    return RunFile(run.tag, lists)


def require_model(corpus: OpenCorpus, model_id: str) -> None:
    """Check that the corpus has this version.

    Raises:
        ModelNotFound.
    """
    if corpus.store.models.get(model_id).corpus_id != corpus.corpus_id:
        raise no_model(model_id)  # in the words for an id that nobody has: it may be another corpus's


@dataclass
class AddedArms:
    """Arms that the caller added: rerankers to run, runs that were made elsewhere, and what is known of each. `given`:
    queries of which the log knows the order in which another engine gave their documents to be reranked.
    """

    scorers: list[tuple[str, Scorer | None]] = field(default_factory=list)
    runs: dict[str, Mapping[str, Sequence[ScoredDoc]]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    facts: dict[str, OutsideSystem] = field(default_factory=dict)
    given: list[str] = field(default_factory=list)


def added_arms(corpus: OpenCorpus, task: Task, arms: Sequence[Arm]) -> AddedArms:
    """The arms of an evaluate call, by their `kind`: `run` is a stored TREC run (see `prepared`), any other a reranker
    that orders the frozen candidates. One that cannot be loaded is a failed arm, not the end of the evaluation.
    """
    added, asked = AddedArms(), {reading.query for reading in task.readings.values()}
    orders = corpus.store.logs.given(task.dataset.corpus_id, asked)
    run, added.given = given_arm(orders, task.readings, task.candidates)
    if added.given:
        found = len(added.given)
        added.runs[GIVEN] = run
        added.facts[GIVEN] = OutsideSystem(kind=GIVEN, queries_found=found, queries_missing=len(run) - found)
    for arm in arms:
        added.facts[arm.name] = OutsideSystem.model_validate(arm.model_dump(exclude={"name"}))
        if isinstance(arm, RunArm):
            _add_run(corpus, task, arm, added)
            continue
        try:
            scorer: Scorer = corpus.learned(arm.model_id) if isinstance(arm, ModelArm) else corpus.rival(arm)
            added.scorers.append((arm.name, scorer))
        except Cancelled:
            raise
        except TribridError as error:
            added.failed[arm.name] = error.detail
    return added


def _add_run(corpus: OpenCorpus, task: Task, arm: RunArm, added: AddedArms) -> None:
    stored = corpus.store.candidates.get(run_key(task.dataset.corpus_id, arm.sha256))
    if stored is None:
        added.failed[arm.name] = f"The run {arm.sha256[:12]} is not stored any more."
        return
    lists = {
        query_id: [ScoredDoc(doc_id, score) for doc_id, score in stored["lists"].get(query_id, ())]
        for query_id in task.readings
    }
    added.runs[arm.name] = restricted(lists, task.candidates) if arm.restrict else lists
    found = sum(bool(docs) for docs in lists.values())
    counts = {"own_candidates": not arm.restrict, "queries_found": found, "queries_missing": len(lists) - found}
    added.facts[arm.name] = added.facts[arm.name].model_copy(update=counts)


def run_key(corpus_id: str, sha256: str) -> str:
    """Where a run that came with an evaluation is stored."""
    return f"{corpus_id}/run/{sha256}"
