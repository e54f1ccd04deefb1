"""What else takes part in an evaluation: checked, and stored, before its job is queued."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tribrid.corpus.runfiles import RunFile, parse_run
from tribrid.errors import InvalidInput, ModelNotFound
from tribrid.evaluation.notes import GIVEN
from tribrid.evaluation.report import NAMED
from tribrid.loop.evaluate import run_key
from tribrid.types import LEGS
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
