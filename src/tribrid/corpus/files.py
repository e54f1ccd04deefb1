"""Files to documents: text, Markdown, HTML, reStructuredText, Python source and, with pypdf, PDF.

One document a file: `doc_id` is its path relative to the folder, with `/` on every system, and its title the
first heading, `<title>`, module docstring line or the file's name. Hidden files and `__pycache__` are passed
over in silence; everything else that is not read is reported as `Skipped`. Links out of the folder are not
followed.
"""

from __future__ import annotations

import ast
import codecs
import io
import os
import re
import stat
import tokenize
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from selectolax.lexbor import LexborHTMLParser, LexborNode, SelectolaxError

from tribrid.corpus.folders import walk
from tribrid.corpus.jsonlines import Skipped
from tribrid.corpus.markup import markdown_title, rst_text
from tribrid.corpus.records import make_document
from tribrid.errors import InvalidInput, MissingExtra
from tribrid.types import Document

# A title and a text: what a reader makes of a file's bytes. An empty title means "use the name".
_Reader = Callable[[bytes], tuple[str, str]]

_RECORDS = (".jsonl", ".ndjson")
BYTES_PER_CHAR = 4
# Markup and fonts around the text of a page; a larger file is refused before it is read.
RICH_BYTES_PER_CHAR = 40
# As in browsers. The parser's time grows with the square of the depth: 400,000 open divs take it minutes.
MAX_HTML_DEPTH = 512


class _Unreadable(Exception):
    """Why a file cannot be read; never leaves this module."""


def read_folder(path: Path, *, max_document_chars: int) -> Iterator[Document | Skipped]:
    """The documents of a folder (or of one file) in the order of their paths.

    Args:
        path: a folder, read with its subfolders, or a single file, whose doc_id is its name.
        max_document_chars: most characters of title and text together.

    Raises:
        InvalidInput: at once, if there is no such file or folder, or it cannot be listed.
    """
    root = Path(path)
    try:
        info = root.stat()
        if not stat.S_ISDIR(info.st_mode):
            return iter([_read_file(root, root.name, max_document_chars)])
        next(root.iterdir(), None)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InvalidInput(f"The file or folder {str(root)!r} cannot be read: {reason}.", path=str(root)) from None
    return _read_tree(root, max_document_chars)


def _read_tree(root: Path, max_document_chars: int) -> Iterator[Document | Skipped]:
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
            yield _read_file(entry, name, max_document_chars)


def _read_file(path: Path, name: str, max_document_chars: int) -> Document | Skipped:
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        named = "; to index its records, name the file itself" if path.suffix.lower() in _RECORDS else ""
        return _skipped(name, f"files of type {path.suffix} are not read{named}")
    rich = reader in (_html, _pdf)
    try:
        data = _bytes_of(path, max_document_chars * (RICH_BYTES_PER_CHAR if rich else BYTES_PER_CHAR))
        title, text = reader(data)
        uri = path.resolve().as_uri()
    except (_Unreadable, MissingExtra) as error:
        return _skipped(name, str(error))
    except OSError as error:
        return _skipped(name, f"cannot be read: {error.strerror or error}")
    document = make_document(name, title=title or path.stem, text=text, uri=uri, max_document_chars=max_document_chars)
    if isinstance(document, Skipped):
        return _skipped(name, document.reason)
    return document if text.strip() else _skipped(name, "holds no text")


def _skipped(name: str, reason: str) -> Skipped:
    # A file name may hold bytes that are no UTF-8; those are shown escaped.
    shown, why = (text.encode("utf-8", "backslashreplace").decode("utf-8") for text in (name, reason))
    return Skipped(0, why, doc_id=shown)


def _bytes_of(path: Path, max_bytes: int) -> bytes:
    """The content of a regular file (a pipe or a device could block for ever)."""
    info = path.stat()
    if not stat.S_ISREG(info.st_mode):
        raise _Unreadable("not a regular file")
    if info.st_size > max_bytes:
        raise _Unreadable(f"larger than {max_bytes:,} bytes ({info.st_size:,})")
    return path.read_bytes()


def _decode(data: bytes) -> str:
    """UTF-8, or UTF-16 where a byte order mark says so; every line ends in a line feed alone."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif b"\0" in data:
        raise _Unreadable("binary, not text")
    else:
        encoding = "utf-8-sig"
    try:
        return _plain_lines(data.decode(encoding))
    except UnicodeDecodeError as error:
        raise _Unreadable(f"not valid {encoding.removesuffix('-sig').upper()} (byte {error.start + 1})") from None


def _plain_lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _plain(data: bytes) -> tuple[str, str]:
    return "", _decode(data)


def _markdown(data: bytes) -> tuple[str, str]:
    text = _decode(data)
    return markdown_title(text), text


def _rst(data: bytes) -> tuple[str, str]:
    return rst_text(_decode(data))


def _python(data: bytes) -> tuple[str, str]:
    """Source in the encoding it declares. A file that does not parse is still text."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        source = _plain_lines(data.decode(encoding))
    except (SyntaxError, UnicodeDecodeError, LookupError) as error:
        raise _Unreadable(f"not valid Python source: {error}") from None
    return _module_title(source), source


def _module_title(source: str) -> str:
    try:
        with warnings.catch_warnings():
            # Another's source: an invalid escape in it is not ours to warn about.
            warnings.simplefilter("ignore")
            docstring = ast.get_docstring(ast.parse(source))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
    return (docstring or "").strip().partition("\n")[0].strip()


_META_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset=[\"']?([a-z0-9_-]{1,40})", re.IGNORECASE)
_META_PROBE_BYTES = 2048
_WEB_ENCODING = re.compile(r"(?:ascii|iso8859|latin|cp\d|gb|big5|shift_jis|euc_|koi8|mac|iso2022|hz)")

_DROPPED = frozenset(["script", "style", "noscript", "template", "svg", "head", "iframe", "object", "nav"])
_SECTIONS = ["address", "article", "aside", "body", "details", "div", "footer", "form", "header", "main", "section"]
_TEXTS = ["blockquote", "figcaption", "fieldset", "figure", "hr", "p", "pre", "summary"]
_LISTS = ["dd", "dl", "dt", "ol", "table", "ul"]
_BLOCKS = [*_SECTIONS, *_TEXTS, *_LISTS]
_HEADINGS = {f"h{level}": f"\n\n{'#' * level} " for level in range(1, 7)}
_OPENING = {**dict.fromkeys(_BLOCKS, "\n\n"), **_HEADINGS, "li": "\n- ", "tr": "\n", "br": "\n", "td": " ", "th": " "}
_CLOSING = {**dict.fromkeys(_BLOCKS, "\n\n"), **dict.fromkeys(_HEADINGS, "\n\n"), "li": "\n"}
_SPACES = re.compile(r"[ \t\r\n\f\xa0]+")
_LINE_EDGES = re.compile(r" *\n *")
_MANY_LINES = re.compile(r"\n{3,}")
# Tags that have no content, or that the next of their kind closes.
_VOID = ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"]
_UNCLOSED = ["body", "colgroup", "dd", "dt", "head", "html", "li", "option", "p", "tbody", "td", "th", "thead", "tr"]
_UNNESTED = frozenset([*_VOID, *_UNCLOSED])
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]{0,20})")
# Stands for a preformatted text while the spaces around it are folded. HTML cannot hold it: parsers replace NUL.
_VERBATIM = "\0"


def _html(data: bytes) -> tuple[str, str]:
    declared = _META_CHARSET.search(data[:_META_PROBE_BYTES])
    if declared and not data.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        name = declared[1].decode("ascii").lower()
        try:
            # Only encodings of text: Python also knows rot13, punycode and zlib.
            if not name.startswith("utf-") and _WEB_ENCODING.match(codecs.lookup(name).name):
                return _html_text(data.decode(name))
        except (LookupError, UnicodeError) as error:
            raise _Unreadable(f"not in the character set it declares: {error}") from None
    return _html_text(_decode(data))


def _html_text(source: str) -> tuple[str, str]:
    """The title (`<title>`, else the first h1; may be empty) and the visible text of an HTML page.

    Headings become lines that start with `#`, list items lines that start with `-`, preformatted text stays
    as it is; scripts, styles and navigation go.
    """
    if _html_depth(source) > MAX_HTML_DEPTH:
        raise _Unreadable(f"its elements nest deeper than {MAX_HTML_DEPTH} levels")
    try:
        tree = LexborHTMLParser(source)
    except SelectolaxError as error:
        raise _Unreadable(f"not readable as HTML: {error}") from None
    heading = tree.css_first("title") or tree.css_first("h1")
    title = _SPACES.sub(" ", heading.text()).strip() if heading else ""
    flowing, kept = _flow(tree.body) if tree.body else ("", [])
    flowing = _MANY_LINES.sub("\n\n", _LINE_EDGES.sub("\n", re.sub(" {2,}", " ", flowing))).strip()
    first, *rest = flowing.split(_VERBATIM)
    return title, first + "".join(block + text for block, text in zip(kept, rest, strict=True))


def _html_depth(source: str) -> int:
    """How deep elements nest, from their tags alone; what a script or a style holds is no tag."""
    opened: list[str] = []
    counts: Counter[str] = Counter()
    deepest = 0
    raw = ""
    for closing, name in _TAG.findall(source):
        tag = name.lower()
        if raw or tag in _UNNESTED:
            raw = "" if closing and tag == raw else raw
        elif not closing:
            raw = tag if tag in ("script", "style") else ""
            opened.append(tag)
            counts[tag] += 1
            deepest = max(deepest, len(opened))
        # An end tag closes what was left open inside its element; one without an element does nothing.
        elif counts[tag]:
            while (inner := opened.pop()) != tag:
                counts[inner] -= 1
            counts[tag] -= 1
    return deepest


def _flow(root: LexborNode) -> tuple[str, list[str]]:
    """The text in reading order, and the preformatted pieces that its `_VERBATIM` marks stand for."""
    pieces: list[str] = []
    kept: list[str] = []
    preformatted = 0
    stack: list[tuple[LexborNode, bool]] = [(root, False)]
    while stack:
        node, leaving = stack.pop()
        tag = node.tag or ""
        if leaving:
            preformatted -= tag == "pre"
            pieces.append(_CLOSING.get(tag, ""))
        elif node.is_text_node:
            text = (node.text_content or "").replace(_VERBATIM, "")
            if preformatted:
                kept.append(_plain_lines(text))
            pieces.append(_VERBATIM if preformatted else _SPACES.sub(" ", text))
        elif node.is_element_node and tag not in _DROPPED:
            preformatted += tag == "pre"
            pieces.append(_OPENING.get(tag, ""))
            stack.append((node, True))
            stack.extend((child, False) for child in reversed(list(node.iter(include_text=True))))
    return "".join(pieces), kept


def _pdf(data: bytes) -> tuple[str, str]:
    """The text of a PDF's pages. Scanned pages hold none.

    Raises:
        MissingExtra: pypdf is not installed.
    """
    try:
        from pypdf import PdfReader
    except ImportError:
        raise MissingExtra("pypdf", "pdf", "Reading PDF files") from None
    try:
        reader = PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise _Unreadable("protected by a password")
        title = (reader.metadata.title if reader.metadata else None) or ""
        text = "\n\n".join(page.extract_text() for page in reader.pages)
    except _Unreadable:
        raise
    # A broken PDF makes pypdf raise its own errors and nearly any of Python's; all mean the same here.
    except Exception as error:  # noqa: BLE001
        raise _Unreadable(f"not a readable PDF: {type(error).__name__}: {error}"[:200]) from None
    return title.replace("\0", "").strip(), text.replace("\0", "")


_READERS: dict[str, _Reader] = {
    **dict.fromkeys(["", ".txt", ".text"], _plain),
    **dict.fromkeys([".md", ".markdown"], _markdown),
    **dict.fromkeys([".rst", ".rest"], _rst),
    **dict.fromkeys([".html", ".htm", ".xhtml"], _html),
    **dict.fromkeys([".py", ".pyi"], _python),
    ".pdf": _pdf,
}
