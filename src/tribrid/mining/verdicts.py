"""From counts and the click model to labels: which documents are good for a query, how sure that is, and why.

A document is a negative only of those with better feedback than its own, and only if it was looked at: somebody used a
document below it or just above it, or it was shown so often that somebody must have seen it. Everything else that was
shown is unknown.

References:
    Zhang, Jones: Comparing click logs and editorial labels for training query rewriting, WWW 2007 workshop on query log
    analysis (clicks over expected clicks; here shrunk, and expected at the ranks where a document really stood).
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from tribrid.mining.clickmodel import Counts, Floats, Ints, fit, sigmoid
from tribrid.mining.labels import EXPLICITLY_BAD, Group, Known, Positive, Preferences
from tribrid.mining.logcounts import (
    ABOVE,
    ACT_BITS,
    BELOW,
    DOC_BITS,
    DOC_MASK,
    GIVEN_UP,
    RANK_BITS,
    RANK_MASK,
    RECONSTRUCTED,
    SHOWN,
    USED,
    LogCounts,
)
from tribrid.mining.logs import ACTS, OPENED, SHORT_CLICK, STRENGTHS
from tribrid.types import RECONSTRUCTED_EVIDENCE, Signal, Source

_T = TypeVar("_T")

LEAST_WEIGHT = 0.05
"""Evidence that disagrees until less than this remains is no label."""
PASSED_ABOVE, PASSED_BELOW, SELDOM_USED, CLICKED_LESS = (
    "skipped_above",
    "next_not_clicked",
    "seldom_used",
    "clicked_less",
)
LEAST_LOOKS = 5.0
"""Expected looks from which clicks over expected clicks decide, and from which a document counts as looked at though
nothing next to it was used."""
SHRINKAGE = 1.0
"""Looks of an average document that every rate of use starts with, so that one click of one does not beat 90 of 100."""
SILENCE_DOUBT = 0.3
"""How far a document that nobody chose is trusted to be worse before it is known whether anybody looked."""
GIVEN_UP_SILENCE = 0.5
"""What a list that was given up adds to its silence: weak evidence against what was shown and not used."""
REBUILT_DOUBT = 0.5
"""Of two documents clicked in lists that nobody recorded, the one clicked more may only have stood higher."""
IMPLICIT_CEILING = 0.5
"""No number of clicks stands above an undisputed good rating."""

_VERBS: dict[str, str] = {
    Signal.CLICK: "clicked",
    SHORT_CLICK: "clicked and left soon",
    Signal.DWELL: "read",
    Signal.COPY: "copied",
    Signal.CITE: "cited",
    OPENED: "opened",
}


class Verdicts:
    """Columns with a row for each (query, document), of the queries that somebody acted on.

    What nobody acted on says nothing of how people look: there may be no people behind it.

    Attributes:
        pair: int64 (n,), ascending; all others are of the same length.
        shown, used, above, below: impressions, as counted.
        expected: uses to be expected of an average document at the ranks where this one stood.
        mass, rebuilt: uses, in clicks, weighed by what they say: in lists, and in reconstructed ones.
        log_ratio: log-likelihood ratio of the document being good, by what was done and not done in lists.
        standing: how good its feedback is, -1..1.
        weight: how sure that is, 0..1; where there is no feedback, 0.
        judged: it was rated, so clicks say nothing of it.
        seen: it was left alone where it was looked at.
        conflicting: how many rows have feedback that cancels out.
    """

    def __init__(self, counts: LogCounts) -> None:
        self.counts = counts
        self._names = list(counts.doc_ids)
        acts = counts.acts.keys >> ACT_BITS
        stated = np.fromiter(counts.stated, np.int64, len(counts.stated))
        acted = np.zeros(len(counts.queries), dtype=bool)
        acted[acts >> DOC_BITS] = acted[stated >> DOC_BITS] = True
        kept = acted[counts.cells.keys >> (DOC_BITS + RANK_BITS)]
        cells = _Cells(counts.cells.keys[kept], counts.cells.counts[kept])
        pair = np.sort(np.concatenate([cells.pair, acts, stated]), kind="stable")
        self.pair = pair[np.diff(pair, prepend=-1) != 0]
        self._add_up(cells)
        self._weigh(acts)
        self._judge(stated)

    def _add_up(self, cells: _Cells) -> None:
        """What was shown, by the rank at which it stood."""
        self.model = model = fit(Counts(cells.pair, cells.rank, cells.column(SHOWN), cells.column(USED)))
        row, size = np.searchsorted(self.pair, cells.pair), len(self.pair)

        def summed(values: Floats) -> Floats:
            return _added(row, values, size)

        self.shown, self.used, self.above, self.below = (
            summed(cells.column(column)) for column in (SHOWN, USED, ABOVE, BELOW)
        )
        shown = cells.column(SHOWN)
        self._looks = summed(model.examined(cells.rank) * shown)
        self.expected = self._looks * model.average
        silence = shown - cells.column(USED) + GIVEN_UP_SILENCE * cells.column(GIVEN_UP)
        self.log_ratio = summed(silence * model.for_silence(cells.rank))
        share = summed(shown * model.good_share(cells.rank))
        self._share = np.where(self.shown > 0, share / np.maximum(self.shown, 1), model.share[0])

    def _weigh(self, acts: Ints) -> None:
        """What was done, by what it says."""
        code = self.counts.acts.keys & (2 * RECONSTRUCTED - 1)
        strengths = np.array([STRENGTHS[act] for act in ACTS])
        mass = strengths[code & ~RECONSTRUCTED] * self.counts.acts.counts[:, 0]
        row, rebuilt = np.searchsorted(self.pair, acts), code >= RECONSTRUCTED
        self.mass, self.rebuilt = (
            _added(row, np.where(rebuilt == which, mass, 0.0), len(self.pair)) for which in (False, True)
        )
        # One by one, numbers of Python's own are read several times faster than numpy's.
        self._act_keys = self.counts.acts.keys.tolist()
        self._act_times = self.counts.acts.counts[:, 0].tolist()
        self._acted_us = self.counts.last_us.counts[:, 0].tolist()
        self.log_ratio += self.mass * self.model.for_use()
        self._bounds = np.flatnonzero(np.diff(self.pair >> DOC_BITS, prepend=-1, append=-1))

    def _judge(self, stated: Ints) -> None:
        """Standing and weight of every row."""
        good = sigmoid(self.log_ratio + np.log(self._share / (1 - self._share)))
        rate = (self.mass + SHRINKAGE * self.model.average) / (np.maximum(self._looks, self.mass) + SHRINKAGE)
        outvoted = (self._looks >= LEAST_LOOKS) & (self.used < self.expected)
        clicked = np.where((self.mass > 0) & (self.log_ratio > 0) & ~outvoted, good, 0.0)
        of_all, of_most = self._rebuilt_shares()
        rebuilt = self.rebuilt / (self.rebuilt + 1) * of_most * np.exp(np.minimum(self.log_ratio, 0))
        self.weight = 1 - (1 - clicked) * (1 - rebuilt)
        rate = np.where(self.mass > 0, good * np.minimum(rate, 1), 0.0)
        self.standing = np.round(IMPLICIT_CEILING * np.maximum(rate, of_all), 9)
        self.judged = np.zeros(len(self.pair), dtype=bool)
        for row, pair in zip(np.searchsorted(self.pair, stated).tolist(), stated.tolist(), strict=True):
            said = self.counts.stated[pair]
            self.judged[row], self.weight[row], self.standing[row] = True, said.weight, said.standing
        labelled = self.weight >= LEAST_WEIGHT
        self.conflicting = int((((self.mass > 0) | (self.rebuilt > 0) | self.judged) & ~labelled).sum())
        self._positive = labelled & (self.standing > 0)
        self._bad = labelled & (self.standing < 0)
        self.seen = ~self.judged & ((self.above > 0) | (self.below > 0) | (self._looks >= LEAST_LOOKS))

    def _rebuilt_shares(self) -> tuple[Floats, Floats]:
        """Of the query's uses in reconstructed lists: the row's share of all, shrunk, and of the most used one's."""
        if not len(self.pair):
            return self.rebuilt, self.rebuilt
        starts, lengths = self._bounds[:-1], np.diff(self._bounds)
        total = np.repeat(np.add.reduceat(self.rebuilt, starts), lengths)
        most = np.repeat(np.maximum.reduceat(self.rebuilt, starts), lengths)
        return self.rebuilt / (total + SHRINKAGE), self.rebuilt / np.maximum(most, 1e-9)

    def groups(self) -> Iterator[Group]:
        """A group for each query that has a positive."""
        if not len(self.pair):
            return
        positives = np.add.reduceat(self._positive.astype(np.int64), self._bounds[:-1])
        for number in np.flatnonzero(positives).tolist():
            yield self._group(int(self._bounds[number]), int(self._bounds[number + 1]))

    def _group(self, start: int, end: int) -> Group:
        text, query_id = self.counts.queries[int(self.pair[start]) >> DOC_BITS]
        positive_at = (start + np.flatnonzero(self._positive[start:end])).tolist()
        positives = sorted(map(self._good, positive_at), key=lambda found: (-found.standing, found.doc_id))
        bad = [
            Known(
                self.name(row),
                float(self.weight[row]),
                EXPLICITLY_BAD,
                f"the negative was {self.words(row)}",
                "explicitly_bad",
            )
            for row in (start + np.flatnonzero(self._bad[start:end])).tolist()
        ]
        rows = range(start, end)
        unknown = _Unknown(self, rows)
        return Group(query_id, text, Source.LOGS, tuple(positives), tuple(bad), _Lost(self, rows, positives), unknown)

    def _good(self, row: int) -> Positive:
        pair = int(self.pair[row])
        said = self.counts.stated.get(pair)
        return Positive(
            self.name(row),
            float(self.weight[row]),
            float(self.standing[row]),
            self.words(row),
            f"{RECONSTRUCTED_EVIDENCE if self.rebuilt[row] else 'impression:'}{self.counts.first[pair]}",
            observed_us=max([said.last_us if said else 0, *(at_us for _, _, at_us in self._done(pair))]),
        )

    def _done(self, pair: int) -> Iterator[tuple[int, int, int]]:
        """What was done with a document: code of the act, how often, and when last."""
        keys, row = self._act_keys, bisect_left(self._act_keys, pair << ACT_BITS)
        while row < len(keys) and keys[row] >> ACT_BITS == pair:
            yield keys[row] & (2 * RECONSTRUCTED - 1), self._act_times[row], self._acted_us[row]
            row += 1

    def name(self, row: int) -> str:
        return self._names[int(self.pair[row]) & DOC_MASK]

    def certainty(self, row: int) -> float:
        """How sure it is, 0..1, that a document is worse than one that everybody uses; 0 where nothing is known."""
        if self.seen[row]:
            return 1 - (1 - SILENCE_DOUBT) * math.exp(min(0.0, self.log_ratio[row]))
        return REBUILT_DOUBT if self.rebuilt[row] and not self.judged[row] else 0.0

    def unknown(self, row: int) -> bool:
        return not (self._positive[row] or self._bad[row] or self.seen[row])

    def words(self, row: int) -> str:
        """What was done with a document, and what an average one would have had in its places."""
        pair = int(self.pair[row])
        said = self.counts.stated.get(pair)
        if said is not None:
            return ", ".join(f"{act} {times}x" for act, times in sorted(said.acts.items()))
        in_lists = [(code, times) for code, times, _ in self._done(pair) if code < RECONSTRUCTED]
        parts = []
        if in_lists or self.shown[row]:
            acts = ", ".join(f"{_VERBS[ACTS[code]]} {times}x" for code, times in in_lists) or "not clicked"
            shown = int(self.shown[row])
            parts.append(f"{acts} in {shown} impression{'s' * (shown != 1)}, {self.expected[row]:.1f} expected")
        if self.rebuilt[row]:
            parts.append(f"clicked {self.rebuilt[row]:g}x where the list was not recorded")
        return "; ".join(parts)


@dataclass(frozen=True, slots=True)
class _Cells:
    """Counts with a row for each (query, document, rank)."""

    keys: Ints
    counts: np.ndarray[tuple[int, int], np.dtype[np.uint32]]

    @property
    def pair(self) -> Ints:
        return self.keys >> RANK_BITS

    @property
    def rank(self) -> Ints:
        return self.keys & RANK_MASK

    def column(self, column: int) -> Floats:
        return self.counts[:, column].astype(np.float64)


def _added(row: Ints, values: Floats, size: int) -> Floats:
    """The sum of the values of each row; numpy's own answer for none at all is of another type."""
    return np.bincount(row, values, size).astype(np.float64)


class _Unknown(Set[str]):
    """The documents of a query that are neither good nor bad nor known to have been looked at."""

    __slots__ = ("_found", "_rows", "_verdicts")

    def __init__(self, verdicts: Verdicts, rows: range) -> None:
        self._verdicts, self._rows = verdicts, rows
        self._found: frozenset[str] | None = None

    @property
    def _names(self) -> frozenset[str]:
        # Made when asked for: of a hundred thousand queries in a log, mining asks for hundreds.
        if self._found is None:
            self._found = frozenset(self._verdicts.name(row) for row in self._rows if self._verdicts.unknown(row))
        return self._found

    def __contains__(self, doc_id: object) -> bool:
        return doc_id in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    @classmethod
    def _from_iterable(cls, it: Iterable[_T]) -> Set[_T]:  # what `unknown - others` is
        return frozenset(it)


class _Lost(Preferences):
    """Each positive of a query → the documents that were looked at and have worse feedback."""

    __slots__ = ("_rows", "_standings", "_verdicts")

    def __init__(self, verdicts: Verdicts, rows: range, positives: Sequence[Positive]) -> None:
        self._verdicts, self._rows = verdicts, rows
        self._standings = {positive.doc_id: positive.standing for positive in positives}

    def __iter__(self) -> Iterator[str]:
        return iter(self._standings)

    def __len__(self) -> int:
        return len(self._standings)

    def __getitem__(self, doc_id: str) -> tuple[Known, ...]:
        standing = self._standings[doc_id]
        found = (self._loser(row, standing) for row in self._rows)
        return tuple(known for known in found if known is not None and known.doc_id != doc_id)

    def documents(self) -> frozenset[str]:
        verdicts, best = self._verdicts, max(self._standings.values())
        found = ((row, verdicts.certainty(row)) for row in self._rows)
        return frozenset(
            verdicts.name(row)
            for row, believed in found
            if believed * (1 - max(0.0, float(verdicts.standing[row])) / best) >= LEAST_WEIGHT
        )

    def _loser(self, row: int, standing: float) -> Known | None:
        verdicts = self._verdicts
        own = float(verdicts.standing[row])
        weight = verdicts.certainty(row) * (1 - own / standing)
        if weight < LEAST_WEIGHT:
            return None
        kind, told = self._passed(row) if verdicts.seen[row] else (CLICKED_LESS, "")
        return Known(verdicts.name(row), weight, own, f"the negative was {told}{verdicts.words(row)}", kind)

    def _passed(self, row: int) -> tuple[str, str]:
        """How it is known that the document was looked at: the kind, and in words."""
        above, below = int(self._verdicts.above[row]), int(self._verdicts.below[row])
        parts = []
        if above:
            parts.append(f"shown above a click and passed over {above}x")
        if below:
            parts.append(f"shown next below one and left alone {below}x")
        kind = PASSED_ABOVE if above else PASSED_BELOW if below else SELDOM_USED
        return kind, "".join(f"{part}, " for part in parts)
