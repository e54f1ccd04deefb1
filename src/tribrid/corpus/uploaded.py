"""Files that somebody sent to documents: read as those of a folder are, or as records where their ending says so.

A file is written to a folder of our own under its name, without what could lead out of it, and is gone once it is read.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import IO

from tribrid.config.sections import IndexingConfig
from tribrid.corpus.files import read_folder
from tribrid.corpus.jsonlines import Skipped
from tribrid.corpus.records import RECORD_FILES, parse_records
from tribrid.types import Document

_MAX_NAME_BYTES = 200


def uploaded(
    files: Iterable[tuple[str, IO[bytes]]], folder: Path, config: IndexingConfig
) -> Iterator[Document | Skipped]:
    """The documents of the files, in their order, each followed by what was lost of it.

    Args:
        folder: an empty one, in which one file at a time is written.
    """
    for name, content in files:
        kept = _inside(name)
        if PurePosixPath(kept).suffix.lower() in RECORD_FILES:
            yield from parse_records(content, max_document_chars=config.max_document_chars)
        elif not kept or len(kept.encode()) > _MAX_NAME_BYTES or "\0" in kept:
            yield Skipped(0, "a file needs a name of at most 200 bytes", doc_id=None)
        else:
            yield from _read(kept, content, folder, config)


def _read(name: str, content: IO[bytes], folder: Path, config: IndexingConfig) -> Iterator[Document | Skipped]:
    path = folder / PurePosixPath(name).name
    with path.open("wb") as file:
        shutil.copyfileobj(content, file)
    for found in read_folder(path, config):
        # Where it lay is nowhere any more.
        yield replace(found, doc_id=name, uri="") if isinstance(found, Document) else replace(found, doc_id=name)
    path.unlink()


def _inside(name: str) -> str:
    """The name as a path that leads nowhere but down."""
    parts = [part for part in name.split("/") if part not in ("", ".", "..")]
    return "/".join(parts)
