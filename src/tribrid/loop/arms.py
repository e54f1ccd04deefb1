"""What else takes part in an evaluation: checked and stored before its job is queued, and run or read by the job."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from tribrid.corpus.runfiles import RunFile, parse_run
from tribrid.errors import Cancelled, InvalidInput, ModelNotFound, TribridError
from tribrid.evaluation.arms import (
    given_arm,
    restricted,
)
from tribrid.evaluation.notes import GIVEN
from tribrid.evaluation.report import NAMED
from tribrid.loop.frozen import Task
from tribrid.scoring.scorer import Scorer
from tribrid.types import LEGS, ScoredDoc
from tribrid.workspace import Workspace

MAX_ARMS = 10


TAKEN = frozenset((*LEGS, *NAMED, GIVEN, "local", "cloud", "blend", "cross_encoder"))
"""Names of systems that Tribrid itself gives."""


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


_KINDS = ("run", "model_id", "provider")


def prepared(ws: Workspace, corpus_id: str, arms: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
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
    return [_prepared(ws, corpus_id, arm) for arm in arms]


def _prepared(ws: Workspace, corpus_id: str, arm: Mapping[str, Any]) -> dict[str, Any]:
    name = arm["name"]
    given = [kind for kind in _KINDS if arm.get(kind) is not None]
    if len(given) != 1:
        raise InvalidInput(f"arms: {name!r} needs one of {', '.join(_KINDS)}.", name=name)
    if given == ["model_id"]:
        require_model(ws, corpus_id, arm["model_id"])
        return {"name": name, "kind": "model", "model_id": arm["model_id"]}
    if given == ["provider"]:
        service = {"name": name, "kind": "cloud", **{part: arm.get(part) for part in ("provider", "url", "model")}}
        ws.rival(corpus_id, ws.config(corpus_id), service)
        return service
    try:
        run = _asked_for(ws, corpus_id, parse_run(arm["run"]))
    except InvalidInput as error:
        raise InvalidInput(f"arms: {name!r}: {error.detail}", name=name) from None
    ws.store.candidates.put(run_key(corpus_id, run.sha256), corpus_id, {"tag": run.tag, "lists": run.as_json()})
    facts = {"sha256": run.sha256, "tag": run.tag, "restrict": bool(arm.get("restrict"))}
    return {"name": name, "kind": "run", **facts}


def _asked_for(ws: Workspace, corpus_id: str, run: RunFile) -> RunFile:
    """The run's lists for the eval dataset's queries: what is judged, hashed and stored."""
    asked = {query.query_id for query in ws.store.evalsets.current(corpus_id).queries}
    lists = {query_id: docs for query_id, docs in run.lists.items() if query_id in asked}
    if not lists:
        raise InvalidInput(
            f"The run ranks none of the eval dataset's queries: its first query is {next(iter(run.lists))!r}, the "
            f"dataset's are such as {min(asked)!r}."
        )
    return RunFile(run.tag, lists)


def require_model(ws: Workspace, corpus_id: str, model_id: str) -> None:
    """Check that the corpus has this version.

    Raises:
        ModelNotFound.
    """
    if ws.store.models.get(model_id).corpus_id != corpus_id:
        raise ModelNotFound(f"Corpus {corpus_id!r} has no model {model_id!r}.", model_id=model_id)


@dataclass
class AddedArms:
    """Arms that the caller added: rerankers to run, runs that were made elsewhere, and what is known of each. `given`:
    queries of which the log knows the order in which another engine gave their documents to be reranked.
    """

    scorers: list[tuple[str, Scorer | None]] = field(default_factory=list)
    runs: dict[str, Mapping[str, Sequence[ScoredDoc]]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    given: list[str] = field(default_factory=list)


def added_arms(ws: Workspace, task: Task, arms: Sequence[Mapping[str, Any]]) -> AddedArms:
    """The arms of an evaluate call, by their `kind`: `run` is a stored TREC run (see `prepared`), any other a reranker
    that orders the frozen candidates. One that cannot be loaded is a failed arm, not the end of the evaluation.
    """
    added, asked = AddedArms(), {reading.query for reading in task.readings.values()}
    orders = ws.store.logs.given(task.dataset.corpus_id, asked)
    run, added.given = given_arm(orders, task.readings, task.candidates)
    if added.given:
        found = len(added.given)
        added.runs[GIVEN] = run
        added.facts[GIVEN] = {"kind": GIVEN, "queries_found": found, "queries_missing": len(run) - found}
    for arm in arms:
        name = arm["name"]
        added.facts[name] = {key: value for key, value in arm.items() if key != "name"}
        if arm["kind"] == "run":
            _add_run(ws, task, arm, added)
            continue
        try:
            added.scorers.append((name, SCORERS[arm["kind"]](ws, task, arm)))
        except Cancelled:
            raise
        except TribridError as error:
            added.failed[name] = error.detail
    return added


def _add_run(ws: Workspace, task: Task, arm: Mapping[str, Any], added: AddedArms) -> None:
    name, stored = arm["name"], ws.store.candidates.get(run_key(task.dataset.corpus_id, arm["sha256"]))
    if stored is None:
        added.failed[name] = f"The run {arm['sha256'][:12]} is not stored any more."
        return
    lists = {
        query_id: [ScoredDoc(doc_id, score) for doc_id, score in stored["lists"].get(query_id, ())]
        for query_id in task.readings
    }
    added.runs[name] = restricted(lists, task.candidates) if arm["restrict"] else lists
    found = sum(bool(docs) for docs in lists.values())
    added.facts[name] |= {
        "own_candidates": not arm["restrict"],
        "queries_found": found,
        "queries_missing": len(lists) - found,
    }


def run_key(corpus_id: str, sha256: str) -> str:
    """Where a run that came with an evaluation is stored."""
    return f"{corpus_id}/run/{sha256}"


SCORERS: Mapping[str, Callable[[Workspace, Task, Mapping[str, Any]], Scorer]] = MappingProxyType(
    {
        "model": lambda ws, task, arm: ws.learned(arm["model_id"], task.config),
        "cloud": lambda ws, task, arm: ws.rival(task.dataset.corpus_id, task.config, arm),
    }
)
"""Kind of an added arm → what makes its reranker of the arm's parameters. It may raise a TribridError."""
