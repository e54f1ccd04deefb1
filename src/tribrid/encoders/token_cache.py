"""Tokens of the passages of many lists: read when they are needed, and kept no further than memory allows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import overload

from tribrid.encoders.recent import Recent
from tribrid.encoders.tokens import PassageTokens
from tribrid.types import Passage

MOST_BYTES = 1 << 30
"""All passages of some ten thousand: below it no passage is read twice, above it memory stays as it is."""


class KeptTokens:
    """Gives passages' tokens, and keeps those that were asked for last. Not safe for threads."""

    def __init__(
        self, fetch: Callable[[Sequence[Passage]], Sequence[PassageTokens]], most_bytes: int = MOST_BYTES
    ) -> None:
        """Starts empty.

        Args:
            fetch: reads the tokens of passages, in their order.
            most_bytes: of tokens that are kept.
        """
        self._fetch, self._most_bytes = fetch, most_bytes
        self._kept: Recent[tuple[str, int], PassageTokens] = Recent(lambda tokens: tokens.nbytes)

    def of(self, passages: Sequence[Passage]) -> Sequence[PassageTokens]:
        """Their tokens as a sequence that holds none of them: each use of it reads what is not kept."""
        return _Later(self, passages)

    def get(self, passages: Sequence[Passage]) -> list[PassageTokens]:
        """Their tokens, now."""
        found = self._kept.get([p.key for p in passages])
        wanted = {p.key: p for p in passages if p.key not in found}
        if wanted:
            read = dict(zip(wanted, self._fetch(list(wanted.values())), strict=True))
            self._kept.put(read, self._most_bytes)
            found |= read
        return [found[p.key] for p in passages]


class _Later(Sequence[PassageTokens]):
    def __init__(self, kept: KeptTokens, passages: Sequence[Passage]) -> None:
        self._tokens, self._passages = kept, passages

    def __len__(self) -> int:
        return len(self._passages)

    def __iter__(self) -> Iterator[PassageTokens]:
        return iter(self._tokens.get(self._passages))

    @overload
    def __getitem__(self, at: int) -> PassageTokens: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[PassageTokens]: ...

    def __getitem__(self, at: int | slice) -> PassageTokens | Sequence[PassageTokens]:
        if isinstance(at, slice):
            return _Later(self._tokens, self._passages[at])
        return self._tokens.get([self._passages[at]])[0]
