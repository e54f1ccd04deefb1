"""Tokens of many lists are read when they are needed, and no more are kept than there is room for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from synthetic import passage_tokens
from tribrid.encoders.token_cache import KeptTokens
from tribrid.encoders.tokens import PassageTokens
from tribrid.types import Passage

RNG = np.random.default_rng(0)
PASSAGES = [Passage(f"d{i}", 0, 0, 9, "", f"text {i}") for i in range(6)]
TOKENS = {passage.key: passage_tokens(RNG, 5) for passage in PASSAGES}
ONE = TOKENS[PASSAGES[0].key].nbytes


class Index:
    """Where tokens are read, and what was read there."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def fetch(self, passages: Sequence[Passage]) -> list[PassageTokens]:
        self.read += [passage.doc_id for passage in passages]
        return [TOKENS[passage.key] for passage in passages]


def test_nothing_is_read_before_it_is_used() -> None:
    index = Index()
    later = KeptTokens(index.fetch).of(PASSAGES[:3])
    assert len(later) == 3
    assert index.read == []
    assert list(later) == [TOKENS[p.key] for p in PASSAGES[:3]]
    assert index.read == ["d0", "d1", "d2"]


def test_a_passage_of_several_lists_is_read_once() -> None:
    index = Index()
    kept = KeptTokens(index.fetch)
    assert [len(list(kept.of(PASSAGES[at : at + 3]))) for at in (0, 1, 2)] == [3, 3, 3]
    assert index.read == ["d0", "d1", "d2", "d3", "d4"]
    assert list(kept.of([PASSAGES[5], PASSAGES[5]])) == [TOKENS[PASSAGES[5].key]] * 2
    assert index.read.count("d5") == 1


def test_no_more_is_kept_than_there_is_room_for() -> None:
    index = Index()
    kept = KeptTokens(index.fetch, most_bytes=2 * ONE)
    for passage in PASSAGES[:3]:
        kept.get([passage])
    kept.get([PASSAGES[2], PASSAGES[1]])  # the two that were asked for last
    assert index.read == ["d0", "d1", "d2"]
    kept.get([PASSAGES[0]])
    assert index.read == ["d0", "d1", "d2", "d0"]
    kept.get([PASSAGES[1]])
    kept.get([PASSAGES[2]])
    assert index.read == ["d0", "d1", "d2", "d0", "d2"]


def test_a_list_that_is_larger_than_the_room_is_read_whole() -> None:
    index = Index()
    later = KeptTokens(index.fetch, most_bytes=ONE).of(PASSAGES)
    assert list(later) == list(later) == [TOKENS[p.key] for p in PASSAGES]
    assert len(index.read) > len(PASSAGES)


def test_parts_of_a_list_are_lists() -> None:
    later = KeptTokens(Index().fetch).of(PASSAGES)
    assert later[1] == TOKENS[PASSAGES[1].key]
    assert list(later[2:4]) == [TOKENS[p.key] for p in PASSAGES[2:4]]
