"""The commands about trained models: which there are, one's record, its export, and which of them serves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text

from tribrid.cli.command import Corpus, Session
from tribrid.cli.events import measured
from tribrid.cli.library import library
from tribrid.cli.terminal import facts, indented, moment, one_line, table
from tribrid.errors import InvalidInput

_NO_MODEL = "There is no trained model yet. Make one: tribrid mine CORPUS, then tribrid train CORPUS"
_REASON_CHARS = 80


def models(
    session: Session,
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="CORPUS | show MODEL_ID | export MODEL_ID FOLDER",
            help="A corpus's models; one model's record; or a folder with the model and its card.",
        ),
    ],
) -> None:
    """List a corpus's trained models, and which serves; show all that is kept of one; or export it.

    An export loads in onnxruntime, and its cross-encoder, if it has one, in sentence-transformers.
    """
    match words:
        case [corpus_id] | ["list", corpus_id]:
            _list(session, corpus_id)
        case ["show", model_id]:
            _show(session, model_id)
        case ["export", model_id, folder]:
            _export(session, model_id, Path(folder))
        case _:
            raise InvalidInput("Say: tribrid models CORPUS, models show MODEL_ID, or models export MODEL_ID FOLDER.")


def _list(session: Session, corpus_id: str) -> None:
    with library(session) as tribrid:
        found = tribrid.corpus(corpus_id).models()
    rows = [
        [row["model_id"], ", ".join(_names(found, row["model_id"])), row["run_id"], moment(row["created_at"])]
        for row in found["models"]
    ]
    shown: RenderableType = table(["Model", "Serves as", "Run", "Trained"], rows) if rows else _NO_MODEL
    session.terminal.result(found, shown, *_history(found["promotions"]))


def _names(found: Mapping[str, Any], model_id: str) -> list[str]:
    return [name for name in ("champion", "challenger", "previous") if found[name] == model_id]


def _history(promotions: Sequence[Mapping[str, Any]]) -> Iterator[RenderableType]:
    if promotions:
        yield Text()
        yield table(
            ["Changed", "To", "By", "Why"],
            [
                [moment(row["at"]), row["model_id"] or "no model", row["kind"], one_line(row["reason"], _REASON_CHARS)]
                for row in promotions
            ],
        )


def _show(session: Session, model_id: str) -> None:
    with library(session) as tribrid:
        found = tribrid.models.get(model_id)
    session.terminal.result(found, *_record(found))


def _record(found: Mapping[str, Any]) -> Iterator[RenderableType]:
    lineage, base = found["lineage"], found["base"] or {}
    triplets = lineage["triplet_set"] or {}
    sources = triplets.get("by_source") or {}
    erased = triplets.get("erased_triplets")
    yield facts(
        {
            "Model": found["model_id"],
            "Corpus": f"{found['corpus_id']}, version {lineage['corpus']['version']}",
            "Serves as": ", ".join(found["aliases"]) or "nothing",
            "Run": found["run_id"],
            "Trained": moment(found["created_at"]),
            "Base model": base.get("model"),
            "Code": f"{lineage['code']['version']} {str(lineage['code']['sha256'] or '')[:12]}".strip(),
            "Triplets": triplets.get("triplet_set_id"),
            "From": ", ".join(f"{name}: {measured(counts)}" for name, counts in sources.items()),
            "Searches read": f"{lineage['impressions']:,}" if lineage["impressions"] else None,
            "Erased since": f"{erased:,} triplets" if erased else None,
            "Kept out": f"eval dataset {lineage['kept_out_eval_dataset'][:12]}"
            if lineage["kept_out_eval_dataset"]
            else None,
        }
    )
    if found["evaluations"]:
        yield Text()
        yield table(
            ["Evaluation", "At", "Compared with", "Decision"],
            [
                [row["evaluation_id"], moment(row["at"]), row["compared_with"] or "no model", row["decision"]]
                for row in found["evaluations"]
            ],
        )
    yield from _history(found["promotions"])


def _export(session: Session, model_id: str, folder: Path) -> None:
    with library(session) as tribrid:
        done = tribrid.models.export(model_id, folder)
    loads = [f"{name}: {how}" for name, how in done["loads_in"].items()]
    session.terminal.result(done, f"Wrote {done['folder']}", *(indented(line) for line in loads))


def promote(
    session: Session,
    corpus: Corpus,
    model: Annotated[str | None, typer.Argument(metavar="MODEL_ID", help="Default: the newest.")] = None,
    *,
    reason: Annotated[str, typer.Option(help="Why; it is kept. Needed with --force.")] = "",
    force: Annotated[
        bool, typer.Option("--force", help="Also one that no evaluation shows to be better than what serves.")
    ] = False,
) -> None:
    """Make a model the one that serves, if an evaluation shows that it is better than what serves now."""
    with library(session) as tribrid:
        answer = tribrid.corpus(corpus).promote(model, reason=reason, force=force)
    session.terminal.result(answer, _aliases(answer))


def rollback(
    session: Session, corpus: Corpus, *, reason: Annotated[str, typer.Option(help="Why; it is kept.")] = ""
) -> None:
    """Go back to what served before the last promotion; again, to what served before that one."""
    with library(session) as tribrid:
        answer = tribrid.corpus(corpus).rollback(reason=reason)
    session.terminal.result(answer, _aliases(answer))


def _aliases(answer: Mapping[str, Any]) -> RenderableType:
    return facts({name.title(): answer[name] or "none" for name in ("champion", "previous")})
