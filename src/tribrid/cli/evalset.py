"""`tribrid evalset`: put, show, list, check or export the eval dataset, or make one from the log."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer
from rich.console import RenderableType
from rich.text import Text

from tribrid.cli.command import Session
from tribrid.cli.content import stored_view
from tribrid.cli.judgedfiles import Given, read
from tribrid.cli.library import Library, library
from tribrid.cli.terminal import facts, indented, moment, one_line, plain, table
from tribrid.errors import InvalidInput

if TYPE_CHECKING:
    from tribrid.answers.evalsets import FrozenBundle
    from tribrid.answers.nextlabels import NextLabels
    from tribrid.answers.readiness import EvalDatasetCheck

_FOLDERS = ("trec", "beir")
_STYLES = {"error": "red", "warning": "yellow"}
Last = Annotated[
    str | None,
    typer.Option(metavar="SPAN", help="from-logs: 36h, 14d or 2w, counted back from the newest search."),
]
Replace = Annotated[bool, typer.Option("--replace", help="from-logs: though people judged the dataset in force.")]


class Asked(NamedTuple):
    """What is asked of a dataset that is there."""

    form: str | None
    out: Path | None
    effect: float | None
    last: str | None = None
    replace: bool = False
    version: str | None = None


def evalset(  # noqa: PLR0913 - a command's options are its parameters
    session: Session,
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[put|show|list|check|next|export|from-logs] CORPUS[@VERSION]",
            help="What to do (left out: put if something is given, else show), with which corpus's dataset. VERSION is "
            "a number or the start of a hash.",
        ),
    ],
    *,
    file: Annotated[
        Path | None,
        typer.Option(
            help="Judged queries: JSON as the HTTP route takes it or export wrote it, JSONL, Quepid's CSV, or a BEIR "
            "folder (its test split)."
        ),
    ] = None,
    queries: Annotated[Path | None, typer.Option(help="Query texts: BEIR queries.jsonl, or TREC topics.")] = None,
    qrels: Annotated[Path | None, typer.Option(help="Their judgments: TREC or BEIR qrels.")] = None,
    form: Annotated[
        str | None,
        typer.Option("--format", help="Export as json (everything), jsonl, trec, topics, qrels, run, beir or quepid."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Export to this file, or folder for trec and beir. Default: print."),
    ] = None,
    effect: Annotated[
        float | None, typer.Option(help="check: the change in the primary measure that you hope to see. Default: 0.03.")
    ] = None,
    last: Last = None,
    replace: Replace = False,
) -> None:
    """Fix the eval dataset that before and after are measured on; show, list, check or export it.

    from-logs makes one from what users did, which nothing is learned from any more; next lists what to judge next.

    check ends with exit code 1 if a verdict on the dataset would mislead.
    """
    given, asked = Given(file, queries, qrels), Asked(form, out, effect, last, replace)
    action, corpus = _understood(words, given)
    corpus_id, at, version = corpus.partition("@")
    if any(given) and action != "put":
        raise InvalidInput(f"evalset {action} takes no judged queries: that is evalset put {corpus_id}.")
    with library(session) as tribrid:
        code = _DO[action](session, tribrid, corpus_id, given, asked._replace(version=version if at else None))
    if code:
        raise typer.Exit(code)


def _understood(words: Sequence[str], given: Given) -> tuple[str, str]:
    """The action and the corpus. One word is a corpus, whatever it is called."""
    if len(words) == 1:
        return "put" if any(given) else "show", words[0]
    if len(words) != 2 or words[0] not in _DO:
        raise InvalidInput(f"Say what to do and with which corpus: tribrid evalset {'|'.join(_DO)} CORPUS.")
    return words[0], words[1]


def _put(session: Session, tribrid: Library, corpus_id: str, given: Given, _asked: Asked) -> int:
    queries, bundle = read(given, "test")
    answer = tribrid.corpus(corpus_id).eval_dataset.put(queries, bundle)
    session.terminal.result(answer, *stored_view(answer))
    return 0


def _show(session: Session, tribrid: Library, corpus_id: str, _given: Given, asked: Asked) -> int:
    dataset = tribrid.corpus(corpus_id).eval_dataset.get(asked.version)
    bundle = dataset.bundle
    session.terminal.result(
        dataset,
        *stored_view(dataset),
        facts({"Measured on": _measured_on(bundle), "Candidates": bundle.sha256} if bundle else {}),
    )
    return 0


def _next(session: Session, tribrid: Library, corpus_id: str, _given: Given, _asked: Asked) -> int:
    found = tribrid.corpus(corpus_id).eval_dataset.next()
    session.terminal.result(found, *_to_judge(found))
    return 0


def _to_judge(found: NextLabels) -> Iterator[RenderableType]:
    yield Text(found.summary)
    if not found.queries:
        yield "Nothing to judge: no search was logged that the eval dataset does not ask, or all rankings agree."
        return
    yield Text(found.guideline, "dim")
    for query in found.queries:
        yield Text.assemble("\n", (plain(query.text), "bold"), (f"  {query.why}", "dim"))
        for document in query.documents:
            yield indented(f"{plain(document.doc_id)}  {one_line(document.title or document.snippet, 70)}")
    if found.detectable_then is not None:
        yield Text(f"\nWith these judged, a change of {found.detectable_then:.3f} would show.")


def _from_logs(session: Session, tribrid: Library, corpus_id: str, _given: Given, asked: Asked) -> int:
    from tribrid.logs.times import span

    if asked.last is None:
        raise InvalidInput(f"Say how much of the log: tribrid evalset from-logs {corpus_id} --last 14d.")
    answer = tribrid.corpus(corpus_id).eval_dataset.from_logs(span(asked.last), replace=asked.replace)
    session.terminal.result(answer, *stored_view(answer))
    return 0


def _measured_on(bundle: FrozenBundle) -> str:
    if bundle.corpus_version is None:
        return "candidates that were put with it"
    return f"version {bundle.corpus_version} of the corpus, {moment(bundle.frozen_at)}"


def _list(session: Session, tribrid: Library, corpus_id: str, _given: Given, _asked: Asked) -> int:
    from tribrid.answers.evalsets import EvalDatasetVersions

    found = tribrid.corpus(corpus_id).eval_dataset.versions()
    columns = ["", ("Version", "right"), "sha256", ("Queries", "right"), ("Judgments", "right"), "Labels"]
    columns += ["Decides on", "Put"]
    rows = [
        [
            "in force" if row.current else "",
            row.version,
            row.sha256[:12],
            f"{row.queries:,}",
            f"{row.judgments:,}",
            "from logs" if row.source == "logs" else "judged",
            row.primary_measure,
            moment(row.created_at),
        ]
        for row in found
    ]
    shown: RenderableType = f"{corpus_id!r} has no eval dataset yet."
    session.terminal.result(EvalDatasetVersions(eval_datasets=tuple(found)), table(columns, rows) if rows else shown)  # type: ignore[arg-type]
    return 0


def _check(session: Session, tribrid: Library, corpus_id: str, _given: Given, asked: Asked) -> int:
    found = tribrid.corpus(corpus_id).eval_dataset.check(asked.effect, asked.version)
    session.terminal.result(found, *_checked(found))
    return 0 if found.ok else 1


def _checked(found: EvalDatasetCheck) -> Iterator[RenderableType]:
    power = found.power
    seen = "nothing" if power.detectable is None else f"a change of {power.detectable:.3f} or more"
    yield Text("Fit to decide on", "bold green") if found.ok else Text("Not fit to decide on", "bold red")
    yield facts(
        {
            "Queries": f"{found.evaluable:,} of {found.queries:,}, {power.independent_queries:,} independent",
            "Judgments": f"{found.judgments:,}, {found.positives_per_query:.1f} relevant a query",
            "Decides on": found.primary_measure,
            "Can show": f"{seen} ({power.basis})",
            "Recall ceiling": f"{found.recall_ceiling:.3f}" if found.recall_ceiling is not None else None,
        }
    )
    for problem in found.problems:
        yield Text(f"{problem.severity}: {problem.detail}", _STYLES[problem.severity])
        if problem.examples:
            named = ", ".join(one if isinstance(one, str) else " = ".join(one) for one in problem.examples[:5])
            yield indented(plain(named) + ("…" if problem.count > 5 else ""), "dim")


def _export(session: Session, tribrid: Library, corpus_id: str, _given: Given, asked: Asked) -> int:
    form = asked.form or "json"
    if form in _FOLDERS and asked.out is None and not session.terminal.as_json:
        raise InvalidInput(f"--format {form} is several files: name a folder with --out.")
    files = tribrid.corpus(corpus_id).eval_dataset.export(form, asked.version)
    if asked.out is None:
        if session.terminal.as_json:
            session.terminal.json({"corpus_id": corpus_id, "format": form, "files": files})
        else:
            sys.stdout.write("".join(files.values()))
        return 0
    written = _write(files, asked.out, folder=form in _FOLDERS)
    if form == "beir":
        written.append(_write_corpus(tribrid, corpus_id, asked.out / "corpus.jsonl"))
    session.terminal.result({"corpus_id": corpus_id, "files": written}, *(f"Wrote {path}" for path in written))
    return 0


def _write(files: Mapping[str, str], out: Path, *, folder: bool) -> list[str]:
    written = []
    for name, text in files.items():
        path = out / name if folder else out
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode("utf-8", "replace"))
        written.append(str(path))
    return written


def _write_corpus(tribrid: Library, corpus_id: str, path: Path) -> str:
    """The documents as BEIR has them, a line each, so that its loaders take the folder."""
    with path.open("w", encoding="utf-8", errors="replace") as stream:
        for document in tribrid.store.documents.iterate(corpus_id):
            row = {"_id": document.doc_id, "title": document.title, "text": document.text}
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")
    return str(path)


_DO = {
    "put": _put,
    "show": _show,
    "list": _list,
    "check": _check,
    "next": _next,
    "export": _export,
    "from-logs": _from_logs,
}
