"""A log counted by columns comes to what it comes to list by list, whatever is in it and however it is cut."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from row_counting import Counted, count, survey
from tribrid.mining.clicks import voters as limits
from tribrid.mining.clicks.counts import LogCounts
from tribrid.mining.clicks.labels import CountedLog, count_log
from tribrid.mining.clicks.voters import Voters
from tribrid.mining.clicks.voters import survey as survey_columns
from tribrid.types import Feedback, ImpressionSource, LoggedList, Signal
from tribrid.types.logblocks import LogBlock, block_of, joined

T0 = 1_767_225_600_000_000  # midnight
WORDS = ("red", "blue", "shoe", "shoes", "of", "map")
STEPS_US = {"busy": 400_000, "seconds": 3_000_000, "minutes": 60_000_000, "days": 0}
SOURCES: tuple[ImpressionSource, ...] = ("search", "import", "reconstructed")


def log(seed: int, pace: str, clients: int, size: int = 250) -> list[LoggedList]:
    """Lists of few queries, documents and people, so that everything repeats itself in every way."""
    rng, at_us = random.Random(seed), T0
    lists: list[LoggedList] = []
    for number in range(size):
        at_us += rng.randrange(2) * rng.randrange(3) * STEPS_US[pace]
        if pace == "days":
            at_us += 86_400_000_000 * (rng.random() < 0.02)
        docs, ranks = shown(rng, lists)
        text = " ".join(rng.sample(WORDS, rng.randint(1, 3)))
        client = f"c{rng.randrange(clients)}" if clients and rng.random() < 0.9 else None
        acts = feedback(rng, f"q{number}", docs, at_us) if rng.random() < 0.5 else []
        query = text.upper() if rng.random() < 0.1 else text
        source = rng.choices(SOURCES, (6, 3, 1))[0]
        lists.append(LoggedList(f"q{number}", query, docs, ranks, acts, at_us, source, client, rng.random() < 0.1))
    return lists


def shown(rng: random.Random, before: Sequence[LoggedList]) -> tuple[list[str], list[int]]:
    docs = rng.sample("abcdefghijkl", rng.randrange(8))
    if rng.random() < 0.3 and before:  # the same once more
        docs = list(rng.choice(before[-5:]).doc_ids)
    if docs and rng.random() < 0.1:  # a document twice
        docs.insert(rng.randrange(len(docs)), docs[0])
    ranks = list(range(1, len(docs) + 1)) if rng.random() < 0.8 else [rng.randrange(1, 130) for _ in docs]
    return docs, ranks


def feedback(rng: random.Random, query_id: str, docs: Sequence[str], at_us: int) -> list[Feedback]:
    kinds = [*Signal, *[Signal.CLICK] * 9]
    made = []
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        doc_id = rng.choice([*docs, *docs, *docs, "elsewhere", None])
        value = rng.choice((None, 1.0, 3.0, 4.5, 12.0, 30.0))
        made.append(Feedback(query_id, rng.choice(kinds), doc_id, value, at_us + rng.randrange(3)))
    return sorted(made, key=lambda act: act.created_us)


def cut(lists: Sequence[LoggedList], most: int, seed: int) -> Iterator[LogBlock]:
    rng, at = random.Random(seed), 0
    while at < len(lists):
        size = rng.randint(1, most)
        yield block_of(lists[at : at + size])
        at += size


def assert_same(counts: LogCounts, expected: Counted) -> None:
    assert counts.queries == expected.queries
    assert list(counts.doc_ids.items()) == list(expected.doc_ids.items())
    assert dict(zip(counts.cells.keys.tolist(), counts.cells.counts.tolist(), strict=True)) == expected.cells
    assert (np.diff(counts.cells.keys) > 0).all()
    for sums, wanted in ((counts.acts, expected.acts), (counts.last_us, expected.last_us)):
        assert dict(zip(sums.keys.tolist(), sums.counts[:, 0].tolist(), strict=True)) == wanted
    for name in ("first", "filtered", "stated"):
        assert getattr(counts, name) == getattr(expected, name)
    assert list(counts.clients.items()) == list(expected.clients.items())
    assert counts.votes.tolist() == [list(vote) for vote in expected.votes]


@pytest.mark.parametrize("pace", STEPS_US)
@pytest.mark.parametrize("clients", [0, 3, 40])
@pytest.mark.parametrize("most", [9, 1000])
def test_columns_count_as_rows_do(pace, clients, most, monkeypatch) -> None:
    monkeypatch.setattr("tribrid.mining.clicks.counts.BUFFERED", 200)
    for seed in range(2):
        lists = log(seed, pace, clients)
        named = [logged for logged in lists if logged.client_id]
        found: CountedLog = count_log(
            list(cut(lists, most, seed)), examined_below_click=seed, min_clients=3, named=cut(named, most, seed)
        )
        expected = count(lists, survey(named, 3), seed)
        assert (found.lists, found.anonymous) == (expected.lists, expected.anonymous)
        assert_same(found.counts, expected)


def test_what_is_no_person_is_found_as_list_by_list(monkeypatch) -> None:
    for limit, value in (("LISTS_PER_MINUTE", 6), ("ACTS_PER_MINUTE", 8), ("SHARE_LISTS", 20), ("BREADTH_SHOWN", 8)):
        monkeypatch.setattr(limits, limit, value)
        monkeypatch.setattr(f"row_counting.{limit}", value)
    for share in (("SHARE", 0.1), ("TIMES_THE_OTHERS", 1), ("BREADTH", 0.1)):
        monkeypatch.setattr(limits, *share)
        monkeypatch.setattr(f"row_counting.{share[0]}", share[1])
    reasons: set[str] = set()
    for seed in range(8):
        for pace in STEPS_US:
            lists = [logged for logged in log(seed, pace, 12) if logged.client_id]
            found: Voters = survey_columns(cut(lists, 50, seed), 3)
            assert found == survey(lists, 3)
            reasons |= set(found.bots.values())
    assert reasons == {limits.TOO_FAST, limits.TOO_BROAD, limits.TOO_MUCH}


def test_blocks_are_cut_and_joined_without_loss() -> None:
    lists = log(5, "seconds", 5)
    block = block_of(lists)
    plain = [logged._replace(feedback=tuple(logged.feedback)) for logged in lists]

    def told(block: LogBlock) -> list[LoggedList]:
        return [logged._replace(feedback=tuple(logged.feedback)) for logged in block.lists()]

    assert told(block) == plain
    assert told(block[17:90]) == plain[17:90]
    odd = np.arange(len(lists)) % 3 == 1
    assert told(block.where(odd)) == [one for one, kept in zip(plain, odd, strict=True) if kept]
    parts = [block.where(np.arange(len(lists)) % 3 == part) for part in (2, 0, 1)]
    ordered = sorted((*told(parts[0]), *told(parts[1]), *told(parts[2])), key=lambda logged: logged.created_us)
    assert told(joined(parts)) == ordered
