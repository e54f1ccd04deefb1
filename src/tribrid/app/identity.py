"""Which document of the corpus each text of a rerank is: what was shown decides what is learned.

Other programs send chunks, and name each after the file that it was cut from. So an id stands for one text: the first
that the corpus has under it, or a part of that. Any other text that comes under the id is a document of its own, whose
id is made of the given one and of what the text says; the same text finds it again. Nothing here changes a document.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from tribrid.config import Config
from tribrid.corpus.inline import Inline
from tribrid.errors import InvalidInput, Unavailable
from tribrid.store import Store
from tribrid.store.documents import content_sha
from tribrid.types import Document
from tribrid.types.texts import DIGITS, stem

LEAST_PART, LEAST_EDITED = 32, 800
"""Characters. A shorter text is no part of another: "Yes." stands in many. A shorter one with another word in it is
another text; a longer one may have been edited."""
_SAMPLES, _FOUND = 24, 0.9
_ATTEMPTS = 5
_MARKS = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class Identified:
    """The documents of a call, in its order.

    Attributes:
        apart: those whose id stands for another text, by their place in the call.
        collected: how many the corpus did not know, and keeps now.
        kept: False: the database takes none now, so an id may come to stand for another text.
    """

    documents: list[Document]
    apart: tuple[int, ...] = ()
    collected: int = 0
    kept: bool = True


def identify(store: Store, corpus_id: str | None, inline: Sequence[Inline], config: Config) -> Identified:
    """The documents of a call, each under the id that stands for its text. What the corpus does not know it keeps.

    A text without an id has that of the corpus's document that says the same, else a hash of what it says. An id
    without a text is the corpus's document.

    Args:
        corpus_id: None: no corpus is behind the call, and an id is what the caller says.

    Raises:
        InvalidInput: an id came alone, and the corpus has no such document.
    """
    if corpus_id is None:
        return Identified(identify_apart(inline))
    return _kept(store, corpus_id, inline, config, _ATTEMPTS)


def identify_apart(inline: Sequence[Inline]) -> list[Document]:
    """The documents of a call that no corpus stands behind: an id is what the caller says, else a hash of the text.

    Raises:
        InvalidInput: an id came alone.
    """
    names = [item.doc_id or _nameless_id(_digests(item)[0]) for item in inline]
    return [_document(item, at, names[at], {}) for at, item in enumerate(inline)]


def _kept(store: Store, corpus_id: str, inline: Sequence[Inline], config: Config, attempts: int) -> Identified:
    known = _Names(store, corpus_id, inline, config)
    documents = [_document(item, at, known.of(item), known.stored) for at, item in enumerate(inline)]
    new = known.new(documents)
    added = _added(store, corpus_id, new)
    if added is not None and added < len(new) and attempts > 1:
        # Another call brought a text under one of these ids meanwhile: it holds.
        again = _kept(store, corpus_id, inline, config, attempts - 1)
        return replace(again, collected=again.collected + added)
    apart = [at for at, item in enumerate(inline) if item.doc_id not in (None, documents[at].doc_id)]
    return Identified(documents, tuple(apart), added or 0, added is not None)


def _added(store: Store, corpus_id: str, new: Sequence[Document]) -> int | None:
    """How many were kept; None where the database takes none: the call is answered all the same."""
    try:
        return store.documents.add_new(corpus_id, new) if new else 0
    except Unavailable:
        return None


def is_part(text: str, whole: str, *, edited: bool = False) -> bool:
    """Whether a text stands in another, however they are spaced, written in capitals and marked up.

    Args:
        edited: it may differ in some words, as a page does that was edited, if it is long.
    """
    part, all_of_it = _squashed(text), _squashed(whole)
    if part == all_of_it or not part:
        return True
    if len(part) < LEAST_PART:
        return False
    if part in all_of_it:
        return True
    if not edited or len(part) < LEAST_EDITED:
        return False
    last = len(part) - LEAST_PART
    samples = (part[at : at + LEAST_PART] for at in (last * n // (_SAMPLES - 1) for n in range(_SAMPLES)))
    return sum(sample in all_of_it for sample in samples) >= _FOUND * _SAMPLES


class _Names:
    """What the ids of one call stand for, as far as the corpus knew when it was looked at.

    Attributes:
        stored: documents of the corpus whose text is looked at.
    """

    def __init__(self, store: Store, corpus_id: str, inline: Sequence[Inline], config: Config) -> None:
        self._documents, self._corpus_id, self._config = store.documents, corpus_id, config
        named = [item for item in inline if item.doc_id is not None]
        self._shas = self._documents.hashes_of(corpus_id, {item.doc_id or "" for item in named})
        self._same: Mapping[str, str] = {}
        self._known = set(self._shas)
        self.stored: Mapping[str, Document] = {}
        # The text of this call that each id stands for.
        self._claimed: dict[str, str] = {}
        self._look_for([item for item in inline if item.doc_id is None])
        self._look_at(named)
        for item in named:
            self._claim(item.doc_id or "", item)

    def _look_for(self, nameless: Sequence[Inline]) -> None:
        if nameless:
            digests = {digest for item in nameless for digest in _digests(item)}
            self._same = self._documents.by_content(self._corpus_id, digests)
            self._known |= self._documents.exists(self._corpus_id, map(_nameless_id, digests))
            self._known |= set(self._same.values())

    def _look_at(self, named: Sequence[Inline]) -> None:
        odd = [item for item in named if not self._held(item)]
        self.stored = self._documents.get_many(self._corpus_id, {item.doc_id or "" for item in odd} & self._shas.keys())
        self._known |= self._documents.exists(self._corpus_id, {other_id(item) for item in odd})

    def _claim(self, doc_id: str, item: Inline) -> None:
        """Note which ids stand in this call for the very text that the corpus has."""
        known = self.stored.get(doc_id)
        if item.text is not None and known is not None and is_part(item.text, known.text):
            self._claimed[doc_id] = known.text
        elif item.text is not None and self._held(item):
            self._claimed.setdefault(doc_id, item.text)

    def _held(self, item: Inline) -> bool:
        return item.text is not None and self._shas.get(item.doc_id or "") in _digests(item)

    def of(self, item: Inline) -> str:
        """The id that stands for the text of an item."""
        if item.doc_id is None:
            digests = _digests(item)
            return next((self._same[d] for d in digests if d in self._same), _nameless_id(digests[0]))
        if item.text is None or self._held(item):
            return item.doc_id
        other = other_id(item)
        return other if other in self._known or self._is_other(item.doc_id, item.text) else item.doc_id

    def _is_other(self, doc_id: str, text: str) -> bool:
        """Whether an id stands for another text; if for none in this call yet, it stands for this one from here."""
        known = self.stored.get(doc_id)
        if doc_id in self._claimed:
            return not is_part(text, self._claimed[doc_id])
        if known is not None and not is_part(text, known.text, edited=True):
            return True
        if known is None and self._config.reranking.collect_documents and not self._keepable(text):
            return True  # never kept, so the id will come to stand for another text
        self._claimed[doc_id] = text
        return False

    def _keepable(self, text: str) -> bool:
        return bool(text.strip()) and len(text) <= self._config.indexing.max_document_chars

    def new(self, documents: Iterable[Document]) -> list[Document]:
        """Those that the corpus does not know and may keep; of one id the first."""
        settings = self._config.reranking
        first: dict[str, Document] = {}
        for document in documents if settings.collect_documents else ():
            if document.doc_id not in self._known and self._keepable(document.text):
                first.setdefault(document.doc_id, document)
        room = settings.collect_documents_max - self._documents.count(self._corpus_id) if first else 0
        return list(first.values())[: max(room, 0)]


def other_id(item: Inline) -> str:
    """The id of a text whose given id stands for another."""
    given, said = item.doc_id or "", _squashed(f"{item.title}{item.text}")
    return stem(given) + hashlib.sha256(f"{given}\0{said}".encode()).hexdigest()[:DIGITS]


def _nameless_id(digest: str) -> str:
    return f"text-{digest[:32]}"


def _document(item: Inline, at: int, doc_id: str, stored: Mapping[str, Document]) -> Document:
    if item.text is None:
        if item.doc_id is None or item.doc_id not in stored:
            raise InvalidInput(f"documents[{at}]: has no text, and the corpus no document {item.doc_id!r}.")
        known = stored[item.doc_id]
        return replace(known, metadata={**known.metadata, **item.metadata})
    return Document(doc_id, item.text, item.title, item.uri, item.metadata)


def _digests(item: Inline) -> list[str]:
    """Of what the document may be known by: as it came, or with its first line as the title."""
    text = item.text or ""
    title, line, rest = text.partition("\n")
    readings = [(item.title, text), *([(title, rest)] if line and not item.title else [])]
    return [content_sha(Document("", text, title)) for title, text in readings]


def _squashed(text: str) -> str:
    """What a text says, without its spaces and marks; all of it where it has nothing else."""
    return _MARKS.sub("", text).casefold() or "".join(text.split())
