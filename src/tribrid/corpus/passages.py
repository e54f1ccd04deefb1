"""Documents to passages: the stretches of text that are embedded, retrieved and scored.

Cuts fall at the best boundary in the second half of a passage's length: in prose at a heading, a blank line, a
sentence's end, a line's end or a space; in code at a top-level definition, an inner definition, a blank line
or a line's end. Text without any of these (a minified file, a base64 blob) is cut at the length. Every step
looks at one passage's length of text, so the time is linear in the document whatever it holds.
"""

from __future__ import annotations

import re

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
_HEADING_START = re.compile(r"^#{1,6}[ \t]+\S", re.MULTILINE)
_TOP_DEFINITION_START = re.compile(rf"^{_DEFINITION}", re.MULTILINE)
_INNER_DEFINITION_START = re.compile(rf"^[ \t]+{_DEFINITION}", re.MULTILINE)
_BLANK_LINE_END = re.compile(r"\n[ \t\r]*\n")
_SENTENCE_END = re.compile(r"[.!?…][\"')\]]{0,3}\s|[。！？]")  # noqa: RUF001 (full-width stops end sentences too)
_LINE_END = re.compile(r"\n")
_SPACE_END = re.compile(r"\s")

# Best first. True: the cut is where the match starts (it opens the next passage); False: where it ends.
_Boundary = tuple[re.Pattern[str], bool]
_PROSE: tuple[_Boundary, ...] = (
    (_HEADING_START, True),
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
    boundaries = _CODE if _is_code(document) else _PROSE
    spans, start = [], 0
    while len(text) - start > whole:
        end, clean = _cut(text, start + passage_chars // 2, start + passage_chars, boundaries)
        spans.append((start, end))
        start = end if clean else _overlap_start(text, end, min(overlap_chars, (end - start) // 2))
    spans.append((start, len(text)))
    return spans


def _is_code(document: Document) -> bool:
    if document.doc_id.lower().endswith(CODE_SUFFIXES) or document.uri.lower().endswith(CODE_SUFFIXES):
        return True
    return _LOOKS_LIKE_CODE.search(document.text, 0, _CODE_PROBE_CHARS) is not None


def _cut(text: str, low: int, high: int, boundaries: tuple[_Boundary, ...]) -> tuple[int, bool]:
    """The last cut in low..high at the best kind of boundary found there, and whether a part begins at it."""
    for pattern, opens in boundaries:
        cut = 0
        for found in pattern.finditer(text, low, high):
            cut = found.start() if opens else found.end()
        if cut > low:
            return cut, opens
    return high, False


def _overlap_start(text: str, end: int, overlap_chars: int) -> int:
    """Where the next passage starts: about overlap_chars before `end`, at a word's beginning if there is one."""
    low = end - overlap_chars
    found = _SPACE_END.search(text, low, end)
    return found.end() if found and found.end() < end else low
