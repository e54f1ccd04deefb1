"""Documents to passages: the stretches of text that are embedded, retrieved and scored.

Cuts fall at the best boundary in the second half of a passage's length: in prose at a heading, a blank line, a
sentence's end, a line's end or a space; in code at a top-level definition, an inner definition, a blank line
or a line's end. Fenced code in prose is cut only where the second half is all code, and a `#` line in it is no
heading. Text without any of these (a minified file, a base64 blob) is cut at the length. Every step
looks at one passage's length of text, so the time is linear in the document whatever it holds.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence

from tribrid.corpus.markdown import HEADING_LINE, fenced
from tribrid.types import Document, Passage

# A text this little over the target stays whole: half a sentence alone in a passage helps nobody.
LAST_PASSAGE_STRETCH = 1.2

_SCRIPT_SUFFIXES = (".py", ".pyi", ".js", ".jsx", ".ts", ".tsx", ".rb", ".php", ".sh", ".sql", ".lua")
_COMPILED_SUFFIXES = (".c", ".h", ".cc", ".cpp", ".hpp", ".cs", ".go", ".java", ".kt", ".rs", ".scala", ".swift")
CODE_SUFFIXES = _SCRIPT_SUFFIXES + _COMPILED_SUFFIXES
_LOOKS_LIKE_CODE = re.compile(r"^[ \t]*(?:(?:async[ \t]+)?def|class)[ \t]+\w+[ \t]*[(:]", re.MULTILINE)
_CODE_PROBE_CHARS = 2000

# A definition with its decorators; their number is bounded so that the search is too.
_KEYWORD = r"(?:(?:async[ \t]+)?def|class|func|function|fn|pub|impl|struct|interface|type)"
_DEFINITION = rf"(?:@[^\n]*\n[ \t]*){{0,20}}{_KEYWORD}[ \t]"
_TOP_DEFINITION_START = re.compile(rf"^{_DEFINITION}", re.MULTILINE)
_INNER_DEFINITION_START = re.compile(rf"^[ \t]+{_DEFINITION}", re.MULTILINE)
_BLANK_LINE_END = re.compile(r"\n[ \t\r]*\n")
_SENTENCE_END = re.compile(r"[.!?…][\"')\]]{0,3}\s|[。！？]")  # noqa: RUF001 (full-width stops end sentences too)
_LINE_END = re.compile(r"\n")
_SPACE_END = re.compile(r"\s")

# Best first. True: the cut is where the match starts (it opens the next passage); False: where it ends.
_Boundary = tuple[re.Pattern[str], bool]
_PROSE: tuple[_Boundary, ...] = (
    (HEADING_LINE, True),
    (_BLANK_LINE_END, False),
    (_SENTENCE_END, False),
    (_LINE_END, False),
    (_SPACE_END, False),
)
_CODE: tuple[_Boundary, ...] = (
    (_TOP_DEFINITION_START, True),
    (_INNER_DEFINITION_START, True),
    (_BLANK_LINE_END, False),
    (_LINE_END, False),
    (_SPACE_END, False),
)


def split(document: Document, *, passage_chars: int, overlap_chars: int) -> list[Passage]:
    """The document's passages in order, ordinals from 0; at least one.

    `text == document.text[start:end]` exactly, every character that is not white space is in at least one
    passage, and none is longer than 1.2 * passage_chars. A document without text has one empty passage at
    0..0, which its title alone speaks for. The title on a passage is cut at passage_chars.

    Args:
        document: what to split.
        passage_chars: target length, characters.
        overlap_chars: characters a passage repeats from the one before, at most half of that one. Nothing is
            repeated across a heading or a definition: there a passage starts clean.
    """
    title = document.title[:passage_chars]
    text = document.text
    spans = [span for span in _spans(document, passage_chars, overlap_chars) if not text[slice(*span)].isspace()]
    return [
        Passage(document.doc_id, ordinal, start, end, title, text[start:end])
        for ordinal, (start, end) in enumerate(spans or [(0, 0)])
    ]


def _spans(document: Document, passage_chars: int, overlap_chars: int) -> list[tuple[int, int]]:
    text = document.text
    whole = int(passage_chars * LAST_PASSAGE_STRETCH)
    if len(text) <= whole:
        return [(0, len(text))]
    code = is_code(document)
    fences = [] if code else fenced(text)
    boundaries = _CODE if code else _PROSE
    spans, start = [], 0
    while len(text) - start > whole:
        end, clean = _cut(text, start + passage_chars // 2, start + passage_chars, boundaries, fences)
        spans.append((start, end))
        start = end if clean else _overlap_start(text, end, min(overlap_chars, (end - start) // 2))
    spans.append((start, len(text)))
    return spans


def is_code(document: Document) -> bool:
    """Whether a document is code, by its name or by what it says."""
    if document.doc_id.lower().endswith(CODE_SUFFIXES) or document.uri.lower().endswith(CODE_SUFFIXES):
        return True
    found = _LOOKS_LIKE_CODE.search(document.text, 0, _CODE_PROBE_CHARS)
    return found is not None and not fenced(document.text[: found.start()])


def _cut(
    text: str, low: int, high: int, boundaries: tuple[_Boundary, ...], fences: Sequence[tuple[int, int]]
) -> tuple[int, bool]:
    """The last cut in low..high at the best kind of boundary found there, and whether a part begins at it.

    Outside fenced code if there is a boundary of any kind; else in it, where nothing begins.
    """
    for inside in (False, True) if fences else (False,):
        for pattern, opens in boundaries:
            cut = 0 if inside and opens else _last(text, low, high, pattern, opens, [] if inside else fences)
            if cut > low:
                return cut, opens
    return high, False


def _last(
    text: str, low: int, high: int, pattern: re.Pattern[str], opens: bool, fences: Sequence[tuple[int, int]]
) -> int:
    """The last cut at a boundary in low..high that parts no fenced code; 0 if there is none."""
    cut = 0
    for found in pattern.finditer(text, low, high):
        position = found.start() if opens else found.end()
        cut = cut if _in_fence(fences, position) else position
    return cut


def _in_fence(fences: Sequence[tuple[int, int]], position: int) -> bool:
    """Whether a cut there would part fenced code. At its beginning and at its end it would not."""
    before = bisect_left(fences, (position, 0)) - 1
    return before >= 0 and fences[before][1] > position


def _overlap_start(text: str, end: int, overlap_chars: int) -> int:
    """Where the next passage starts: about overlap_chars before `end`, at a word's beginning if there is one."""
    low = end - overlap_chars
    found = _SPACE_END.search(text, low, end)
    return found.end() if found and found.end() < end else low
