"""Files to documents: text, Markdown, HTML, reStructuredText, Word, EPUB, notebooks, tables, JSON, Python source and,
with pypdf, PDF; each also packed by gzip.

One document a file: `doc_id` is its path relative to the folder, with `/` on every system, and its title the
first heading, `<title>`, module docstring line or the file's name. Hidden files and `__pycache__` are passed
over in silence; everything else that is not read is reported as `Skipped`, and so is what is lost of a file that is.
What is not wanted is `LeftOut` (see `choosing.py`), and so is a web page that says the same as one before it, as a
printed view does. Links out of the folder are not followed. No file can stop the others: see `confined.py`.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tribrid.config.sections import IndexingConfig
from tribrid.corpus.choosing import ALL, Choice
from tribrid.corpus.confined import ConfinedReader, Limits
from tribrid.corpus.contents import Contents, NotStarted, Unreadable
from tribrid.corpus.folders import LeftOut, Wordless, walk
from tribrid.corpus.jsonlines import Loss, Skipped
from tribrid.corpus.readers import RECORDS, WEB_PAGES, ending, is_bounded, is_read, read_file, stem
from tribrid.corpus.records import make_document
from tribrid.errors import InvalidInput
from tribrid.types import Document

# How much longer than its processor time a file may take by the clock: on a busy machine, on a slow disk.
WAITING_FACTOR = 10


def read_folder(path: Path, config: IndexingConfig, choice: Choice = ALL) -> Iterator[Document | Skipped]:
    """The documents of a folder (or of one file) in the order of their paths, each followed by what was lost of it.

    Args:
        path: a folder, read with its subfolders, or a single file, whose doc_id is its name.
        choice: which files of a folder are wanted.

    Raises:
        InvalidInput: at once, if there is no such file or folder, or it cannot be listed, or a pattern is none.
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
    return _read_all(_files(root, walk(root, choice)), limits)


def _read_all(files: Iterator[tuple[Path, str] | Skipped], limits: Limits) -> Iterator[Document | Skipped]:
    pages: dict[str, str] = {}
    with ConfinedReader(limits) as confined:
        for found in files:
            if isinstance(found, Skipped):
                yield found
                continue
            for item in _read(*found, limits, confined):
                same = _same_page(item, pages) if isinstance(item, Document) else None
                if same is not None:
                    yield _skipped(found[1], f"says the same as {same}", LeftOut)
                    break
                yield item


def _same_page(document: Document, pages: dict[str, str]) -> str | None:
    """The web page that said the same before, by its name; the page is kept in mind if there is none."""
    if ending(Path(document.doc_id)) not in WEB_PAGES:
        return None
    first = pages.setdefault(hashlib.sha256(document.text.encode()).hexdigest(), document.doc_id)
    return None if first == document.doc_id else first


def _files(root: Path, entries: Iterator[Path | Skipped]) -> Iterator[tuple[Path, str] | Skipped]:
    """The files below a folder, each with its name from there."""
    real_root = os.path.realpath(root)
    for entry in entries:
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
    except NotStarted as error:
        yield _skipped(name, f"the process that reads such files cannot be started now ({error}): index it again later")
        return
    except OSError as error:
        yield _skipped(name, f"cannot be read: {error.strerror or error}")
        return
    title = contents.title or stem(path)
    if not contents.text.strip():
        yield _skipped(name, "holds no text", Wordless)
        return
    document = make_document(name, title=title, text=contents.text, uri=uri, max_document_chars=limits.max_chars)
    if isinstance(document, Skipped):
        yield _skipped(name, document.reason)
        return
    yield replace(document, metadata={"links": list(contents.links)}) if contents.links else document
    yield from (_skipped(name, loss, Loss) for loss in contents.losses)


def _contents(path: Path, limits: Limits, confined: ConfinedReader) -> Contents:
    form = ending(path)
    if not is_read(form):
        raise Unreadable(f"files of type {form} are not read")
    if is_bounded(form):
        contents = read_file(path, form, max_chars=limits.max_chars, budget_s=limits.timeout_s)
    else:
        contents = _confined(path, form, confined)
    if contents.losses and not contents.text.strip():
        raise Unreadable("; ".join(["holds no text", *contents.losses]))
    return contents


def _confined(path: Path, form: str, confined: ConfinedReader) -> Contents:
    try:
        return confined.read(path, form)
    except Unreadable as error:
        if form in RECORDS:
            raise Unreadable(f"{error}; to index its records, name the file itself") from None
        raise


def _skipped(name: str, reason: str, made: type[Skipped] = Skipped) -> Skipped:
    # A file name may hold bytes that are no UTF-8; those are shown escaped.
    shown, why = (text.encode("utf-8", "backslashreplace").decode("utf-8") for text in (name, reason))
    return made(0, why, doc_id=shown)
