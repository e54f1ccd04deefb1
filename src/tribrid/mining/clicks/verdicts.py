"""From counts and the click model to labels: which documents are good for a query, how sure that is, and why.

A document is a negative only of those with better feedback than its own, and only if it was looked at: somebody used a
document below it or just above it, or it was shown so often that somebody must have seen it. Everything else that was
shown is unknown.

References:
    Zhang, Jones: Comparing click logs and editorial labels for training query rewriting, WWW 2007 workshop on query log
    analysis (clicks over expected clicks; here shrunk, and expected at the ranks where a document really stood).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tribrid.mining.clicks.counts import (
    ABOVE,
    ACT_BITS,
    BELOW,
    DOC_BITS,
    DOC_MASK,
    GIVEN_UP,
    RECONSTRUCTED,
    SHOWN,
    USED,
    Cells,
    LogCounts,
    Sums,
)
from tribrid.mining.clicks.feedback import ACTS, OPENED, SHORT_CLICK, STRENGTHS
from tribrid.mining.clicks.model import Counts, Floats, Ints, fit, sigmoid
from tribrid.mining.clicks.support import Flags, Support
from tribrid.mining.labels import FEW_EVIDENCE, Positive
from tribrid.types import FILTERED_EVIDENCE, FIRST_RANK, RECONSTRUCTED_EVIDENCE, Signal

LEAST_WEIGHT = 0.05
"""Evidence that disagrees until less than this remains is no label."""
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
FEW_WEIGHT = 0.5
"""What a label counts that too few clients stand behind, where no other label of its query has enough."""
DEEP_RANK = 10
"""From here down, what too few clients used counts the less the lower it stood, by the square: that few look there
makes an honest use rare, and one that is meant to mislead no rarer."""
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


@dataclass(frozen=True, slots=True)
class _Totals:
    """Of each (query, document): what all its impressions and acts come to.

    Attributes:
        shown, used, above, below: impressions, as counted.
        looks: expected looks, by the ranks at which it stood.
        share: share of good documents at those ranks.
        mass, rebuilt: uses, in clicks, weighed by what they say: in lists, and in reconstructed ones.
        log_ratio: log-likelihood ratio of it being good, by what was done and not done in lists.
        highest: the highest rank at which it was used; where it was only rated, at which it was shown.
    """

    shown: Floats
    used: Floats
    above: Floats
    below: Floats
    looks: Floats
    share: Floats
    mass: Floats
    rebuilt: Floats
    log_ratio: Floats
    highest: Floats


class Verdicts:
    """Columns with a row for each (query, document), of the queries that somebody acted on.

    What nobody acted on says nothing of how people look: there may be no people behind it.

    Attributes:
        pair: int64 (n,), ascending; all others are of the same length.
        shown, above, below: impressions, and those in which it was passed over above a use or left alone below one.
        expected: uses to be expected of an average document at the ranks where this one stood.
        rebuilt: uses in reconstructed lists, in clicks.
        standing: how good its feedback is, -1..1.
        weight: how sure that is, 0..1; where there is no feedback, 0.
        judged: it was rated, so clicks say nothing of it.
        good: how likely it is good, 0..1, whoever stands behind that; not what a label weighs.
        looks: how often somebody has looked at it, expected by the ranks at which it stood.
        evidence: what lists say of it alone, wherever it stood: the log-odds that they add to whatever is assumed.
        seen: it was left alone where it was looked at.
        worse: how sure it is, 0..1, that it is worse than what everybody uses; 0 where nothing is known.
        few: too few clients stand behind its label, so it counts less and is not remembered.
        conflicting: how many rows have feedback that cancels out.
        outnumbered: how many labels were dropped, because few clients stand behind them and many behind another.
        positive, bad: it has a label.
        bounds: where each query begins, and the end.
        model: how people look.
    """

    def __init__(self, counts: LogCounts) -> None:
        self._queries, self._names = counts.queries, list(counts.doc_ids)
        self._stated, self._first, self._filtered = counts.stated, counts.first, counts.filtered
        # One by one, numbers of Python's own are read several times faster than numpy's.
        self._acts = counts.acts.keys
        self._act_keys = counts.acts.keys.tolist()
        self._act_times = counts.acts.counts[:, 0].tolist()
        self._acted_us = counts.last_us.counts[:, 0].tolist()
        acts = counts.acts.keys >> ACT_BITS
        stated = np.fromiter(counts.stated, np.int64, len(counts.stated))
        acted = np.zeros(len(counts.queries), dtype=bool)
        acted[acts >> DOC_BITS] = acted[stated >> DOC_BITS] = True
        self.support = Support(counts)
        self._judge(self._added_up(counts.taken_cells().of(acted), counts.acts, stated), stated)

    def _added_up(self, cells: Cells, acts: Sums, stated: Ints) -> _Totals:
        """What was shown, by the rank at which it stood, and what was done, by what it says."""
        acted = acts.keys >> ACT_BITS
        pair = np.sort(np.concatenate([cells.pair, acted, stated]), kind="stable")
        self.pair = pair[np.diff(pair, prepend=-1) != 0]
        self.bounds = np.flatnonzero(np.diff(self.pair >> DOC_BITS, prepend=-1, append=-1))
        self.model = model = fit(Counts(cells.pair, cells.rank, cells.column(SHOWN), cells.column(USED)))
        size, row = len(self.pair), np.searchsorted(self.pair, cells.pair)

        def summed(values: Floats) -> Floats:
            return _added(row, values, size)

        times, rank = cells.column(SHOWN), cells.rank
        shown, used, above, below = (summed(cells.column(column)) for column in (SHOWN, USED, ABOVE, BELOW))
        silence = times - cells.column(USED) + GIVEN_UP_SILENCE * cells.column(GIVEN_UP)
        share = summed(times * model.good_share(rank)) / np.maximum(shown, 1)
        code = acts.keys & (2 * RECONSTRUCTED - 1)
        clicks = np.array([STRENGTHS[act] for act in ACTS])[code & ~RECONSTRUCTED] * acts.counts[:, 0]
        act_row, in_list = np.searchsorted(self.pair, acted), code < RECONSTRUCTED
        mass = _added(act_row, np.where(in_list, clicks, 0.0), size)
        was_used = cells.column(USED) > 0
        at, used_at = np.full(size, np.inf), np.full(size, np.inf)
        np.minimum.at(at, row, rank)
        np.minimum.at(used_at, row[was_used], rank[was_used])
        return _Totals(
            shown,
            used,
            above,
            below,
            looks=summed(model.examined(rank) * times),
            share=np.where(shown > 0, share, model.share[0]),
            mass=mass,
            rebuilt=_added(act_row, np.where(in_list, 0.0, clicks), size),
            log_ratio=mass * model.for_use() + summed(silence * model.for_silence(rank)),
            highest=np.select([np.isfinite(used_at), np.isfinite(at)], [used_at, at], FIRST_RANK),
        )

    def _judge(self, total: _Totals, stated: Ints) -> None:
        """Standing and weight of every row."""
        expected = total.looks * self.model.average
        good = sigmoid(total.log_ratio + np.log(total.share / (1 - total.share)))
        outvoted = (total.looks >= LEAST_LOOKS) & (total.used < expected)
        clicked = np.where((total.mass > 0) & (total.log_ratio > 0) & ~outvoted, good, 0.0)
        against = np.exp(np.minimum(total.log_ratio, 0))
        of_all, of_most = self._rebuilt_shares(total.rebuilt)
        self.weight = 1 - (1 - clicked) * (1 - total.rebuilt / (total.rebuilt + 1) * of_most * against)
        rate = (total.mass + SHRINKAGE * self.model.average) / (np.maximum(total.looks, total.mass) + SHRINKAGE)
        rate = np.where(total.mass > 0, good * np.minimum(rate, 1), 0.0)
        self.standing = np.round(IMPLICIT_CEILING * np.maximum(rate, of_all), 9)
        self.judged = np.zeros(len(self.pair), dtype=bool)
        decided = stated[self.support.judged(stated)]
        for row, pair in zip(np.searchsorted(self.pair, decided).tolist(), decided.tolist(), strict=True):
            said = self._stated[pair]
            self.judged[row], self.weight[row], self.standing[row] = True, said.weight, said.standing
        self.looks, self.evidence = total.looks.astype(np.float32), total.log_ratio
        self.good = self._probability(good, total, of_most)
        labelled = self.weight >= LEAST_WEIGHT
        self.conflicting = int((((total.mass > 0) | (total.rebuilt > 0) | self.judged) & ~labelled).sum())
        labelled = self._counted_by_client(labelled, total.highest)
        self.positive, self.bad = labelled & (self.standing > 0), labelled & (self.standing < 0)
        passed = (total.above > 0) | (total.below > 0)
        self.seen = ~self.judged & (passed | (total.looks >= LEAST_LOOKS))
        rebuilt = np.where((total.rebuilt > 0) & ~self.judged, REBUILT_DOUBT, 0.0)
        self.worse = np.where(self.seen, 1 - (1 - SILENCE_DOUBT) * against, rebuilt)
        # Kept for the words of as many labels as a log has documents: no larger than they must be.
        self.shown, self.above, self.below = (
            column.astype(np.uint32) for column in (total.shown, total.above, total.below)
        )
        self.expected, self.rebuilt = expected.astype(np.float32), total.rebuilt.astype(np.float32)

    def _probability(self, good: Floats, total: _Totals, of_most: Floats) -> Floats:
        """float64 (n,): by the lists alone, joined with clicks in lists that nobody recorded; where rated, by that."""
        in_lists = np.where(total.shown > 0, good, 0.0)
        clicked = 1 - (1 - in_lists) * (1 - total.rebuilt / (total.rebuilt + 1) * of_most)
        rated: Floats = 0.5 + 0.5 * self.weight * np.sign(self.standing)
        return np.where(self.judged, rated, clicked)

    def _counted_by_client(self, labelled: Flags, highest: Floats) -> Flags:
        """Which labels are left: those with clients enough, and others where none of the query has them, at less."""
        enough, settled = self.support.enough(self.pair, self.standing > 0)
        labelled = labelled & (self.standing != 0)
        dropped = labelled & ~enough & settled
        self.outnumbered = int(dropped.sum())
        self.standing[dropped] = 0.0
        self.few = labelled & ~enough & ~settled
        self.weight[self.few] *= FEW_WEIGHT * np.minimum(1.0, DEEP_RANK / highest[self.few]) ** 2
        return labelled & ~dropped

    def _rebuilt_shares(self, rebuilt: Floats) -> tuple[Floats, Floats]:
        """Of the query's uses in reconstructed lists: the row's share of all, shrunk, and of the most used one's."""
        if not len(rebuilt):
            return rebuilt, rebuilt
        starts, lengths = self.bounds[:-1], np.diff(self.bounds)
        total = np.repeat(np.add.reduceat(rebuilt, starts), lengths)
        most = np.repeat(np.maximum.reduceat(rebuilt, starts), lengths)
        return rebuilt / (total + SHRINKAGE), rebuilt / np.maximum(most, 1e-9)

    def asked(self, row: int) -> tuple[str, str]:
        """The query of a row, as first asked, and the query_id of its first list."""
        return self._queries[int(self.pair[row]) >> DOC_BITS]

    def goods(self, rows: Ints) -> Iterator[Positive]:
        """The positives of these rows."""
        columns = (self.weight, self.standing, self.few, self.judged, self.shown, self.expected, self.rebuilt)
        values = zip(*(column[rows].tolist() for column in columns), strict=True)
        found = zip(self.pair[rows].tolist(), self._spans(rows), values, strict=True)
        for pair, (start, end), (weight, standing, few, *told) in found:
            said = self._stated.get(pair)
            evidence = f"{FEW_EVIDENCE * few}{self._kind(pair, told[-1])}{self._first[pair]}"
            words = self._told(pair, start, end, *told)
            observed_us = max([said.last_us if said else 0, *self._acted_us[start:end]])
            yield Positive(self._names[pair & DOC_MASK], weight, standing, words, evidence, observed_us=observed_us)

    def _kind(self, pair: int, rebuilt: float) -> str:
        """Of the lists behind a label."""
        if pair in self._filtered:
            return FILTERED_EVIDENCE
        return RECONSTRUCTED_EVIDENCE if rebuilt else "impression:"

    def _spans(self, rows: Ints) -> Iterator[tuple[int, int]]:
        """Where what was done with the documents of these rows begins and ends."""
        pairs = self.pair[rows]
        return zip(*(np.searchsorted(self._acts, of << ACT_BITS).tolist() for of in (pairs, pairs + 1)), strict=True)

    def doc_id(self, number: int) -> str:
        return self._names[number]

    def name(self, row: int) -> str:
        return self._names[int(self.pair[row]) & DOC_MASK]

    def looked_at(self, rows: range) -> list[str]:
        """The documents of these rows of which it is known that they may be worse than another."""
        pairs = self.pair[rows.start : rows.stop][self.worse[rows.start : rows.stop] >= LEAST_WEIGHT]
        return [self._names[number] for number in (pairs & DOC_MASK).tolist()]

    def unknown(self, row: int) -> bool:
        return not (self.positive[row] or self.bad[row] or self.seen[row])

    def words(self, row: int) -> str:
        """What was done with a document, and what an average one would have had in its places."""
        pair, ((start, end),) = int(self.pair[row]), self._spans(np.array([row]))
        columns = (self.judged, self.shown, self.expected, self.rebuilt)
        return self._told(pair, start, end, *(column[row].item() for column in columns))

    def _told(self, pair: int, start: int, end: int, judged: bool, shown: int, expected: float, rebuilt: float) -> str:
        if judged:
            said = self._stated[pair]
            return ", ".join(f"{act} {times}x" for act, times in sorted(said.acts.items()))
        codes = [key & (2 * RECONSTRUCTED - 1) for key in self._act_keys[start:end]]
        acts = [
            f"{_VERBS[ACTS[code]]} {times}x"
            for code, times in zip(codes, self._act_times[start:end], strict=True)
            if code < RECONSTRUCTED
        ]
        parts = []
        if acts or shown:
            done = ", ".join(acts) or "not clicked"
            parts.append(f"{done} in {shown} impression{'s' * (shown != 1)}, {expected:.1f} expected")
        if rebuilt:
            parts.append(f"clicked {rebuilt:g}x where the list was not recorded")
        return "; ".join(parts)


def _added(row: Ints, values: Floats, size: int) -> Floats:
    """The sum of the values of each row; numpy's own answer for none at all is of another type."""
    return np.bincount(row, values, size).astype(np.float64)
