"""The ids of texts that came under the id of another document: the given one, a mark, and a hash of what they say."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

MAX_ID_CHARS = 512
MARK, DIGITS = "#text-", 16
"""What follows the given id in that of another text: a part of the document, as mining reads ids, and a hash."""
_TEXT = re.compile(rf"(.*{MARK})[0-9a-f]{{{DIGITS}}}", re.DOTALL)


def stem(given: str) -> str:
    """How the ids begin of other texts that come under this one."""
    return given[: MAX_ID_CHARS - len(MARK) - DIGITS] + MARK


def came_as(doc_id: str, given: str) -> bool:
    """Whether a document may have come under this id: it is its id, or that of another text under it."""
    found = _TEXT.fullmatch(doc_id)
    return doc_id == given or (found is not None and found[1] == stem(given))


def texts_under(doc_ids: Iterable[str], given: Collection[str]) -> set[str]:
    """Those of the ids that stand for other texts that came under one of the given."""
    stems = {stem(one) for one in given}
    return {doc_id for doc_id in doc_ids if (found := _TEXT.fullmatch(doc_id)) is not None and found[1] in stems}
