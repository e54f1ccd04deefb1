"""The command of the eval dataset: put, show, list, check, export."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import typer
from rich.console import RenderableType
from rich.text import Text

from tribrid.answers.readiness import EvalDatasetCheck
from tribrid.app import Tribrid
from tribrid.cli.command import Session
from tribrid.cli.feeding import stored_view
from tribrid.cli.judgedfiles import Given, read
from tribrid.cli.library import library
from tribrid.cli.terminal import facts, indented, moment, plain, table
from tribrid.errors import InvalidInput

_FOLDERS = ("trec", "beir")
_STYLES = {"error": "red", "warning": "yellow"}


class Asked(NamedTuple):
    """What is asked of a dataset that is there."""

    form: str | None
    out: Path | None
    effect: float | None
    version: str | None = None


def evalset(session: Session, words: Sequence[str], given: Given, asked: Asked) -> None:
    """See `tribrid evalset --help`.

    Raises:
        InvalidInput: the words are not an action and a corpus, the files do not give judged queries (then nothing was
            stored), or an option belongs to another action.
        typer.Exit: code 1, a check found an error.
    """
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


def _put(session: Session, tribrid: Tribrid, corpus_id: str, given: Given, _asked: Asked) -> int:
    queries, bundle = read(given, "test")
    answer = tribrid.put_eval_dataset(corpus_id, queries, bundle)
    session.terminal.result(answer, *stored_view(answer))
    return 0


def _show(session: Session, tribrid: Tribrid, corpus_id: str, _given: Given, asked: Asked) -> int:
    dataset = tribrid.eval_dataset(corpus_id, asked.version)
    bundle = dataset["bundle"]
    session.terminal.result(
        dataset,
        *stored_view({**dataset, "queries": len(dataset["queries"])}),
        facts({"Measured on": _measured_on(bundle) if bundle else None, "Candidates": (bundle or {}).get("sha256")}),
    )
    return 0


def _measured_on(bundle: Mapping[str, Any]) -> str:
    if bundle["corpus_version"] is None:
        return "candidates that were put with it"
    return f"version {bundle['corpus_version']} of the corpus, {moment(bundle['frozen_at'])}"


def _list(session: Session, tribrid: Tribrid, corpus_id: str, _given: Given, _asked: Asked) -> int:
    found = tribrid.eval_datasets(corpus_id)
    columns = ["", ("Version", "right"), "sha256", ("Queries", "right"), ("Judgments", "right"), "Decides on", "Put"]
    rows = [
        [
            "in force" if row["current"] else "",
            row["version"],
            row["sha256"][:12],
            f"{row['queries']:,}",
            f"{row['judgments']:,}",
            row["primary_measure"],
            moment(row["created_at"]),
        ]
        for row in found
    ]
    shown: RenderableType = f"{corpus_id!r} has no eval dataset yet."
    session.terminal.result({"eval_datasets": found}, table(columns, rows) if rows else shown)  # type: ignore[arg-type]
    return 0


def _check(session: Session, tribrid: Tribrid, corpus_id: str, _given: Given, asked: Asked) -> int:
    found = tribrid.check_eval_dataset(corpus_id, asked.effect, asked.version)
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


def _export(session: Session, tribrid: Tribrid, corpus_id: str, _given: Given, asked: Asked) -> int:
    form = asked.form or "json"
    if form in _FOLDERS and asked.out is None and not session.terminal.as_json:
        raise InvalidInput(f"--format {form} is several files: name a folder with --out.")
    files = tribrid.export_eval_dataset(corpus_id, form, asked.version)
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


def _write_corpus(tribrid: Tribrid, corpus_id: str, path: Path) -> str:
    """The documents as BEIR has them, a line each, so that its loaders take the folder."""
    with path.open("w", encoding="utf-8", errors="replace") as stream:
        for document in tribrid.store.documents.iterate(corpus_id):
            row = {"_id": document.doc_id, "title": document.title, "text": document.text}
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")
    return str(path)


_DO = {"put": _put, "show": _show, "list": _list, "check": _check, "export": _export}
