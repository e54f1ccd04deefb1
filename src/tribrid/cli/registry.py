"""The commands about what is kept: models with their records, exports, and erasure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from tribrid.cli.command import Session
from tribrid.cli.library import library
from tribrid.cli.telling import measured
from tribrid.cli.terminal import facts, indented, moment, one_line, table
from tribrid.errors import InvalidInput

_NO_MODEL = "There is no trained model yet. Make one: tribrid mine CORPUS, then tribrid train CORPUS"
_REASON_CHARS = 80


def models(session: Session, words: Sequence[str]) -> None:
    """List, show or export; see `tribrid models --help`.

    Raises:
        InvalidInput: the words are none of the three forms.
    """
    match list(words):
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


def erase(session: Session, corpus_id: str, wanted: Mapping[str, str | None], *, history: bool) -> None:
    """Erase, or show what was erased; see `tribrid erase --help`.

    Raises:
        InvalidInput: with --history, something to erase is named too.
    """
    with library(session) as tribrid:
        if history:
            if any(value is not None for value in wanted.values()):
                raise InvalidInput("--history erases nothing: leave the rest out.")
            found = tribrid.corpus(corpus_id).erasures()
            rows = [[moment(row["at"]), row["kind"], measured(row["erased"]), len(row["models"])] for row in found]
            shown = table(["At", "What", "Rows", ("Models", "right")], rows) if rows else "Nothing was erased."
            session.terminal.result({"erasures": found}, shown)
            return
        done = tribrid.corpus(corpus_id).erase(**wanted)
    session.terminal.result(done, *_erased(done))


def _erased(done: Mapping[str, Any]) -> Iterator[RenderableType]:
    models = [
        f"{row['model_id']} ({', '.join(row['aliases'])})" if row["aliases"] else row["model_id"]
        for row in done["models"]
    ]
    yield facts(
        {
            "Erased": measured(done["erased"]),
            "Triplet sets": ", ".join(row["triplet_set_id"] for row in done["triplet_sets"]),
            "Eval datasets": ", ".join(row["sha256"][:12] for row in done["eval_datasets"]),
            "Models": ", ".join(models),
            "Jobs": ", ".join(f"{row['kind']} {row['job_id']}" for row in done["jobs"]),
        }
    )
    yield from (indented(line, "dim") for line in done["advice"])
