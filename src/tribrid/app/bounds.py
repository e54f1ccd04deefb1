"""Which corpora somebody may name, and which documents he may find: all, or those that a key is bound to.

Of what has an id of its own (a job, a model, a search) and is of another corpus, he hears what is said of an id that
nobody has. A corpus that he names and may not is refused, whether or not there is such a one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tribrid.errors import Forbidden
from tribrid.types.filters import Filter


@dataclass(frozen=True, slots=True)
class Bounds:
    """`corpora`: those that may be named; None: all. `pinned`: what alone may be found in them; None: everything."""

    corpora: frozenset[str] | None = None
    pinned: Filter | None = None

    @property
    def only(self) -> str | None:
        """The corpus, where a single one may be named."""
        return next(iter(self.corpora)) if self.corpora is not None and len(self.corpora) == 1 else None

    def hold(self, *corpus_ids: str) -> bool:
        """Whether all of these may be named."""
        return self.corpora is None or self.corpora.issuperset(corpus_ids)

    def require(self, *corpus_ids: str) -> None:
        """Pass if all of these may be named.

        Raises:
            Forbidden: one may not.
        """
        if not self.hold(*corpus_ids):
            raise self._refusal("for no other")

    def narrowed(self, wanted: Filter | None) -> Filter | None:
        """What a search with this filter may find."""
        if self.pinned is None or wanted is None:
            return wanted or self.pinned
        return wanted.within(self.pinned)

    def searched(self, kept: Mapping[str, Any] | None) -> bool:
        """Whether a search was made within these bounds, by the filter that the log kept of it."""
        if self.pinned is None:
            return True
        pinned = _spelled(self.pinned.given)
        return kept is not None and pinned in (_spelled(kept), _spelled(kept.get("$and", [None])[0]))

    def require_all_documents(self, purpose: str) -> None:
        """For what shows documents, or tells of them, in ways that no filter reaches.

        Raises:
            Forbidden: not all documents may be found.
        """
        if self.pinned is not None:
            raise Forbidden(f"This key is pinned to a filter, and {purpose} cannot be filtered. Use a key without one.")

    def require_none(self, purpose: str) -> None:
        """For what tells of every corpus, or changes it.

        Raises:
            Forbidden: there are bounds.
        """
        if self.corpora is not None:
            raise self._refusal(f"not for {purpose}")

    def _refusal(self, limit: str) -> Forbidden:
        named = sorted(self.corpora or ())
        detail = f"This key is bound: it is for {', '.join(named)} and {limit}. Name a corpus that it is for."
        return Forbidden(detail, corpora=named)


def _spelled(given: object) -> str:
    """A filter so that only the same one is equal: to Python True is 1, to a filter it is not."""
    return json.dumps(given, sort_keys=True)


EVERYWHERE = Bounds()
