"""The commands that put something in: documents, judgments, logs. The eval dataset: evalset.py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text

from tribrid.cli.command import Corpus, Session
from tribrid.cli.judgedfiles import Given, read
from tribrid.cli.library import Library, library
from tribrid.cli.progress import gauge
from tribrid.cli.sources import Exclude, Include, Wanted, preview
from tribrid.cli.terminal import facts, moment, plain, seconds, table
from tribrid.cli.watching import watch as follow_changes
from tribrid.errors import CorpusExists, CorpusNotFound, InvalidInput
from tribrid.types import EventType

if TYPE_CHECKING:
    from tribrid.answers.corpora import CorpusFacts
    from tribrid.answers.documents import IndexedDocuments
    from tribrid.answers.evalsets import EvalDatasetContent, StoredEvalDataset
    from tribrid.answers.judgments import StoredJudgments

_SHOWN_SKIPPED, _SHOWN_REPEATED = 20, 5
_BLOCK_BYTES = 1 << 16


def index(  # noqa: PLR0913 - a command's options are its parameters
    session: Session,
    corpus: Corpus,
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATH",
            help="Folders, files, or records (.jsonl, .ndjson, .json; a BEIR corpus.jsonl as it is). "
            "`-` reads records from standard input. Files gone from a folder are deleted from the corpus.",
        ),
    ] = None,
    *,
    mirror: Annotated[
        bool, typer.Option("--mirror", help="Delete all documents that are not in PATH, wherever they came from.")
    ] = False,
    delete_emptied: Annotated[
        bool,
        typer.Option(
            "--delete-emptied",
            help="Delete also the documents of a folder that lists no files. Without it they are kept: its disk may "
            "not be mounted.",
        ),
    ] = False,
    include: Include = None,
    exclude: Exclude = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List what would be read, skipped and left out, and why; store nothing.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on: index again whenever something changed, until Ctrl-C.")
    ] = False,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Make the index anew from the stored documents; without PATH.")
    ] = False,
) -> None:
    """Index documents: new and changed ones are embedded, unchanged ones are not. Creates the corpus if need be."""
    if rebuild == bool(paths) or (watch and dry_run):
        raise InvalidInput(
            "Name what to index, with --watch or --dry-run and not both; or --rebuild and nothing.", field="PATH"
        )
    if not paths:
        _rebuild(session, corpus)
        return
    wanted = Wanted(paths, tuple(include or ()), tuple(exclude or ()), mirror, delete_emptied)
    if watch:
        follow_changes(session, wanted, lambda: _index(session, corpus, wanted))
    elif dry_run:
        preview(session, corpus, wanted)
    else:
        _index(session, corpus, wanted)


def _index(session: Session, corpus: str, wanted: Wanted) -> None:
    with library(session) as tribrid, ExitStack() as opened:
        sources = wanted.records(tribrid, corpus, opened)  # a path that cannot be read: nothing is indexed
        ensure(tribrid, corpus)
        read, mirror = wanted.folders, wanted.mirror
        if read or mirror:
            opened.enter_context(tribrid.corpus(corpus).documents.bringing_in())
        with gauge(session.terminal.err, "Indexing") as shown:

            def emit(kind: EventType, data: Mapping[str, Any]) -> None:
                if kind == "progress":
                    shown.update(data)

            report = tribrid.corpus(corpus).documents.add(
                chain.from_iterable(sources),
                emit=emit,
                mirror=mirror,
                paths=read,
                choice=wanted.choice,
                delete_emptied=wanted.delete_emptied,
            )
    session.terminal.result(report, indexed(report))
    lines_skipped(session, report)


def _rebuild(session: Session, corpus_id: str) -> None:
    with library(session) as tribrid, gauge(session.terminal.err, "Indexing") as shown:

        def emit(kind: EventType, data: Mapping[str, Any]) -> None:
            if kind == "progress":
                shown.update(data)

        report = tribrid.corpus(corpus_id).documents.rebuild(emit=emit)
    session.terminal.result(report, indexed(report))


def ensure(tribrid: Library, corpus_id: str) -> None:
    """Make the corpus if there is none."""
    try:
        tribrid.corpus(corpus_id).require()
    except CorpusNotFound:
        with suppress(CorpusExists):  # another command made it meanwhile
            tribrid.create_corpus(corpus_id)


def indexed(report: IndexedDocuments) -> RenderableType:
    """What became of the documents."""
    rate = f", {report.rate_per_s:,.0f} passages/s" if report.embedded else ""
    return facts(
        {
            "Corpus": report.corpus_id,
            "Documents": f"{report.documents:,} in {report.passages:,} passages",
            "Embedded": f"{report.embedded:,} new or changed in {seconds(report.took_s)}{rate}",
            "Unchanged": f"{report.unchanged:,}",
            "Deleted": f"{report.deleted:,}" if report.deleted else None,
            "Skipped": Text(f"{report.skipped_total:,}", style="yellow") if report.skipped_total else None,
            "Left out": f"{report.left_out:,}; --dry-run lists them" if report.left_out else None,
            "Read in part": Text(f"{report.losses_total:,}", style="yellow") if report.losses_total else None,
        }
    )


def lines_skipped(session: Session, report: IndexedDocuments) -> None:
    """Say what was not taken, to who reads it."""
    if not session.terminal.as_json:
        for line in chain(_skipped(report), _lost(report)):
            session.terminal.note(line, "yellow")


def _skipped(report: IndexedDocuments) -> Iterator[str]:
    """What was not taken and why, the first few."""
    for entry in report.skipped[:_SHOWN_SKIPPED]:
        named = [f"line {entry.line}"] if entry.line else []
        named += [plain(entry.doc_id)] if entry.doc_id else []
        yield f"Skipped {', '.join(named) or 'a record'}: {entry.reason}"
    if report.skipped_total > _SHOWN_SKIPPED:
        yield f"… and {report.skipped_total - _SHOWN_SKIPPED:,} more; --json lists them."
    if report.duplicates_total:
        repeated = _first(report.duplicates, report.duplicates_total)
        yield f"{report.duplicates_total:,} ids came more than once, and the last record holds: {repeated}"
    if report.replaced_total:
        replaced = _first(report.replaced, report.replaced_total)
        yield (
            f"{report.replaced_total:,} documents took the place of others with the same id and another address: "
            f"{replaced}. To keep both, index a folder that holds both, or make two corpora."
        )


def _first(doc_ids: Sequence[str], total: int) -> str:
    return ", ".join(map(plain, doc_ids[:_SHOWN_REPEATED])) + (", …" if total > _SHOWN_REPEATED else "")


def _lost(report: IndexedDocuments) -> Iterator[str]:
    """What is missing from documents that were taken, the first few."""
    for entry in report.losses[:_SHOWN_SKIPPED]:
        yield f"In part {plain(entry.doc_id or '')}: {entry.reason}"
    if report.losses_total > _SHOWN_SKIPPED:
        yield f"… and {report.losses_total - _SHOWN_SKIPPED:,} more; --json lists them."


def corpora(
    session: Session,
    corpus: Annotated[str | None, typer.Argument(metavar="CORPUS", help="Show this one.")] = None,
    *,
    delete: Annotated[bool, typer.Option("--delete", help="Delete the corpus and all that belongs to it.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """List the corpora, show one, or delete one."""
    from tribrid.answers.corpora import CorpusList

    with library(session) as tribrid:
        if corpus is None:
            if delete:
                raise InvalidInput("Name the corpus to delete: tribrid corpora CORPUS --delete.")
            found = CorpusList(corpora=tuple(one.describe() for one in tribrid.corpora()))
            session.terminal.result(found, _corpora(found.corpora))
            return
        shown = tribrid.corpus(corpus).describe()
        if not delete:
            session.terminal.result(shown, facts(shown.model_dump(mode="json")))
            return
        question = f"Delete corpus {corpus!r} with {shown.documents:,} documents and all its logs?"
        session.terminal.confirm(question, yes=yes, refused="Nothing was deleted.")
        tribrid.corpus(corpus).delete()
    session.terminal.result({"deleted": corpus}, f"Corpus {corpus!r} is deleted.")


def _corpora(found: Sequence[CorpusFacts]) -> RenderableType:
    if not found:
        return "There is no corpus yet. Make one: tribrid index CORPUS FOLDER"
    columns = ["Corpus", "Name", ("Documents", "right"), ("Passages", "right"), "Created"]
    return table(
        columns,  # type: ignore[arg-type]
        [[row.corpus_id, row.name, f"{row.documents:,}", f"{row.passages:,}", moment(row.created_at)] for row in found],
    )


def judgments(
    session: Session,
    corpus: Corpus,
    *,
    queries: Annotated[Path | None, typer.Option(help="Query texts: BEIR queries.jsonl, or TREC topics.")] = None,
    qrels: Annotated[Path | None, typer.Option(help="Their judgments: TREC or BEIR qrels.")] = None,
    file: Annotated[
        Path | None, typer.Option(help="Or both in one: JSON, JSONL, Quepid's CSV, or a BEIR folder (its train split).")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Forget the judgments given before.")] = False,
) -> None:
    """Give relevance judgments to train from, or show what there is."""
    given = Given(file, queries, qrels)
    with library(session) as tribrid:
        if not any(given):
            stored = tribrid.corpus(corpus).judgments.get()
            counts = {
                "Queries": f"{len(stored.queries):,}",
                "Judgments": f"{sum(len(query.judgments) for query in stored.queries):,}",
            }
            session.terminal.result(stored, facts(counts))
            return
        judged, bundle = read(given, "train")
        answer = tribrid.corpus(corpus).judgments.put(judged, replace=replace, bundle=bundle)
    session.terminal.result(answer, *stored_view(answer))


def stored_view(answer: StoredJudgments | StoredEvalDataset | EvalDatasetContent) -> Iterator[RenderableType]:
    """What is stored of judged queries, and what is odd about it."""
    from tribrid.answers.evalsets import EvalDatasetContent
    from tribrid.answers.judgments import StoredJudgments, UnknownDocuments

    queries = answer.query_count if isinstance(answer, EvalDatasetContent) else answer.queries
    counts: dict[str, object] = {"Queries": f"{queries:,}", "Judgments": f"{answer.judgments:,}"}
    if not isinstance(answer, StoredJudgments):
        counts |= {"Version": answer.version, "Decides on": answer.primary_measure, "sha256": answer.sha256}
        counts |= {"Labels": f"from logs: {answer.log.told}"} if answer.log else {}
    yield facts(counts)
    if isinstance(answer, UnknownDocuments) and answer.unknown_documents_total:
        unknown = answer.unknown_documents_total
        named = ", ".join(map(plain, answer.unknown_documents[:5])) + ("…" if unknown > 5 else "")
        yield Text(f"{unknown:,} judged documents are not in the corpus: {named}", style="yellow")
    if isinstance(answer, StoredJudgments) and answer.in_eval_dataset_total:
        overlap = answer.in_eval_dataset_total
        yield Text(f"{overlap:,} queries are the eval dataset's and will not be trained on.", style="yellow")
