"""Queries that a corpus asks of itself: pairs to start with when there are no logs and no judgments.

    title → body     heading → section     docstring → function     FAQ question → answer     link → what it leads to

A writer put the short text over the long one to say what it answers, so the pair is true; but the query stands
in the document word for word, as no user's query does, and a model must not learn that this is what relevance
looks like. So the weights are low; the positive is the passage that holds most of the *answer*, which in a longer
section or function is not the one that holds the query; and a pair is trivial where every leg ranks the document
first and that passage says the query verbatim. `mine` takes the others first and fills what room is left with
trivial ones at half weight: on prose the few others are mostly odd (an ambiguous title, a garbled one), and a
model trained on those alone ranked worse than one that also saw what retrieval gets right.

A link's text is the exception: another document's writer chose the words, so they need not stand in the answer.
A document without a title has its first sentence stand for it, at the least weight of all.

A query that two documents ask is ambiguous ("Introduction", "Return the name") and is dropped. Documents are told
apart by the shape of their text; files of every format have their headings as `#` lines by the time they are here.
"""

from __future__ import annotations

import ast
import hashlib
import posixpath
import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import zip_longest
from urllib.parse import unquote

from tribrid.corpus.code import first_sentence
from tribrid.corpus.lexical import normalise
from tribrid.mining.labels import Group, Positive
from tribrid.types import Document, Source

FAQ, LINK, DOCSTRING, HEADING, TITLE, LEAD = "faq", "link", "docstring", "heading", "title", "lead"
WEIGHTS = {FAQ: 0.2, LINK: 0.15, DOCSTRING: 0.15, HEADING: 0.1, TITLE: 0.1, LEAD: 0.05}
"""By how much the query is like one that somebody would ask; below any click with an examined alternative."""
REASONS = {
    FAQ: "the question that this answer follows",
    LINK: "the text of a link that leads to this document",
    DOCSTRING: "the first sentence of this function's docstring",
    HEADING: "the heading of this section",
    TITLE: "the title of this document",
    LEAD: "the first sentence of this document, which has no title",
}

FEWEST_WORDS = {FAQ: 4, LINK: 2, DOCSTRING: 3, HEADING: 3, TITLE: 3, LEAD: 3}
MOST_WORDS = 30
SHORTEST_ANSWER_CHARS = 80
MOST_PER_DOCUMENT = 50
LONGEST_LINE_CHARS = 300

_WORD = re.compile(r"[^\W\d_]{2,}|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_FENCE = re.compile(r" {0,3}(```|~~~)")
_HEADING_MARKS = re.compile(r" {0,3}#{1,6}[ \t]+")
_QUESTION_ENDS = ("?", "？")  # noqa: RUF001 (the full-width question mark asks too)
_QUESTION_MARK = re.compile(r"(?:(?:q|question)\s?\d{0,4}\s?[:.)]|\d{1,4}[.)])[ \t*_]*", re.I)
_ANSWER_MARK = re.compile(r"\s*\**(?:a|answer)\s*[:.)]\**\s*", re.I)
_SENTENCE_END = re.compile(r"(?<![.\s]\w)[.!?](?=\s)|[。！？]")  # noqa: RUF001 (full-width stops end sentences too)
_LINK = re.compile(
    r"(?<!!)\[([^\[\]\n]{3,150})\]\(<?([^\s()<>#]{1,300})(?:#[^\s()<>]{0,300})?>?(?: \"[^\"\n]{0,300}\")?\)"
)
_POINTS = re.compile(
    r"(?:(?:click|find|full|here|in|learn|link|more|next|of|on|out|page|read|see|that|the|this|to)\b\W*)+", re.I
)
"""A link's text of nothing but these points somewhere and asks nothing."""
_DEFINITION = re.compile(r"^[ \t]*(?:async[ \t]+def|def|class)[ \t]+\w+[ \t]*[(:]", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Pseudo:
    """A query a document asks of itself; `answer` is where it is answered (characters), None for all over it."""

    query: str
    doc_id: str
    answer: tuple[int, int] | None
    kind: str

    @property
    def key(self) -> str:
        return hashlib.sha256(normalise(self.query).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def heuristic_groups(documents: Iterable[Document]) -> tuple[list[Group], int]:
    """One group for each query that exactly one document asks, and how many were dropped as ambiguous.

    Documents take turns, the best kind of query first, so that one long file cannot fill the budget. Within a
    turn the order is a hash of the query: a fixed random sample of the corpus.
    """
    found: dict[str, tuple[int, Pseudo]] = {}
    ambiguous: set[str] = set()
    owner: dict[str, str] = {}
    links: list[tuple[int, Pseudo]] = []

    def add(turn: int, pseudo: Pseudo) -> None:
        other = found.setdefault(pseudo.key, (turn, pseudo))
        if other[1].doc_id != pseudo.doc_id:
            ambiguous.add(pseudo.key)
        found[pseudo.key] = min(other, (turn, pseudo), key=lambda seen: (-WEIGHTS[seen[1].kind], seen[0]))

    for document in documents:
        owner.update(dict.fromkeys(filter(None, (document.uri, document.doc_id)), document.doc_id))
        links += enumerate(_in_turn(link_queries(document)))
        for turn, pseudo in enumerate(_in_turn(pseudo_queries(document))):
            add(turn, pseudo)
    for turn, link in links:
        if link.doc_id in owner:
            add(turn, replace(link, doc_id=owner[link.doc_id]))
    kept = sorted(
        ((turn, -WEIGHTS[pseudo.kind], key) for key, (turn, pseudo) in found.items() if key not in ambiguous),
    )
    return [_group(key, found[key][1]) for _, _, key in kept], len(ambiguous)


def _in_turn(pseudos: Iterable[Pseudo]) -> list[Pseudo]:
    return sorted(pseudos, key=lambda pseudo: (-WEIGHTS[pseudo.kind], pseudo.key))[:MOST_PER_DOCUMENT]


def _group(key: str, pseudo: Pseudo) -> Group:
    weight = WEIGHTS[pseudo.kind]
    evidence = f"{pseudo.kind}:{pseudo.doc_id}"
    positive = Positive(pseudo.doc_id, weight, weight, REASONS[pseudo.kind], evidence, pseudo.answer)
    return Group(f"{pseudo.kind}-{key}", pseudo.query, Source.HEURISTICS, (positive,))


def pseudo_queries(document: Document) -> Iterator[Pseudo]:
    """Every query of the four kinds that a document asks; empty for a document without structure."""
    title = " ".join(document.title.split())
    text = document.text
    kind = FAQ if title.endswith(_QUESTION_ENDS) else TITLE
    if _sensible(title, kind) and len(text.strip()) >= SHORTEST_ANSWER_CHARS:
        yield Pseudo(title, document.doc_id, None, kind)
    tree = _python(text)
    pairs = list(_docstrings(tree, text) if tree is not None else _sections(text))
    if not title and not pairs and not _DEFINITION.search(text):
        pairs = [_lead(text)]
    for query, start, end, kind in pairs:
        if _sensible(query, kind) and len(text[start:end].strip()) >= SHORTEST_ANSWER_CHARS:
            yield Pseudo(query, document.doc_id, (start, end), kind)


def link_queries(document: Document) -> Iterator[Pseudo]:
    """The texts of a document's Markdown links; `doc_id` is the address, which may lead out of the corpus."""
    folder = posixpath.dirname(document.doc_id)
    for link in _LINK.finditer(document.text):
        words = " ".join(link[1].split()).strip(" *_`")
        target = link[2] if "://" in link[2] else posixpath.normpath(posixpath.join(folder, unquote(link[2])))
        if not _POINTS.fullmatch(words) and target not in (document.doc_id, document.uri) and _sensible(words, LINK):
            yield Pseudo(words, target, None, LINK)


def _sensible(query: str, kind: str) -> bool:
    """Neither a file name nor a single word, which ask nothing, nor a paragraph, which nobody types."""
    spoken = " " in query or not query.isascii()
    return spoken and FEWEST_WORDS[kind] <= len(_WORD.findall(query)) <= MOST_WORDS


def _lead(text: str) -> tuple[str, int, int, str]:
    """The first sentence → the text after it."""
    start = len(text) - len(text.lstrip())
    end = _SENTENCE_END.search(text, start, start + LONGEST_LINE_CHARS)
    after = end.end() if end else start
    return " ".join(text[start:after].split()).rstrip(" ."), after, len(text), LEAD


def _python(text: str) -> ast.Module | None:
    """The parsed source, or None where the text is not Python that defines something."""
    if not _DEFINITION.search(text):
        return None
    try:
        with warnings.catch_warnings():
            # Another's source: an invalid escape in it is not ours to warn about.
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _docstrings(tree: ast.Module, text: str) -> Iterator[tuple[str, int, int, str]]:
    """First docstring sentence → the code that follows the docstring."""
    starts = [0, *(found.end() for found in re.finditer(r"\r\n|\r|\n", text)), len(text)]
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        docstring = ast.get_docstring(node)
        if docstring:
            after_docstring = starts[node.body[0].end_lineno or 0]
            yield first_sentence(docstring), after_docstring, starts[node.end_lineno or 0], DOCSTRING


@dataclass(frozen=True, slots=True)
class _Head:
    """A line that heads what follows it, and where that line starts and ends."""

    start: int
    end: int
    query: str
    kind: str


def _sections(text: str) -> Iterator[tuple[str, int, int, str]]:
    """Headings and questions, each with the text up to the next of them."""
    heads = list(_heads(text))
    for head, after in zip_longest(heads, heads[1:]):
        start, end = head.end, after.start if after is not None else len(text)
        mark = _ANSWER_MARK.match(text, start, end) if head.kind == FAQ else None
        yield head.query, mark.end() if mark else start, end, head.kind


def _heads(text: str) -> Iterator[_Head]:
    """Headings and questions outside code fences."""
    fenced, opens, start = "", True, 0
    for raw in text.splitlines(keepends=True):
        line = raw.rstrip()
        fence = _FENCE.match(line)
        head: tuple[str, str] | None = None
        if fence and fenced in ("", fence[1]):
            fenced = "" if fenced else fence[1]
        elif not fenced and len(line) <= LONGEST_LINE_CHARS:
            head = _head(line, opens)
        if head:
            yield _Head(start, start + len(raw), *head)
        opens = not line.strip() or head is not None
        start += len(raw)


def _head(line: str, opens: bool) -> tuple[str, str] | None:
    """The heading or question that a line is. A question must open its paragraph: in mid-text it is rhetoric."""
    marks = _HEADING_MARKS.match(line)
    words = line[marks.end() :].rstrip(" \t#") if marks is not None else line
    words = words.strip(" \t*_>-")
    if words.endswith(_QUESTION_ENDS) and (marks is not None or opens):
        number = _QUESTION_MARK.match(words)
        return words[number.end() if number else 0 :].strip(" \t*_"), FAQ
    return (words, HEADING) if marks is not None else None
