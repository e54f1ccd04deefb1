"""What a document's text names of other documents: links of Markdown, imports and calls of code.

Names are kept as they are written, told from the document's own place. Which documents they are is looked up when all
are known (`retrieval/graph.py`), so a document may name one that comes later, or never.
"""

from __future__ import annotations

import ast
import posixpath
import re
import warnings
from collections.abc import Iterator, Sequence
from urllib.parse import unquote, urljoin

from tribrid.types import Document
from tribrid.types.edges import Mention

MOST = 200
"""Mentions of one document that are kept: a page that links to everything says nothing of what belongs together."""
# As CommonMark writes them: words over lines, an address with spaces in <>, a title in any of its quotes.
_TARGET = r"(?:<([^<>\n]{1,300})>|([^\s()<>]{1,300}))"
_TITLE = r"(?:\s{1,20}(?:\"[^\"]{0,300}\"|'[^']{0,300}'|\([^()]{0,300}\)))?"
_LINK = re.compile(rf"(?<!!)\[[^\[\]]{{1,300}}\]\(\s{{0,20}}{_TARGET}{_TITLE}\s{{0,20}}\)")
_LINK_TARGET = re.compile(rf"^ {{0,3}}\[[^\[\]\n]{{1,100}}\]:[ \t]{{1,20}}{_TARGET}", re.MULTILINE)
_SCRIPT_IMPORT = re.compile(
    r"""^[ \t]*(?:import|export)\b[^'"\n;]{0,300}['"](\.[^'"\n]{1,300})['"]|\brequire\(['"](\.[^'"\n]{1,300})['"]\)""",
    re.MULTILINE,
)
_SCRIPTS = (".js", ".jsx", ".ts", ".tsx", ".mjs", ".cjs", ".vue", ".svelte")
_PYTHON = (".py", ".pyi")
_OWN = ("self", "cls")
_WEB = ("http://", "https://")


def mentions_of(document: Document) -> list[Mention]:
    """What a document names, each once, in the order of the text; at most MOST."""
    path, _, part = document.doc_id.partition(":")
    if path.lower().endswith(_PYTHON):
        found = _of_python(document.text, path, part)
    elif path.lower().endswith(_SCRIPTS):
        found = _of_script(document.text, path)
    else:
        found = _links(document)
    distinct = dict.fromkeys(found)
    return list(distinct)[:MOST]


def _links(document: Document) -> Iterator[Mention]:
    """Those of Markdown, and those that `links` of the metadata names, as a reader of web pages does."""
    listed = document.metadata.get("links")
    written = [link for link in listed if isinstance(link, str)] if isinstance(listed, list) else []
    written += [link[1] or link[2] for pattern in (_LINK, _LINK_TARGET) for link in pattern.finditer(document.text)]
    for link in written:
        if (target := _address(link, document)) not in ("", document.doc_id, document.uri):
            yield Mention("link", target)


def _address(written: str, document: Document) -> str:
    """Where a link leads: an address, or a path from where doc_ids begin; empty where it stays on its page."""
    if "://" in written:
        return written
    page, mark, part = unquote(written).partition("#")
    if not page:
        return ""
    if document.uri.startswith(_WEB):
        return urljoin(document.uri, written)
    folder = posixpath.dirname(document.doc_id.partition("#")[0])
    path = posixpath.normpath(posixpath.join(folder, page)) if not page.startswith("/") else page.lstrip("/")
    return f"{path}{mark}{part}"


def _of_script(text: str, path: str) -> Iterator[Mention]:
    for found in _SCRIPT_IMPORT.finditer(text):
        yield Mention("import", posixpath.normpath(posixpath.join(posixpath.dirname(path), found[1] or found[2])))


def _of_python(text: str, path: str, part: str) -> Iterator[Mention]:
    try:
        with warnings.catch_warnings():
            # Another's source: an invalid escape in it is not ours to warn about.
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return  # of another version, or a stretch of a file: it names nothing that could be relied on
    scope = part.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from (Mention("import", name) for name in _imported(node, path))
        elif isinstance(node, ast.Call):
            yield from _called([node.func], scope)
        elif isinstance(node, ast.ClassDef):
            yield from _called(node.bases, scope)


def _called(called: Sequence[ast.expr], scope: str) -> Iterator[Mention]:
    names = (_dotted(one, scope) for one in called)
    return (Mention("call", name) for name in names if name)


def _imported(node: ast.Import | ast.ImportFrom, path: str) -> list[str]:
    module = f"{_module(node, path)}." if isinstance(node, ast.ImportFrom) else ""
    return [f"{module}{alias.name}".strip(".") for alias in node.names]


def _module(node: ast.ImportFrom, path: str) -> str:
    """The module that is imported from, dotted from where doc_ids begin."""
    if not node.level:
        return node.module or ""
    folders = posixpath.dirname(path).split("/")
    return ".".join([*folders[: len(folders) - node.level + 1], *([node.module] if node.module else [])])


def _dotted(called: ast.expr, scope: str) -> str:
    """What is called: a name, or the last two of several; of one's own class, by the name of the class."""
    if isinstance(called, ast.Name):
        return called.id
    if not isinstance(called, ast.Attribute):
        return ""
    if not isinstance(called.value, ast.Name):
        return f".{called.attr}"
    owner = called.value.id
    return f"{scope if owner in _OWN else owner}.{called.attr}"
