"""EPUB to text: the chapters in reading order, each read as a web page is.

Pictures, notes that stand in no chapter, and the table of contents are left out. A book that its seller has locked is
refused.
"""

from __future__ import annotations

import posixpath
import time
from collections.abc import Iterator
from urllib.parse import unquote
from xml.etree import ElementTree

from tribrid.corpus.contents import Contents, Unreadable
from tribrid.corpus.packed import Parts, unzipped
from tribrid.corpus.titles import own_title
from tribrid.corpus.webpages import read_html

_CONTAINER, _LOCKS = "META-INF/container.xml", "META-INF/encryption.xml"
_PAGES = ("application/xhtml+xml", "text/html")
_NAV = "nav"
_REASONS_NAMED = 5


def read_epub(data: bytes, budget_s: float, max_bytes: int) -> Contents:
    """A book's chapters; its title is the one that it names.

    Args:
        budget_s: processor time after which no further chapter is begun.
        max_bytes: unpacked at most.

    Raises:
        Unreadable: it is none, is damaged or locked, or unpacks to more.
    """
    until = time.process_time() + budget_s
    try:
        with unzipped(data, max_bytes, "EPUB") as parts:
            package = _package(parts)
            root = ElementTree.fromstring(parts.read(package))
            chapters = [posixpath.normpath(posixpath.join(posixpath.dirname(package), name)) for name in _spine(root)]
            _refuse_locked(parts, chapters)
            texts, losses = _read(parts, chapters, until)
    except ElementTree.ParseError as error:
        raise Unreadable(f"not a readable EPUB: {error}") from None
    titles = (element.text or "" for element in root.iterfind(".//{*}title"))
    return Contents(own_title(next(titles, "")), "\n\n".join(texts), losses)


def _package(parts: Parts) -> str:
    container = ElementTree.fromstring(parts.read(_CONTAINER))
    found = container.find(".//{*}rootfile")
    name = found.get("full-path") if found is not None else None
    if not name:
        raise Unreadable("not a readable EPUB: it names no package")
    return name


def _spine(package: ElementTree.Element) -> Iterator[str]:
    """The chapters' parts in reading order, from the folder of the package."""
    pages = {
        item.get("id"): unquote(item.get("href", ""))
        for item in package.iterfind(".//{*}item")
        if item.get("media-type") in _PAGES and _NAV not in item.get("properties", "").split()
    }
    listed = (pages.get(item.get("idref")) for item in package.iterfind(".//{*}itemref"))
    yield from dict.fromkeys(filter(None, listed))


def _refuse_locked(parts: Parts, chapters: list[str]) -> None:
    """Fonts are often scrambled, and nobody reads them; a chapter is so in a book that needs its seller's key."""
    if _LOCKS not in parts:
        return
    locks = ElementTree.fromstring(parts.read(_LOCKS))
    locked = {unquote(element.get("URI", "")) for element in locks.iterfind(".//{*}CipherReference")}
    if locked.intersection(chapters):
        raise Unreadable("locked: its chapters are encrypted")


def _read(parts: Parts, chapters: list[str], until: float) -> tuple[list[str], tuple[str, ...]]:
    texts: list[str] = []
    faults: list[str] = []
    for number, name in enumerate(chapters):
        if texts and time.process_time() > until:
            faults.append(f"the chapters from {number + 1} on, of {len(chapters)}, were not read: the time was over")
            break
        if name not in parts:
            faults.append(f"{name} is missing")
            continue
        data = parts.read(name)
        try:
            page = read_html(data)
        except Unreadable as error:
            faults.append(f"{name} cannot be read: {error}")
        else:
            texts.append(page.text)
            faults += [f"{name}: {loss}" for loss in page.losses]
    return [text for text in texts if text.strip()], tuple(faults[:_REASONS_NAMED])
