"""Which reader a file's ending calls for, and whether it may run in this process.

Plain text, Markdown and reStructuredText are read by code whose time grows with their length alone. Other forms are
read by libraries that one bad file keeps busy for minutes, so they are read where they can be stopped: see
`confined.py`.
"""

from __future__ import annotations

import ast
import io
import stat
import tokenize
import warnings
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import NamedTuple

from tribrid.corpus.charsets import decode
from tribrid.corpus.contents import Contents, Unreadable, plain_lines
from tribrid.corpus.epub import read_epub
from tribrid.corpus.markdown import markdown_title
from tribrid.corpus.office import read_docx, read_notebook
from tribrid.corpus.packed import gunzipped
from tribrid.corpus.pdf import read_pdf
from tribrid.corpus.restructured import rst_text
from tribrid.corpus.tabular import read_csv, read_json
from tribrid.corpus.webpages import read_html

BYTES_PER_CHAR = 4
# Markup and fonts around the text of a page; a larger file is refused before it is read.
RICH_BYTES_PER_CHAR = 40


class Budget(NamedTuple):
    """What a reader may use: processor time in seconds, bytes of what it unpacks, and characters of a document."""

    time_s: float
    max_bytes: int
    max_chars: int


_Reader = Callable[[bytes, Budget], Contents]


def _plain(data: bytes, _: Budget) -> Contents:
    text, losses = decode(data)
    return Contents("", text, losses)


def _markdown(data: bytes, _: Budget) -> Contents:
    text, losses = decode(data)
    return Contents(markdown_title(text), text, losses)


def _rst(data: bytes, _: Budget) -> Contents:
    text, losses = decode(data)
    return Contents(*rst_text(text), losses)


def _python(data: bytes, _: Budget) -> Contents:
    """Source in the encoding it declares. A file that does not parse is still text."""
    losses: tuple[str, ...] = ()
    try:
        encoding, _lines = tokenize.detect_encoding(io.BytesIO(data).readline)
        source = plain_lines(data.decode(encoding))
    except (SyntaxError, UnicodeDecodeError, LookupError):
        source, losses = decode(data)
    return Contents(_module_title(source), source, losses)


def _module_title(source: str) -> str:
    try:
        with warnings.catch_warnings():
            # Another's source: an invalid escape in it is not ours to warn about.
            warnings.simplefilter("ignore")
            docstring = ast.get_docstring(ast.parse(source))
    # MemoryError is how the parser refuses what nests too deep.
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
    return (docstring or "").strip().partition("\n")[0].strip()


RECORDS = (".json", ".jsonl", ".ndjson")
WEB_PAGES = (".html", ".htm", ".xhtml")
_OURS: dict[str, _Reader] = {
    **dict.fromkeys(["", ".txt", ".text"], _plain),
    **dict.fromkeys([".md", ".markdown"], _markdown),
    **dict.fromkeys([".rst", ".rest"], _rst),
}
_LIBRARIES: dict[str, _Reader] = {
    **dict.fromkeys(WEB_PAGES, lambda data, _: read_html(data)),
    ".docx": lambda data, budget: read_docx(data, budget.max_bytes),
    ".epub": lambda data, budget: read_epub(data, budget.time_s, budget.max_bytes),
    ".ipynb": lambda data, _: read_notebook(data),
    ".csv": lambda data, budget: read_csv(data, None, budget.max_chars),
    **dict.fromkeys([".tsv", ".tab"], lambda data, budget: read_csv(data, "\t", budget.max_chars)),
    **dict.fromkeys(RECORDS, lambda data, _: read_json(data)),
    **dict.fromkeys([".py", ".pyi"], _python),
    ".pdf": lambda data, budget: read_pdf(data, budget.time_s),
}
_READERS = _OURS | _LIBRARIES
_AS_WRITTEN = frozenset(["", ".txt", ".text", ".md", ".markdown", ".py", ".pyi"])
_RICH = frozenset([*WEB_PAGES, ".docx", ".epub", ".ipynb", ".pdf"])
_GZIP = ".gz"


def ending(path: Path) -> str:
    """What a file's name says of its form: `.md`, or `.md.gz`. What a copy of a website puts behind a `?` is no part
    of it.
    """
    name = PurePath(path.name.partition("?")[0].lower())
    return PurePath(name.stem).suffix + _GZIP if name.suffix == _GZIP else name.suffix


def keeps_lines(form: str) -> bool:
    """Whether the lines of a document's text are those of the file that it was read from."""
    inner = form.removesuffix(_GZIP)
    return inner in _AS_WRITTEN or inner not in _READERS


def stem(path: Path) -> str:
    """A file's name without its ending."""
    return PurePath(path.stem).stem if path.suffix.lower() == _GZIP else path.stem


def is_read(form: str) -> bool:
    """Whether files with this ending are read."""
    return form.removesuffix(_GZIP) in _READERS


def is_bounded(form: str) -> bool:
    """Whether the time and memory that such a file takes grow with its length alone."""
    return form in _OURS


def read_file(path: Path, form: str, *, max_chars: int, budget_s: float) -> Contents:
    """A file's contents, by the reader for its ending.

    Args:
        max_chars: most characters of a document; a file that must hold more is refused by its size.
        budget_s: processor time after which a reader that can stops with what it has.

    Raises:
        Unreadable, MissingExtra, OSError.
    """
    inner = form.removesuffix(_GZIP)
    max_bytes = max_chars * (RICH_BYTES_PER_CHAR if inner in _RICH else BYTES_PER_CHAR)
    data = _bytes_of(path, max_bytes)
    if form.endswith(_GZIP):
        data = gunzipped(data, max_bytes)
    return _READERS[inner](data, Budget(budget_s, max_bytes, max_chars)).tidied()


def _bytes_of(path: Path, max_bytes: int) -> bytes:
    """The content of a regular file (a pipe or a device could block for ever)."""
    info = path.stat()
    if not stat.S_ISREG(info.st_mode):
        raise Unreadable("not a regular file")
    if info.st_size > max_bytes:
        raise Unreadable(f"larger than {max_bytes:,} bytes ({info.st_size:,})")
    return path.read_bytes()
