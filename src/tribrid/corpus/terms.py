"""Words as BM25 counts them, in documents, queries and what comes with a rerank alike: this is the only place that says
what a term is. The index is given terms with spaces between them and changes nothing about them.

A text in NFKC, without soft hyphens, is cut into words, and a word where its script changes. Words of scripts that are
written with spaces are folded and stemmed (by English rules); identifiers count whole and by their parts. Of Chinese,
Japanese, Korean, Thai, Lao, Khmer and Burmese every two neighbouring characters are a term: without a dictionary a
sentence, or a word with its particles, would match nothing but itself.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise

from tribrid.corpus.lexical import expand_identifiers
from tribrid.corpus.stemming import stem

ANALYSER = 2
"""Part of an index's fingerprint: raised whenever a text gets other terms."""
MAX_TERM_CHARS = 128
"""A longer word counts by its hash, so that it is found all the same. A SHA-512 in hex has as many."""
MAX_STEMMED_CHARS = 12
"""A longer word with a digit in it names something, and has no endings."""
_STOP_WORDS = """
i me my myself we our ours ourselves you your yours yourself yourselves he him his himself she her hers herself it its
itself they them their theirs themselves what which who whom this that these those am is are was were be been being have
has had having do does did doing a an the and but if or because as until while of at by for with about against between
into through during before after above below to from up down in out on off over under again further then once here there
when where why how all any both each few more most other some such no nor not only own same so than too very can will
just should now
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())
"""Function words. They are looked for among words, not stems: `owned` is no `own`."""
_OPERATORS = frozenset({"and", "or", "not"})
"""What some write in capitals in a query, and mean no name by."""

_MARKS = "".join(chr(c) for c in range(0x300, 0x10000) if unicodedata.category(chr(c)).startswith("M"))
_WORD = re.compile(rf"[^\W_](?:[^\W_]|[{_MARKS}])*")
_INVISIBLE = re.compile("[\u00ad\u2060\ufeff]")
"""Soft hyphens and joiners: they stand inside words."""
_CONTRACTION = re.compile(r"(?i)\b[a-z]+n['’]t\b|(?<=[^\W\d_])['’](?:s|d|m|ll|re|ve)\b")
"""`don't` whole, and what follows the apostrophe in `it's`: function words all."""
_HAN = (
    "\u3005-\u3007\u3031-\u3035\u3040-\u312f\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_HANGUL = "\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7ff"
_THAI = "\u0e01-\u0e3a\u0e40-\u0e4e"
_OTHERS = ("\u0e80-\u0ecd\u0edc-\u0edf", "\u1780-\u17d3", "\u1000-\u103f\u1050-\u108f")
_SCRIPTS = (_HAN, _HANGUL, _THAI, *_OTHERS)
_RUN = re.compile("|".join([*(f"([{script}]+)" for script in _SCRIPTS), f"[^{''.join(_SCRIPTS)}]+"]))
_CHARACTER = re.compile(rf"[^{_MARKS}][{_MARKS}]*|[{_MARKS}]+")
FIRST_UNSPACED = "\u0e00"
_ACCENTS = re.compile("(?<=[a-z])[\u0300-\u036f]+")
_LATIN = str.maketrans(
    {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "\u0131": "i"}
)


def terms(text: str) -> list[str]:
    """The terms of a document's text, in order; those of identifiers' parts after the others."""
    return [term for word, stops in _words(text) if not stops for term in _terms_of(word)]


def query_terms(text: str) -> list[str]:
    """The terms of a query. One of function words alone is asked with them: `who` may be the WHO."""
    words = list(_words(text))
    some = [word for word, stops in words if not stops]
    return [term for word in some or [word for word, _ in words] for term in _terms_of(word)]


def identifiers(query: str) -> frozenset[str]:
    """Those terms of a query that name one thing: hashes, keys, long numbers. What has another is about another."""
    return frozenset(term for term in query_terms(query) if _names(term))


def _names(term: str) -> bool:
    return len(term) > MAX_STEMMED_CHARS and any(character.isdigit() for character in term)


def _words(text: str) -> Iterator[tuple[str, bool]]:
    """The words of a text as written, and whether each is a function word."""
    plain = _CONTRACTION.sub(" ", expand_identifiers(_normal(text)))
    words = _WORD.findall(plain)
    shouted = plain.upper() == plain
    for at, word in enumerate(words):
        lower = word.lower()
        stops = lower in STOP_WORDS
        yield word, stops and (shouted or not _is_name(lower, words, at))


def _is_name(lower: str, words: list[str], at: int) -> bool:
    """Whether a function word in capitals is a name, as WHO and IT: not if its neighbours shout, too."""
    word = words[at]
    if len(word) < 2 or not word.isupper() or lower in _OPERATORS:
        return False
    beside = words[max(0, at - 1) : at] + words[at + 1 : at + 2]
    return len(beside) < 2 or not all(other.isupper() for other in beside)


def _normal(text: str) -> str:
    return text if text.isascii() else _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))


def _terms_of(word: str) -> tuple[str, ...]:
    """The terms of one word: of each of its scripts."""
    return (_term(word.lower()),) if max(word) < FIRST_UNSPACED else _terms_of_scripts(word.lower())


@lru_cache(maxsize=65_536)
def _terms_of_scripts(word: str) -> tuple[str, ...]:
    found: list[str] = []
    for run in _RUN.finditer(word):
        if run.lastindex is None:
            found.append(_term(run[0]))
            continue
        characters = _CHARACTER.findall(run[0])
        found += [a + b for a, b in pairwise(characters)] or characters
    return tuple(found)


@lru_cache(maxsize=65_536)
def _term(word: str) -> str:
    """A word of a script with spaces as a term."""
    if len(word) > MAX_TERM_CHARS:
        return hashlib.sha256(word.encode("utf-8", "surrogatepass")).hexdigest()
    folded = word if word.isascii() else _folded(word)
    return folded if _names(folded) else stem(folded)


def _folded(word: str) -> str:
    """Latin letters without accents; other scripts keep their marks."""
    return unicodedata.normalize("NFC", _ACCENTS.sub("", unicodedata.normalize("NFD", word))).translate(_LATIN)
