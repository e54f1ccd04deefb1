"""Markdown: a source's title, and where its code stands.

The title is read by CommonMark's rules, by markdown-it. Fences are found in any text that is to be cut, however long,
so they are looked for line by line: in linear time, and wherever they are indented.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator

import yaml
from markdown_it import MarkdownIt
from selectolax.lexbor import LexborHTMLParser

# How much of a source is looked through for a title, characters.
_TITLE_PROBE_CHARS = 1 << 16
_FRONT_MATTER_CHARS = 20_000
_FRONT_MATTER = re.compile(r"\A(---|\+\+\+)[ \t]*\n(.*?)^(?:\1|\.\.\.)[ \t]*$", re.MULTILINE | re.DOTALL)
_TITLE_LINE = re.compile(r"^title[ \t]*[:=](.*)$", re.MULTILINE | re.IGNORECASE)
_HTML_HEADINGS = "h1, h2, h3, h4, h5, h6"

# A heading's line to whoever cuts a text or reads sections from it.
HEADING_LINE = re.compile(r"^#{1,6}[ \t]+\S", re.MULTILINE)
# Inside lists and quotations too. What follows the backticks that open a fence holds no backtick.
_FENCE_LINE = re.compile(r"^[ \t>]*(?:[-*+][ \t]+|\d{1,9}[.)][ \t]+)?(`{3,}(?=[^`\n]*$)|~{3,})(.*)$", re.MULTILINE)

_BLOCKS = MarkdownIt("commonmark")
_BLOCKS.core.ruler.enableOnly(["normalize", "block"])


def markdown_title(source: str) -> str:
    """The front matter's title, else the first heading that is one to CommonMark, or HTML's; empty if there is neither.

    Looked for in the first 65,536 characters.
    """
    title, start = _front_matter(source[:_FRONT_MATTER_CHARS])
    return title or next(_headings(source[start : start + _TITLE_PROBE_CHARS]), "")


def _headings(source: str) -> Iterator[str]:
    tokens = _BLOCKS.parse(source)
    for token, after in zip(tokens, tokens[1:] + tokens[-1:], strict=True):
        if token.level:
            continue
        if token.type == "heading_open" and after.content.strip():
            yield _one_line(after.content)
        elif token.type == "html_block":
            found = LexborHTMLParser(token.content).css_first(_HTML_HEADINGS)
            if found and found.text().strip():
                yield _one_line(found.text())


def _front_matter(source: str) -> tuple[str, int]:
    """The title in a front matter, empty if it has none, and where the text behind it starts."""
    found = _FRONT_MATTER.match(source)
    if found is None:
        return "", 0
    values: dict[str, object] | None
    try:
        values = tomllib.loads(found[2]) if found[1] == "+++" else _yaml_scalars(found[2])
    except (tomllib.TOMLDecodeError, yaml.YAMLError, RecursionError, ValueError):
        # As written by hand: an unquoted colon in a title breaks YAML, and nobody who reads it is in doubt.
        line = _TITLE_LINE.search(found[2])
        values = {"title": line[1] if line else ""}
    if values is None:
        return "", 0
    title = next((value for key, value in values.items() if key.lower() == "title"), "")
    return (_one_line(title) if isinstance(title, str) else ""), found.end()


def _yaml_scalars(matter: str) -> dict[str, object] | None:
    """The keys that have one value each; None if it is no mapping. Nodes are looked at and not made into objects: those
    of a few lines can grow without limit.
    """
    node = yaml.compose(matter, Loader=yaml.SafeLoader)
    if not isinstance(node, yaml.MappingNode):
        return None
    return {key.value: value.value for key, value in node.value if isinstance(key, yaml.ScalarNode)}


def _one_line(text: str) -> str:
    return " ".join(text.split())


def fenced(text: str) -> list[tuple[int, int]]:
    """The stretches of a text that are fenced code, with their fences; one that is not closed goes to the end.

    A fence is closed by its own character, at least as often, with nothing behind it.
    """
    spans: list[tuple[int, int]] = []
    opened: tuple[int, str] | None = None
    for found in _FENCE_LINE.finditer(text):
        if opened is None:
            opened = found.start(), found[1]
        elif found[1].startswith(opened[1]) and not found[2].strip():
            spans.append((opened[0], found.end()))
            opened = None
    if opened is not None:
        spans.append((opened[0], len(text)))
    return spans


def fence(code: str) -> str:
    """A fence that no line of the code closes."""
    return "`" * (1 + max(2, *(len(run) for run in re.findall("`+", code)), 0))
