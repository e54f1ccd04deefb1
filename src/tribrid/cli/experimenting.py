"""The command that compares two models on live searches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from rich.console import RenderableType
from rich.text import Text

from tribrid.cli.command import Session
from tribrid.cli.library import library
from tribrid.cli.terminal import facts, plain
from tribrid.errors import InvalidInput

_COLOURS = {"challenger_better": "green", "challenger_worse": "red", "no_difference": "yellow"}


def experiment(
    session: Session,
    action: Literal["start", "status", "stop"],
    corpus_id: str,
    model_id: str | None,
    *,
    again: bool,
) -> None:
    """Start, show or stop one; see `tribrid experiment --help`.

    Raises:
        InvalidInput: a model or --again without start.
    """
    if action != "start" and (model_id or again):
        raise InvalidInput(f"MODEL_ID and --again go with start, not with {action}.")
    with library(session) as tribrid:
        if action == "start":
            found = tribrid.start_experiment(corpus_id, model_id, again=again)
        else:
            found = tribrid.stop_experiment(corpus_id) if action == "stop" else tribrid.experiment(corpus_id)
    session.terminal.result({"corpus_id": corpus_id, "experiment": found}, *_told(session, corpus_id, found))


def _told(session: Session, corpus_id: str, found: Mapping[str, Any] | None) -> Iterator[RenderableType]:
    if found is None:
        yield "There was no experiment."
        yield Text(f"Start one: {session.typed(f'experiment start {corpus_id}')}", style="dim")
        return
    if "experiment_id" in found:
        yield facts(_facts(found))
    yield Text(plain(found["reason"]), style=_COLOURS.get(found.get("verdict") or "", ""))
    if found.get("waiting"):
        yield Text(plain(found["waiting"]), style="dim")


def _facts(found: Mapping[str, Any]) -> dict[str, str | None]:
    champion, challenger, seen = found["champion"], found["challenger"], found["impressions"]
    excluded = f"{seen['excluded']:,}, the last because: {seen['last_excluded']}" if seen["excluded"] else None
    problem = challenger.get("problem")
    return {
        "Experiment": f"{found['experiment_id']}, {found['state']}",
        "Champion": f"{champion['model_id']}: {seen['losses']:,} won, credit {champion['credit']:g}",
        "Challenger": f"{challenger['model_id']}: {seen['wins']:,} won, credit {challenger['credit']:g}"
        + (f"; not loaded: {problem}" if problem else ""),
        "Searches": f"{seen['counted']:,} of {seen['budget']:,} counted, {seen['ties']:,} ties ({seen['identical']:,} "
        f"the same list twice), {seen['pending']:,} waiting for feedback",
        "Not counted": excluded,
        "Evidence": f"{found['e_value']:.3g}, decided at {found['decided_at']:.3g}",
    }
