"""Words as the index's BM25 counts them: split, folded, stemmed, without stop words. BM25_SETTINGS in
`retrieval/lance.py` says the same to LanceDB, which does this itself for what is in the index.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from tribrid.corpus.stemming import stem

MAX_TERM_BYTES = 40
STOP_WORDS = frozenset(
    ("a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "if", "in", "into", "is", "it", "no", "not", "of")
    + ("on", "or", "such", "that", "the", "their", "then", "there", "these", "they", "this", "to", "was", "will")
    + ("with",)
)
_TERM = re.compile(r"[^\W_]+")


def terms(text: str) -> list[str]:
    """The terms of a text in order. Its identifiers are not split: `lexical.expand_identifiers` does that before."""
    return [term for word in _TERM.findall(text.lower()) if (term := _term(word))]


@lru_cache(maxsize=65_536)
def _term(word: str) -> str:
    """The word as a term; empty for one that is not counted."""
    if len(word.encode("utf-8", "replace")) >= MAX_TERM_BYTES:
        return ""
    stemmed = stem(word)
    if stemmed in STOP_WORDS:
        return ""
    if stemmed.isascii():
        return stemmed
    return "".join(c for c in unicodedata.normalize("NFKD", stemmed) if not unicodedata.combining(c))
