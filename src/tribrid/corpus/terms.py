"""Words as the index's BM25 counts them: split, folded, stemmed, without stop words. BM25_SETTINGS in
`retrieval/lance.py` says the same to LanceDB, which does this itself for what is in the index.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from tribrid.corpus.stemming import stem

MAX_TERM_BYTES = 40
_STOP_WORDS = """
i me my myself we our ours you your yours yourself he him his himself she her hers herself it its itself they them their
theirs what which who whom this that these those am is are was were be been being have has had having do did doing a an
the and but if or as until while of at by for with about against between into through after below to from up down in out
on off over under again further then here there when where how all both each few more most other some such no nor not
own same so than too s t can will just don should now d ll m o re ve y ain aren couldn didn doesn hadn hasn haven isn ma
mightn mustn needn shan shouldn wasn weren won wouldn
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())
"""LanceDB looks for them among stems: those that have another stem (`because`, `very`) are not stopped and not here."""
_TERM = re.compile(r"[^\W_]+")


def spelled(text: str) -> list[tuple[str, str]]:
    """The terms of a text in order, each with the word that it is the stem of: how to ask an index for it."""
    return [(term, word) for word in _TERM.findall(text.lower()) if (term := _term(word))]


def terms(text: str) -> list[str]:
    """The terms of a text in order. Nothing is expanded in it: `lexical.searchable` does that before."""
    return [term for term, _ in spelled(text)]


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
