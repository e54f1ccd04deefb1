"""A few words of a document, as HTML: where it speaks of the query, with the query's words marked."""

from __future__ import annotations

import re
from collections.abc import Iterator

from markupsafe import Markup, escape

_WORD = re.compile(r"\w+")
_SHORTEST = 3
"""Letters of a word that is looked for; shorter ones stand everywhere."""
_READ = 20_000
"""Characters of a document that are looked at."""


def quoted(text: str, query: str, chars: int) -> Markup:
    """About `chars` characters of the text, from where most of the query's words stand close together.

    Where none stands in it, its beginning. Escaped, with `mark` around the query's words.
    """
    line = " ".join(text[:_READ].split())
    wanted = {word for word in _words(query) if len(word) >= _SHORTEST}
    start = _start(line, wanted, chars)
    piece = line[start : start + chars]
    if start + chars < len(line) and " " in piece:
        piece = piece[: piece.rindex(" ")]
    before, behind = "… " if start else "", " …" if start + len(piece) < len(line) else ""
    return Markup("").join([before, *_pieces(piece, wanted), behind])


def _start(line: str, wanted: set[str], chars: int) -> int:
    """Where to begin: a little before the first of the closest words."""
    places = [(match.start(), match.group().casefold()) for match in _WORD.finditer(line)]
    hits = [(at, word) for at, word in places if word in wanted]
    best, start = 0, 0
    for index, (at, _) in enumerate(hits):
        near = {word for other, word in hits[index : index + 50] if other < at + chars * 3 // 4}
        if len(near) > best:
            best, start = len(near), at
    before = start - chars // 5
    if before <= 0:
        return 0
    return next((at for at, _ in places if at >= before), start)


def _pieces(text: str, wanted: set[str]) -> Iterator[Markup]:
    done = 0
    for match in _WORD.finditer(text):
        if match.group().casefold() in wanted:
            yield escape(text[done : match.start()])
            yield Markup("<mark>{}</mark>").format(match.group())
            done = match.end()
    yield escape(text[done:])


def _words(text: str) -> Iterator[str]:
    return (word.casefold() for word in _WORD.findall(text))
