"""The commands about trained models: which there are, one's record, its export, and which of them serves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text

from tribrid.cli.command import Corpus, Session
from tribrid.cli.events import Teller, measured
from tribrid.cli.ids import whole, whole_or_none
from tribrid.cli.library import library
from tribrid.cli.progress import gauge
from tribrid.cli.terminal import facts, indented, moment, one_line, table
from tribrid.errors import InvalidInput

if TYPE_CHECKING:
    from tribrid.answers.models import ModelList, ModelNames, ModelPromotion, ModelRecord, Student

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
    *,
    as_: Annotated[
        str | None,
        typer.Option(
            "--as",
            metavar="cross-encoder",
            help="Of an export: a plain Hugging Face cross-encoder that is taught the model's order, which needs no "
            "Tribrid. It is measured first, and not written if it ranks worse than the first stage.",
        ),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(help="What that starts from, an id or a folder. Default: training.base_model."),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Longest that it reads and learns. Default: 20. Measuring comes on top.")
    ] = None,
) -> None:
    """List a corpus's trained models, and which serves; show all that is kept of one; or export it.

    An export loads in onnxruntime, and its cross-encoder, if it has one, in sentence-transformers.
    """
    if as_ is None and (base, minutes) != (None, None):
        raise InvalidInput("--base and --minutes are of an export --as cross-encoder.")
    if as_ is not None and words[:1] != ["export"]:
        raise InvalidInput("--as is of an export: tribrid models export MODEL_ID FOLDER --as cross-encoder.")
    match words:
        case [corpus_id] | ["list", corpus_id]:
            _list(session, corpus_id)
        case ["show", model_id]:
            _show(session, model_id)
        case ["export", model_id, folder] if as_ is None:
            _export(session, model_id, Path(folder))
        case ["export", model_id, folder]:
            asked = {"as_": as_, "base_model": base, **({} if minutes is None else {"minutes": minutes})}
            _teach(session, model_id, Path(folder), asked)
        case _:
            raise InvalidInput("Say: tribrid models CORPUS, models show MODEL_ID, or models export MODEL_ID FOLDER.")


def _list(session: Session, corpus_id: str) -> None:
    with library(session) as tribrid:
        found = tribrid.corpus(corpus_id).models()
    rows = [
        [row.model_id, ", ".join(_names(found, row.model_id)), row.run_id, moment(row.created_at)]
        for row in found.models
    ]
    shown: RenderableType = table(["Model", "Serves as", "Run", "Trained"], rows) if rows else _NO_MODEL
    session.terminal.result(found, shown, *_history(found.promotions))


def _names(found: ModelList, model_id: str) -> list[str]:
    named = {"champion": found.champion, "challenger": found.challenger, "previous": found.previous}
    return [name for name, of in named.items() if of == model_id]


def _history(promotions: Sequence[ModelPromotion]) -> Iterator[RenderableType]:
    if promotions:
        yield Text()
        yield table(
            ["Changed", "To", "By", "Why"],
            [
                [moment(row.at), row.model_id or "no model", row.kind, one_line(row.reason, _REASON_CHARS)]
                for row in promotions
            ],
        )


def _show(session: Session, model_id: str) -> None:
    with library(session) as tribrid:
        found = tribrid.models.get(whole(tribrid, "model", model_id))
    session.terminal.result(found, *_record(found))


def _record(found: ModelRecord) -> Iterator[RenderableType]:
    lineage, code, kept_out = found.lineage, found.lineage.code, found.lineage.kept_out_eval_dataset
    triplets = lineage.triplet_set
    sources = triplets.by_source if triplets else {}
    yield facts(
        {
            "Model": found.model_id,
            "Corpus": f"{found.corpus_id}, version {lineage.corpus.version}",
            "Serves as": ", ".join(found.aliases) or "nothing",
            "Run": found.run_id,
            "Trained": moment(found.created_at),
            "Base model": (found.base or {}).get("model"),
            "Code": f"{code.version} {(code.sha256 or '')[:12]}".strip(),
            "Triplets": triplets.triplet_set_id if triplets else None,
            "From": ", ".join(f"{name}: {measured(dict(counts))}" for name, counts in sources.items()),
            "Searches read": f"{lineage.impressions:,}" if lineage.impressions else None,
            "Erased since": f"{triplets.erased_triplets:,} triplets" if triplets and triplets.erased_triplets else None,
            "Kept out": f"eval dataset {kept_out[:12]}" if kept_out else None,
        }
    )
    if found.evaluations:
        yield Text()
        yield table(
            ["Evaluation", "At", "Compared with", "Decision"],
            [
                [row.evaluation_id, moment(row.at), row.compared_with or "no model", row.decision]
                for row in found.evaluations
            ],
        )
    yield from _history(found.promotions)


def _export(session: Session, model_id: str, folder: Path) -> None:
    with library(session) as tribrid:
        done = tribrid.models.export(whole(tribrid, "model", model_id), folder)
    loads = [f"{name}: {how}" for name, how in done.loads_in.items()]
    session.terminal.result(done, f"Wrote {done.folder}", *(indented(line) for line in loads))


def _teach(session: Session, model_id: str, folder: Path, asked: Mapping[str, Any]) -> None:
    with library(session) as tribrid, gauge(session.terminal.err, "Teaching") as shown:
        done = tribrid.models.export(model_id, folder, **asked, emit=Teller(shown).told)
    loads = [f"{name}: {how}" for name, how in done.loads_in.items()]
    session.terminal.result(
        done, f"Wrote {done.folder}", *(indented(line) for line in loads), Text(), *_worth(done.student)
    )


def _worth(student: Student | None) -> Iterator[RenderableType]:
    if student is None:
        return
    found, agrees = student.measured, student.agrees
    low, high = found.over_first_stage.ci95
    yield facts(
        {
            "ndcg@10": ", ".join(f"{name.replace('_', ' ')} {v:.4f}" for name, v in found.ndcg_at_10.items()),
            "Gain": f"{found.over_first_stage.mean:+.4f} over the first stage, 95 % interval {low:+.4f} to {high:+.4f}",
            "Like its teacher": f"Kendall's tau {agrees.kendall_tau:.2f}, {agrees.shared_at_10:.0%} of the first 10",
            "Measured on": f"{found.queries:,} queries of the eval dataset; orders on {student.held_out:,} others",
        }
    )


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
        model_id = whole_or_none(tribrid, "model", model)
        answer = tribrid.corpus(corpus).promote(model_id, reason=reason, force=force)
    session.terminal.result(answer, _aliases(answer))


def rollback(
    session: Session, corpus: Corpus, *, reason: Annotated[str, typer.Option(help="Why; it is kept.")] = ""
) -> None:
    """Go back to what served before the last promotion; again, to what served before that one."""
    with library(session) as tribrid:
        answer = tribrid.corpus(corpus).rollback(reason=reason)
    session.terminal.result(answer, _aliases(answer))


def _aliases(answer: ModelNames) -> RenderableType:
    return facts({"Champion": answer.champion or "none", "Previous": answer.previous or "none"})
