"""The English stemmer (Porter 2) that the index's BM25 uses, for texts that are not in the index.

References:
    Porter: The English (Porter2) stemming algorithm, snowballstem.org/algorithms/english/stemmer.html.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

_WHOLE = {
    "skis": "ski", "skies": "sky", "dying": "die", "lying": "lie", "tying": "tie", "idly": "idl", "gently": "gentl",
    "ugly": "ugli", "early": "earli", "only": "onli", "singly": "singl",
    **{word: word for word in ("sky", "news", "howe", "atlas", "cosmos", "bias", "andes")},
}  # fmt: skip
_BEGIN_OTHERWISE = {stem: word for word, stem in _WHOLE.items() if word[:2] != stem[:2]}
_DONE_AFTER_PLURAL = {"inning", "outing", "canning", "herring", "earring", "proceed", "exceed", "succeed"}
_STEP_2 = {
    "tional": "tion", "enci": "ence", "anci": "ance", "abli": "able", "entli": "ent", "izer": "ize", "ization": "ize",
    "ational": "ate", "ation": "ate", "ator": "ate", "alism": "al", "aliti": "al", "alli": "al", "fulness": "ful",
    "ousli": "ous", "ousness": "ous", "iveness": "ive", "iviti": "ive", "biliti": "ble", "bli": "ble", "ogi": "og",
    "fulli": "ful", "lessli": "less", "li": "",
}  # fmt: skip
_STEP_3 = {
    "tional": "tion", "ational": "ate", "alize": "al", "icate": "ic", "iciti": "ic", "ical": "ic", "ful": "",
    "ness": "", "ative": "",
}  # fmt: skip
_STEP_4 = (
    "al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ism", "ate", "iti", "ous", "ive",
    "ize", "ion",
)  # fmt: skip
_VOWEL = re.compile("[aeiouy]")
_REGION = re.compile("[aeiouy][^aeiouy]")
_SHORT_END = re.compile("(?:[^aeiouy][aeiouy][^aeiouywxY]|^[aeiouy][^aeiouy])$")
_VALID_LI = frozenset("cdeghkmnrt")
_DOUBLES = ("bb", "dd", "ff", "gg", "mm", "nn", "pp", "rr", "tt")
_PREFIXES = ("gener", "commun", "arsen")


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """The stem of a lower-case word without apostrophes; a word of one or two letters is its own."""
    if len(word) <= 2:
        return word
    if word in _WHOLE:
        return _WHOLE[word]
    word = re.sub(r"(^|[aeiouy])y", r"\1Y", word)
    r1, r2 = _regions(word)
    word = _plural(word)
    if word in _DONE_AFTER_PLURAL:
        return word
    word = _past(word, r1)
    if len(word) > 2 and word[-1] in "yY" and word[-2] not in "aeiouy":
        word = word[:-1] + "i"
    word = _derived(word, r1, r2)
    return _final(word, r1, r2).replace("Y", "y")


def beginnings(stem: str) -> frozenset[str]:
    """What its words begin with, at most two letters of each: the rules change endings only, and the exceptions to them
    are few.
    """
    return frozenset({stem[:2], _BEGIN_OTHERWISE.get(stem, stem)[:2]})


def _regions(word: str) -> tuple[int, int]:
    """Where R1 and R2 begin."""
    prefix = next((known for known in _PREFIXES if word.startswith(known)), None)
    r1 = len(prefix) if prefix else _after(word, 0)
    return r1, _after(word, r1)


def _after(word: str, start: int) -> int:
    found = _REGION.search(word, start)
    return found.end() if found else len(word)


def _plural(word: str) -> str:
    if word.endswith("sses"):
        return word[:-2]
    if word.endswith(("ied", "ies")):
        return word[:-2] if len(word) > 4 else word[:-1]
    if word.endswith("s") and not word.endswith(("us", "ss")) and _VOWEL.search(word[:-2]):
        return word[:-1]
    return word


def _past(word: str, r1: int) -> str:
    suffix = _longest(word, ("eedly", "ingly", "edly", "eed", "ing", "ed"))
    if suffix is None:
        return word
    rest = word[: -len(suffix)]
    if suffix in ("eed", "eedly"):
        return rest + "ee" if len(rest) >= r1 else word
    if not _VOWEL.search(rest):
        return word
    if rest.endswith(("at", "bl", "iz")):
        return rest + "e"
    if rest.endswith(_DOUBLES):
        return rest[:-1]
    return rest + "e" if len(rest) <= r1 and _SHORT_END.search(rest) else rest


def _derived(word: str, r1: int, r2: int) -> str:
    """Steps 2 and 3: suffixes that make one kind of word of another."""
    suffix = _longest(word, _STEP_2)
    if suffix is not None and len(word) - len(suffix) >= r1 and _may_end(word[: -len(suffix)], suffix):
        word = word[: -len(suffix)] + _STEP_2[suffix]
    suffix = _longest(word, _STEP_3)
    if suffix is not None and len(word) - len(suffix) >= (r2 if suffix == "ative" else r1):
        word = word[: -len(suffix)] + _STEP_3[suffix]
    return word


def _may_end(rest: str, suffix: str) -> bool:
    if suffix == "ogi":
        return rest.endswith("l")
    return suffix != "li" or rest[-1:] in _VALID_LI


def _final(word: str, r1: int, r2: int) -> str:
    """Steps 4 and 5: suffixes that are dropped."""
    suffix = _longest(word, _STEP_4)
    if suffix is not None and len(word) - len(suffix) >= r2 and (suffix != "ion" or word[:-3].endswith(("s", "t"))):
        word = word[: -len(suffix)]
    rest = word[:-1]
    if word.endswith("e") and (len(rest) >= r2 or (len(rest) >= r1 and not _SHORT_END.search(rest))):
        return rest
    if word.endswith("ll") and len(rest) >= r2:
        return rest
    return word


def _longest(word: str, suffixes: Sequence[str] | Mapping[str, str]) -> str | None:
    return max((suffix for suffix in suffixes if word.endswith(suffix)), key=len, default=None)
