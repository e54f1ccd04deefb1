"""Word documents and Jupyter notebooks to text in which a heading is a `#` line and code is fenced.

Of a Word document the text as it stands: no headers, footers, notes, comments and pictures. Of a notebook the cells,
and how many of them have outputs that are not read: logs, tables and pictures, which change with every run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree import ElementTree

from tribrid.corpus.charsets import decode
from tribrid.corpus.contents import Contents, Unreadable
from tribrid.corpus.markdown import fence, markdown_title
from tribrid.corpus.packed import unzipped
from tribrid.corpus.repeated import Repeated

_WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
# What a style is called in every language of Word; its id is translated.
_HEADING_STYLE = re.compile(r"heading ([1-6])|title", re.IGNORECASE)
_WRITTEN = {
    f"{_WORD}p": "\n\n",
    f"{_WORD}tab": "\t",
    f"{_WORD}br": "\n",
    f"{_WORD}cr": "\n",
    f"{_WORD}noBreakHyphen": "-",
}
_MANY_LINES = re.compile(r"[ \t]*\n[ \t]*\n\s*")


def read_docx(data: bytes, max_bytes: int) -> Contents:
    """A Word document's paragraphs; its title is the first heading.

    Args:
        max_bytes: unpacked at most.

    Raises:
        Unreadable: it is none, or damaged, or protected by a password, or unpacks to more.
    """
    try:
        with unzipped(data, max_bytes, "Word document") as parts:
            styles = _heading_marks(parts.read("word/styles.xml")) if "word/styles.xml" in parts else {}
            document = ElementTree.fromstring(parts.read("word/document.xml"))
    except ElementTree.ParseError as error:
        raise Unreadable(f"not a readable Word document: {error}") from None
    text = _MANY_LINES.sub("\n\n", "".join(_written(document, styles))).strip()
    return Contents(markdown_title(text), text)


def _heading_marks(styles: bytes) -> dict[str, str]:
    """By the id of a style, the mark of the headings that have it."""
    marks: dict[str, str] = {}
    for style in ElementTree.fromstring(styles).iter(f"{_WORD}style"):
        name = style.find(f"{_WORD}name")
        found = _HEADING_STYLE.fullmatch(name.get(f"{_WORD}val", "") if name is not None else "")
        if found:
            marks[style.get(f"{_WORD}styleId", "")] = "#" * int(found[1] or 1) + " "
    return marks


def _written(document: ElementTree.Element, styles: Mapping[str, str]) -> Iterator[str]:
    stack = [document]
    while stack:
        element = stack.pop()
        # The same words once more, for programs that cannot show them as they are.
        if element.tag == _FALLBACK:
            continue
        yield _WRITTEN.get(element.tag, "")
        if element.tag == f"{_WORD}t":
            yield element.text or ""
        elif element.tag == f"{_WORD}pStyle":
            yield styles.get(element.get(f"{_WORD}val", ""), "")
        # Tab stops of a paragraph's properties are no tabs.
        stack.extend(child for child in reversed(element) if child.tag != f"{_WORD}tabs")


def read_notebook(data: bytes) -> Contents:
    """A notebook's cells, code in fences; its title is the first heading.

    Raises:
        Unreadable: it is no notebook.
    """
    source, losses = decode(data)
    repeated = Repeated()
    try:
        notebook = json.loads(source, object_pairs_hook=repeated)
        found = [cell for sheet in notebook.get("worksheets", [notebook]) for cell in sheet["cells"]]
        cells, outputs = [_cell(cell) for cell in found], sum(bool(cell.get("outputs")) for cell in found)
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise Unreadable(f"not a readable notebook: {type(error).__name__}: {error}") from None
    text = "\n\n".join(filter(None, cells))
    unread = f"the outputs of {outputs:,} cell{'s' if outputs > 1 else ''} are not read" if outputs else None
    return Contents(markdown_title(text), text, (*losses, *filter(None, (repeated.last_read, unread))))


def _cell(cell: Mapping[str, Any]) -> str:
    source = cell.get("source", cell.get("input", ""))
    text = (source if isinstance(source, str) else "".join(source)).strip("\n")
    marks = fence(text)
    return f"{marks}\n{text}\n{marks}" if text.strip() and cell["cell_type"] == "code" else text
