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
from pathlib import Path

from tribrid.corpus.charsets import decode
from tribrid.corpus.contents import Contents, Unreadable, plain_lines
from tribrid.corpus.markdown import markdown_title
from tribrid.corpus.office import read_docx, read_notebook
from tribrid.corpus.pdf import read_pdf
from tribrid.corpus.restructured import rst_text
from tribrid.corpus.webpages import read_html

# What a reader makes of a file's bytes within some processor time, seconds.
_Reader = Callable[[bytes, float], Contents]

BYTES_PER_CHAR = 4
# Markup and fonts around the text of a page; a larger file is refused before it is read.
RICH_BYTES_PER_CHAR = 40


def _plain(data: bytes, _: float) -> Contents:
    text, losses = decode(data)
    return Contents("", text, losses)


def _markdown(data: bytes, _: float) -> Contents:
    text, losses = decode(data)
    return Contents(markdown_title(text), text, losses)


def _rst(data: bytes, _: float) -> Contents:
    text, losses = decode(data)
    return Contents(*rst_text(text), losses)


def _python(data: bytes, _: float) -> Contents:
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


_OURS: dict[str, _Reader] = {
    **dict.fromkeys(["", ".txt", ".text"], _plain),
    **dict.fromkeys([".md", ".markdown"], _markdown),
    **dict.fromkeys([".rst", ".rest"], _rst),
}
_LIBRARIES: dict[str, _Reader] = {
    **dict.fromkeys([".html", ".htm", ".xhtml"], lambda data, _: read_html(data)),
    ".docx": lambda data, _: read_docx(data),
    ".ipynb": lambda data, _: read_notebook(data),
    **dict.fromkeys([".py", ".pyi"], _python),
    ".pdf": read_pdf,
}
_READERS = _OURS | _LIBRARIES
_RICH = frozenset([".html", ".htm", ".xhtml", ".docx", ".ipynb", ".pdf"])


def is_read(suffix: str) -> bool:
    """Whether files with this ending are read."""
    return suffix in _READERS


def is_bounded(suffix: str) -> bool:
    """Whether the time and memory that such a file takes grow with its length alone."""
    return suffix in _OURS


def read_file(path: Path, suffix: str, *, max_chars: int, budget_s: float) -> Contents:
    """A file's contents, by the reader for the suffix.

    Args:
        max_chars: most characters of a document; a file that must hold more is refused by its size.
        budget_s: processor time after which a reader that can stops with what it has.

    Raises:
        Unreadable, MissingExtra, OSError.
    """
    data = _bytes_of(path, max_chars * (RICH_BYTES_PER_CHAR if suffix in _RICH else BYTES_PER_CHAR))
    return _READERS[suffix](data, budget_s).tidied()


def _bytes_of(path: Path, max_bytes: int) -> bytes:
    """The content of a regular file (a pipe or a device could block for ever)."""
    info = path.stat()
    if not stat.S_ISREG(info.st_mode):
        raise Unreadable("not a regular file")
    if info.st_size > max_bytes:
        raise Unreadable(f"larger than {max_bytes:,} bytes ({info.st_size:,})")
    return path.read_bytes()
