"""Words as BM25 and the duplicate filter see them: identifier parts, normal form, shingles.

Pure functions that run over every document and query: each is linear in its text, also where that is two
megabytes without a space.
"""

from __future__ import annotations

import re

SHINGLE_WORDS = 3
MIN_PART_CHARS = 2

# A word (with its dotted continuation) that has a hump, an underscore before a letter, or an inner dot.
_IDENTIFIER = re.compile(r"\b(?=\w*?(?:[a-z0-9][A-Z]|_[^\W_])|\w+\.[^\W\d_])\w+(?:\.\w+)*")
# XMLHttpRequest -> XML Http Request: an acronym ends where a capitalised word begins. Digits stay with the
# letters before them: base64Encode -> base64 Encode.
_PART_BREAK = re.compile(r"[._]+|(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_HASH = re.compile("[0-9A-Fa-f]{16,}")
"""It has humps, in capitals, and no parts."""
_WORD = re.compile(r"\w+")


def expand_identifiers(text: str) -> str:
    """The text, followed by a line of the parts of its camelCase, snake_case and dotted.names.

    A search for "read file" then meets `readFile`, `read_file` and `io.readFile`. Text without identifiers
    comes back unchanged. The result has at most two and a half times the text's length.
    """
    found = (identifier[0] for identifier in _IDENTIFIER.finditer(text))
    parts = [part for identifier in found if not _HASH.fullmatch(identifier) for part in identifier_parts(identifier)]
    return f"{text}\n{' '.join(parts)}" if parts else text


def identifier_parts(identifier: str) -> list[str]:
    """The words in an identifier, in order, as written; single characters and the whole itself left out."""
    parts = [part for part in _PART_BREAK.split(identifier) if len(part) >= MIN_PART_CHARS]
    return parts if parts != [identifier] else []


def normalise(text: str) -> str:
    """Case folded, runs of white space made one space, none at the ends. What makes two queries the same."""
    return " ".join(text.casefold().split())


def shingles(text: str) -> frozenset[str]:
    """The word 3-grams of a text, without case and punctuation; a shorter text is one shingle."""
    words = _WORD.findall(text.casefold())
    if len(words) < SHINGLE_WORDS:
        return frozenset([" ".join(words) or normalise(text)])
    return frozenset(map(" ".join, zip(words, words[1:], words[2:], strict=False)))


def jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    """Shared shingles over all shingles, 0..1."""
    shared = len(a & b)
    return shared / (len(a) + len(b) - shared) if shared else 0.0


def near_duplicate(a: str, b: str, threshold: float) -> bool:
    """Whether two texts count as one: word 3-gram Jaccard similarity of at least `threshold`.

    For many comparisons with one text keep its `shingles` and call `jaccard`.
    """
    return jaccard(shingles(a), shingles(b)) >= threshold
