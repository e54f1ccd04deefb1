"""Where a passage stands in its document: under which headings, on which page and lines; and which of its words a query
asks for. Read from the document's text when it is shown, so that nothing has to be indexed again for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from string import ascii_lowercase
from typing import NamedTuple

from tribrid.corpus.markdown import fenced
from tribrid.corpus.passages import is_code
from tribrid.corpus.pdf import PAGE_BREAK
from tribrid.corpus.readers import ending, keeps_lines
from tribrid.corpus.stemming import beginnings
from tribrid.corpus.terms import FIRST_UNSPACED, query_terms, terms
from tribrid.types import Document, Passage

MAX_HEADING_CHARS = 200
_HEADING = re.compile(r"(#{1,6})[ \t]+(\S[^\n]*)")
_LEVELS = 7
_PLAIN = r"[A-Za-z][a-z]{0,99}(?!\w)"
"""A word that is one term, and that begins as its term does: no identifier of parts, and none counted by its hash."""
_LETTERS = frozenset(ascii_lowercase)
_PAIR = 2


class Location(NamedTuple):
    """Where a passage stands.

    Attributes:
        headings: those it stands under, the outermost first, with the one that it begins with.
        page: of a PDF, that on which it begins, from 1.
        lines: its first and last line, from 1, where the text has the lines of the file.
    """

    headings: tuple[str, ...] = ()
    page: int | None = None
    lines: tuple[int, int] | None = None


NOWHERE = Location()


def locate(document: Document | None, passage: Passage) -> Location:
    """Where the passage stands; NOWHERE if the document has another text by now."""
    if document is None or document.text[passage.start : passage.end] != passage.text or not passage.text:
        return NOWHERE
    text, form = document.text, ending(Path(document.uri or document.doc_id))
    first = passage.end - len(passage.text.lstrip())
    last = passage.start + len(passage.text.rstrip())
    if form.startswith(".pdf"):
        breaks = text.count(PAGE_BREAK, 0, first)
        return Location((), breaks + 1 if PAGE_BREAK in text else None)
    lines = (1 + text.count("\n", 0, first), 1 + text.count("\n", 0, last)) if keeps_lines(form) else None
    return Location(() if is_code(document) else _headings(text, first), None, lines)


def _headings(text: str, position: int) -> tuple[str, ...]:
    """The headings that a position stands under; of its own line, too."""
    end = text.find("\n", position)
    head = text[: len(text) if end < 0 else end]
    fences = fenced(head) if "```" in head or "~~~" in head else []
    found: list[str] = []
    above = _LEVELS
    for start in _marked_lines(head):
        heading = _HEADING.match(head, start)
        if heading is None or len(heading[1]) >= above or any(first < start < last for first, last in fences):
            continue
        above = len(heading[1])
        found.insert(0, heading[2].strip().rstrip("#").strip()[:MAX_HEADING_CHARS])
        if above == 1:
            break
    return tuple(found)


def _marked_lines(text: str) -> Iterator[int]:
    """Where the lines start that a `#` begins, the last one first."""
    at = len(text)
    while (at := text.rfind("\n#", 0, at)) >= 0:
        yield at + 1
    if text.startswith("#"):
        yield 0


def highlights(text: str, query: str) -> list[tuple[int, int]]:
    """The words of a text that BM25 finds for the query, as stretches [start, end) in code points, in order."""
    wanted, some_words = _sought(query)
    if not wanted:
        return []
    asked: dict[str, tuple[tuple[int, int], ...]] = {}
    found: list[tuple[int, int]] = []
    for match in some_words.finditer(text):
        word = match[0]
        if word not in asked:
            asked[word] = () if wanted.isdisjoint(_terms(word)) else tuple(_asked_for(word, wanted))
        for start, end in asked[word]:
            start, end = start + match.start(), end + match.start()
            if found and start < found[-1][1]:
                start = found.pop()[0]
            found.append((start, end))
    return found


@lru_cache(maxsize=256)
def _sought(query: str) -> tuple[frozenset[str], re.Pattern[str]]:
    """A query's terms; and all words but those that are plain and begin otherwise: every search comes by here, and so
    it looks at few of them.
    """
    wanted = frozenset(query_terms(query))
    begins = sorted({begin for term in wanted for begin in beginnings(term) if _LETTERS.issuperset(begin)})
    begin = f"(?=(?i:{'|'.join(begins)}))" if begins else "(?!)"
    return wanted, re.compile(rf"(?<!\w)(?:{begin}|(?!{_PLAIN}))\w+")


def _asked_for(word: str, wanted: frozenset[str]) -> Iterator[tuple[int, int]]:
    """A word that is asked for; of a script without spaces, the pairs of characters that are."""
    if max(word) < FIRST_UNSPACED or len(word) <= _PAIR:
        yield 0, len(word)
        return
    for at in range(len(word) - 1):
        if not wanted.isdisjoint(_terms(word[at : at + _PAIR])):
            yield at, at + _PAIR


@lru_cache(maxsize=65_536)
def _terms(word: str) -> frozenset[str]:
    return frozenset(terms(word))
