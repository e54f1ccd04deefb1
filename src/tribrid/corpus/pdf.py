"""PDF to text, page by page: one that cannot be read, or holds no text, is named, and the others are kept.

Scanned pages are not recognised. Words that were broken at a line's end are joined again. A title that a program left
in the metadata (a file's name, "untitled") is none.
"""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from tribrid.corpus.contents import SOFT_HYPHEN, Contents, Unreadable, plain_lines
from tribrid.corpus.titles import own_title
from tribrid.errors import MissingExtra

PAGE_BREAK = "\f"
"""Before each page but the first: what says on which page of the text a passage stands."""
_NAMED_PAGES = 10
_FAULT_CHARS = 200

# The length bounds the search, and no word is longer.
_WORD_CHARS = 40
_LINE_END_HYPHEN = re.compile(
    rf"(?<=[^\W\d_])([-\u2010{SOFT_HYPHEN}])[ \t]*\n{{1,2}}({PAGE_BREAK}?)[ \t]*([^\W\d_]\w{{0,{_WORD_CHARS}}})"
)
_LAST_WORD = re.compile(r"\w+\Z")
_HYPHENATED = re.compile(rf"\b\w{{1,{_WORD_CHARS}}}[-\u2010]\w{{1,{_WORD_CHARS}}}")
# What follows the hyphen in "short- and long-term".
_AFTER_SUSPENSION = frozenset(["and", "or", "nor", "to", "und", "oder", "bis", "et", "ou", "y", "o", "e"])


def read_pdf(data: bytes, budget_s: float) -> Contents:
    """The title in the metadata and the text of a PDF's pages.

    Args:
        budget_s: processor time after which no further page is begun.

    Raises:
        Unreadable: a password protects it, or not one page can be read.
        MissingExtra: pypdf is not installed.
    """
    try:
        from pypdf import PdfReader
    except ImportError:
        raise MissingExtra("pypdf", "pdf", "Reading PDF files") from None
    until = time.process_time() + budget_s
    with _as_unreadable("not a readable PDF: "):
        reader = PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise Unreadable("protected by a password")
        count = len(reader.pages)
        title = str((reader.metadata.title if reader.metadata else None) or "").strip()
    texts, faults = _pages(lambda number: reader.pages[number].extract_text(), count, until)
    text = _rejoined(f"\n\n{PAGE_BREAK}".join(page.replace(PAGE_BREAK, " ") for page in texts))
    return Contents(own_title(title), text, tuple(_losses(texts, faults, count)))


def _pages(text_of: Callable[[int], str], count: int, until: float) -> tuple[list[str], dict[int, str]]:
    """The pages' texts, at least of the first and until the time is over; and why some cannot be read."""
    texts: list[str] = []
    faults: dict[int, str] = {}
    while len(texts) < count and (not texts or time.process_time() < until):
        try:
            with _as_unreadable():
                texts.append(plain_lines(text_of(len(texts))))
        except Unreadable as error:
            faults[len(texts)] = str(error)
            texts.append("")
    if faults and len(faults) == len(texts):
        raise Unreadable(f"not a readable PDF: {faults[0]}")
    return texts, faults


@contextmanager
def _as_unreadable(opening: str = "") -> Iterator[None]:
    """A broken PDF makes pypdf raise its own errors and nearly any of Python's; all mean the same here."""
    try:
        yield
    except (Unreadable, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001
        raise Unreadable(f"{opening}{type(error).__name__}: {error}"[:_FAULT_CHARS]) from None


def _losses(texts: Sequence[str], faults: Mapping[int, str], count: int) -> Iterator[str]:
    for reason in dict.fromkeys(faults.values()):
        pages = [number + 1 for number, given in faults.items() if given == reason]
        named = ", ".join(map(str, pages[:_NAMED_PAGES])) + (", …" if len(pages) > _NAMED_PAGES else "")
        yield f"page{'s' if len(pages) > 1 else ''} {named} of {count:,} cannot be read: {reason}"
    empty = sum(not text.strip() for text in texts) - len(faults)
    if 0 < empty < count:
        yield f"{empty:,} of {count:,} pages hold no text"
    if len(texts) < count:
        yield f"the pages from {len(texts) + 1:,} on, of {count:,}, were not read: the time for a file was over"


def _rejoined(text: str) -> str:
    """The text with the words that a line's end broke in one piece.

    Where the same two parts stand in the text with a hyphen and on one line, the hyphen was the author's.
    """
    hyphenated = set(_HYPHENATED.findall(text.lower()))

    def joined(found: re.Match[str]) -> str:
        mark, page, after = found[1], found[2], found[3]
        before = _LAST_WORD.search(text, max(0, found.start() - _WORD_CHARS), found.start())
        if mark == SOFT_HYPHEN:
            return after + page
        if not after[0].islower() or after in _AFTER_SUSPENSION:
            return found[0]
        kept = mark if before and f"{before[0]}{mark}{after}".lower() in hyphenated else ""
        return kept + after + page

    return _LINE_END_HYPHEN.sub(joined, text)
