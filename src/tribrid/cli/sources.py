"""What `tribrid index` was asked to index, and `--dry-run`: what would come of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer
from rich.console import RenderableType

from tribrid.cli.command import Session
from tribrid.cli.judgedfiles import open_file
from tribrid.cli.library import Library, library
from tribrid.cli.terminal import Verbatim, facts
from tribrid.corpus.jsonlines import Skipped
from tribrid.errors import CorpusNotFound
from tribrid.types import Document

if TYPE_CHECKING:
    from tribrid.answers.documents import IndexPreview, SkippedRecord
    from tribrid.config.sections import IndexingConfig
    from tribrid.corpus.choosing import Choice

STDIN = "-"
Include = Annotated[
    list[str] | None,
    typer.Option("--include", metavar="PATTERN", help="Of folders, only files that this names; may be repeated."),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude",
        metavar="PATTERN",
        help="Of folders, no file and no folder that this names; written as in a .gitignore, which is heeded too. "
        "Documents that were made of such files are deleted.",
    ),
]
RECORD_SUFFIXES = frozenset({".jsonl", ".ndjson", ".json"})


class Wanted(NamedTuple):
    """The arguments, and what of their folders is wanted."""

    paths: Sequence[str]
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    mirror: bool
    delete_emptied: bool

    @property
    def choice(self) -> Choice:
        # Slow to import (see tribrid.cli).
        from tribrid.corpus.choosing import Choice

        return Choice(self.include, self.exclude)

    @property
    def folders(self) -> list[Path]:
        """Folders and files that are read, not records."""
        return [Path(path) for path in self.paths if not _is_records(path)]

    def records(self, tribrid: Library, corpus_id: str, opened: ExitStack) -> list[Iterator[Document | Skipped]]:
        """The documents behind each argument, read as they are asked for.

        Raises:
            InvalidInput: at once, if there is no such file or folder, or a pattern is none.
        """
        config = _indexing(tribrid, corpus_id)
        return [_records(path, config, self.choice, opened) for path in self.paths]


def preview(session: Session, corpus: str, wanted: Wanted) -> None:
    """Say what would come of it."""
    with library(session) as tribrid, ExitStack() as opened:
        records = chain.from_iterable(wanted.records(tribrid, corpus, opened))
        found = tribrid.corpus(corpus).documents.preview(
            records, mirror=wanted.mirror, paths=wanted.folders, delete_emptied=wanted.delete_emptied
        )
    session.terminal.result(found, *_previewed(found))


def _previewed(found: IndexPreview) -> Iterator[RenderableType]:
    for document in found.read:
        yield Verbatim(f"Read {document.doc_id}: {document.characters:,} characters")
    for word, records in (("In part", found.losses), ("Skipped", found.skipped), ("Left out", found.left_out)):
        yield from (Verbatim(_line(word, record)) for record in records)
    yield from (Verbatim(f"Deleted {doc_id}") for doc_id in found.deleted)
    counts = {"Read": found.read, "Skipped": found.skipped, "Left out": found.left_out, "Deleted": found.deleted}
    yield facts({name: f"{len(rows):,}" for name, rows in counts.items()} | {"Stored": "nothing: a dry run"})


def _line(word: str, record: SkippedRecord) -> str:
    named = [f"line {record.line}"] if record.line else []
    named += [record.doc_id] if record.doc_id else []
    return f"{word} {', '.join(named) or 'a record'}: {record.reason}"


def _indexing(tribrid: Library, corpus_id: str) -> IndexingConfig:
    """How the corpus's documents are read; the default while there is no such corpus."""
    try:
        return tribrid.corpus(corpus_id).documents.indexing()
    except CorpusNotFound:
        return tribrid.folder.config().indexing


def _records(path: str, config: IndexingConfig, choice: Choice, opened: ExitStack) -> Iterator[Document | Skipped]:
    # Slow to import (see tribrid.cli).
    from tribrid.corpus.files import read_folder
    from tribrid.corpus.records import parse_records

    max_chars = config.max_document_chars
    if path == STDIN:
        return parse_records(sys.stdin.buffer, max_document_chars=max_chars)
    if _is_records(path):
        return parse_records(opened.enter_context(open_file(path)), max_document_chars=max_chars)
    return read_folder(Path(path), config, choice)


def _is_records(path: str) -> bool:
    return path == STDIN or (Path(path).suffix.lower() in RECORD_SUFFIXES and not Path(path).is_dir())
