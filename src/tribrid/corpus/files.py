"""Files to documents: text, Markdown, HTML, reStructuredText, Word, notebooks, Python source and, with pypdf, PDF.

One document a file: `doc_id` is its path relative to the folder, with `/` on every system, and its title the
first heading, `<title>`, module docstring line or the file's name. Hidden files and `__pycache__` are passed
over in silence; everything else that is not read is reported as `Skipped`, and so is what is lost of a file that is.
Links out of the folder are not followed. No file can stop the others: see `confined.py`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from tribrid.config.sections import IndexingConfig
from tribrid.corpus.confined import ConfinedReader, Limits
from tribrid.corpus.contents import Contents, Unreadable
from tribrid.corpus.folders import walk
from tribrid.corpus.jsonlines import Loss, Skipped
from tribrid.corpus.readers import is_bounded, is_read, read_file
from tribrid.corpus.records import make_document
from tribrid.errors import InvalidInput
from tribrid.types import Document

# How much longer than its processor time a file may take by the clock: on a busy machine, on a slow disk.
WAITING_FACTOR = 10
_RECORDS = (".jsonl", ".ndjson")


def read_folder(path: Path, config: IndexingConfig) -> Iterator[Document | Skipped]:
    """The documents of a folder (or of one file) in the order of their paths, each followed by what was lost of it.

    Args:
        path: a folder, read with its subfolders, or a single file, whose doc_id is its name.

    Raises:
        InvalidInput: at once, if there is no such file or folder, or it cannot be listed.
    """
    root = Path(path)
    waiting_s = config.file_timeout_s * WAITING_FACTOR
    limits = Limits(config.max_document_chars, config.file_timeout_s, waiting_s, config.file_memory_mb)
    try:
        info = root.stat()
        if not stat.S_ISDIR(info.st_mode):
            return _read_all(iter([(root, root.name)]), limits)
        next(root.iterdir(), None)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InvalidInput(f"The file or folder {str(root)!r} cannot be read: {reason}.", path=str(root)) from None
    return _read_all(_files(root), limits)


def _read_all(files: Iterator[tuple[Path, str] | Skipped], limits: Limits) -> Iterator[Document | Skipped]:
    with ConfinedReader(limits) as confined:
        for found in files:
            if isinstance(found, Skipped):
                yield found
            else:
                yield from _read(*found, limits, confined)


def _files(root: Path) -> Iterator[tuple[Path, str] | Skipped]:
    """The files below a folder, each with its name from there."""
    real_root = os.path.realpath(root)
    for entry in walk(root):
        if isinstance(entry, Skipped):
            yield entry
            continue
        name = entry.relative_to(root).as_posix()
        # realpath, not Path.resolve: that raises on a link that leads to itself.
        if entry.is_symlink() and (entry.is_dir() or not Path(os.path.realpath(entry)).is_relative_to(real_root)):
            yield _skipped(name, "a link to a folder, or out of the folder, is not followed")
        else:
            yield entry, name


def _read(path: Path, name: str, limits: Limits, confined: ConfinedReader) -> Iterator[Document | Skipped]:
    try:
        contents = _contents(path, limits, confined)
        uri = path.resolve().as_uri()
    except Unreadable as error:
        yield _skipped(name, str(error))
        return
    except OSError as error:
        yield _skipped(name, f"cannot be read: {error.strerror or error}")
        return
    title = contents.title or path.stem
    document = make_document(name, title=title, text=contents.text, uri=uri, max_document_chars=limits.max_chars)
    if isinstance(document, Skipped):
        yield _skipped(name, document.reason)
        return
    yield document
    yield from (_skipped(name, loss, Loss) for loss in contents.losses)


def _contents(path: Path, limits: Limits, confined: ConfinedReader) -> Contents:
    suffix = path.suffix.lower()
    if not is_read(suffix):
        named = "; to index its records, name the file itself" if suffix in _RECORDS else ""
        raise Unreadable(f"files of type {path.suffix} are not read{named}")
    if is_bounded(suffix):
        contents = read_file(path, suffix, max_chars=limits.max_chars, budget_s=limits.timeout_s)
    else:
        contents = confined.read(path, suffix)
    if not contents.text.strip():
        raise Unreadable("; ".join(["holds no text", *contents.losses]))
    return contents


def _skipped(name: str, reason: str, made: type[Skipped] = Skipped) -> Skipped:
    # A file name may hold bytes that are no UTF-8; those are shown escaped.
    shown, why = (text.encode("utf-8", "backslashreplace").decode("utf-8") for text in (name, reason))
    return made(0, why, doc_id=shown)
