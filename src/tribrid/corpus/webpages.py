"""HTML to readable text: what a visitor sees, headings as `#` lines, without scripts, styles and navigation."""

from __future__ import annotations

import re
from collections import Counter
from itertools import chain

from selectolax.lexbor import LexborHTMLParser, LexborNode, SelectolaxError

from tribrid.corpus.charsets import decode
from tribrid.corpus.contents import Contents, Unreadable, plain_lines
from tribrid.corpus.jsonlines import storable
from tribrid.corpus.markdown import HEADING_LINE, fence
from tribrid.corpus.titles import own_title

# As in browsers. The parser's time grows with the square of the depth: 400,000 open divs take it minutes.
MAX_HTML_DEPTH = 512
MAX_LINKS, MAX_LINK_CHARS = 200, 1000
# A page that sends its visitors on has no more to say than this, characters.
MAX_STUB_CHARS = 1000

# What a browser looks for before it decodes: the first declaration that stands in no comment.
_DECLARED = re.compile(
    rb"<!--.*?-->|<(?:meta\b[^>]{0,500}?[\s;\"']charset|\?xml\b[^>]{0,200}?\sencoding)\s*=\s*[\"']?\s*([^\s\"'/>;]{1,40})",
    re.IGNORECASE | re.DOTALL,
)
_PROBE_BYTES = 4096
_SENT_ON = re.compile(r"^\s*[\d.]*\s*[;,]\s*(?:url\s*=)?\s*\S", re.IGNORECASE)

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


def read_html(data: bytes) -> Contents:
    """The title and the visible text of an HTML page.

    Raises:
        Unreadable: it nests too deep, is in a character set that is not read, or only leads to another page.
    """
    declared = next((found[1] for found in _DECLARED.finditer(data[:_PROBE_BYTES]) if found[1]), None)
    source, losses = decode(data, declared.decode("ascii", "replace") if declared else None)
    title, text = html_text(source)
    return Contents(title, text, losses, _links(source))


def _links(source: str) -> tuple[str, ...]:
    """Where the page leads from its own text, each once; navigation leads everywhere and says nothing of this page."""
    tree = LexborHTMLParser(source)
    tree.strip_tags(["nav", "header", "footer", "template"])
    found = (storable((node.attributes["href"] or "").strip()) for node in tree.css("a[href]"))
    kept = (link for link in found if link and len(link) <= MAX_LINK_CHARS and not link.startswith("#"))
    return tuple(dict.fromkeys(kept))[:MAX_LINKS]


def html_text(source: str) -> tuple[str, str]:
    """The title (`<title>` unless a program left it there, else the first h1; may be empty) and the visible text of an
    HTML page.

    Headings become lines that start with `#`, list items lines that start with `-`, preformatted text stays
    as it is, in a fence if a line of it would read as a heading; scripts, styles and navigation go.
    """
    if _html_depth(source) > MAX_HTML_DEPTH:
        raise Unreadable(f"its elements nest deeper than {MAX_HTML_DEPTH} levels")
    try:
        tree = LexborHTMLParser(source)
    except SelectolaxError as error:
        raise Unreadable(f"not readable as HTML: {error}") from None
    named = (own_title(node.text()) for node in tree.css("title"))
    headings = (_SPACES.sub(" ", node.text()).strip() for node in tree.css("h1"))
    title = next(filter(None, chain(named, headings)), "")
    flowing, kept = _flow(tree.body) if tree.body else ("", [])
    flowing = _MANY_LINES.sub("\n\n", _LINE_EDGES.sub("\n", re.sub(" {2,}", " ", flowing))).strip()
    first, *rest = flowing.split(_VERBATIM)
    text = first + "".join(block + text for block, text in zip(kept, rest, strict=True))
    if len(text) <= MAX_STUB_CHARS and any(map(_leads_on, tree.css("meta[http-equiv][content]"))):
        raise Unreadable("only leads to another page")
    return title, text


def _leads_on(meta: LexborNode) -> bool:
    given = meta.attributes
    return (given["http-equiv"] or "").strip().lower() == "refresh" and bool(_SENT_ON.match(given["content"] or ""))


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
    # A node to go through, with whether it is preformatted; or what is written behind one.
    stack: list[tuple[LexborNode, bool] | str] = [(root, False)]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            pieces.append(item)
            continue
        node, preformatted = item
        if node.is_text_node and preformatted:
            kept.append(plain_lines(_words(node)))
            pieces.append(_VERBATIM)
        elif node.is_text_node:
            pieces.append(_SPACES.sub(" ", _words(node)))
        elif node.is_element_node and node.tag not in _DROPPED:
            opening, closing = _marks(node, preformatted)
            pieces.append(opening)
            stack.append(closing)
            inside = preformatted or node.tag == "pre"
            stack.extend((child, inside) for child in reversed(list(node.iter(include_text=True))))
    return "".join(pieces), kept


def _words(node: LexborNode) -> str:
    return (node.text_content or "").replace(_VERBATIM, "")


def _marks(node: LexborNode, preformatted: bool) -> tuple[str, str]:
    """What is written before and behind an element."""
    tag = node.tag or ""
    opening, closing = _OPENING.get(tag, ""), _CLOSING.get(tag, "")
    if tag == "pre" and not preformatted and HEADING_LINE.search(code := node.text()):
        marks = fence(code)
        return f"{opening}{marks}\n", f"\n{marks}{closing}"
    return opening, closing
