"""Mining: from labels of every source to weighted triplets, up to a budget of pairs.

The sources fill the budget in their order of trust. Within one, every query gives its best positive before any gives
its second: breadth teaches more than depth. What may not enter is refused with a reason and counted, first of all what
the eval dataset asks; searches that it was made from are not read.

A pair is a query and a positive; a triplet adds one negative. What `rejected` counts:

    pairs       in_eval_dataset · already_mined: a more trusted source has it · no_negative · ambiguous: several
                documents ask it · trivial: retrieval answers it, and there was no room left · not_retrieved: a
                generated query that does not find its own passage's document
    labels      unknown_document · conflicting_feedback: users, or two sources, contradict each
                other · too_few_clients: behind it, and more behind another of the query; or no room, and not remembered
    lists       served_by_fallback: users acted on an order that the reranker was meant to make and did not
    documents   that were no negative, once for each pair: near_duplicate (of a positive) · parent_or_sibling (of
                one) · shown_not_examined · positive_for_similar_query · contains_query · dropped_in_review

A document that is probably relevant too is held back: its triplet waits for review, and what is decided there holds
for every later mining.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from tribrid.config.sections import MiningConfig
from tribrid.corpus.lexical import normalise
from tribrid.mining.clicks.labels import LogLabels, log_groups
from tribrid.mining.conflicts import Shield
from tribrid.mining.families import PlacesOf
from tribrid.mining.generated import Generated, nothing_generated, outcome
from tribrid.mining.heuristics import heuristic_groups
from tribrid.mining.holdout import HeldOut, facts_of, without
from tribrid.mining.judge import judge_groups
from tribrid.mining.judgments import judged_groups
from tribrid.mining.labels import Group, Positive, by_turns
from tribrid.mining.margin import CALIBRATION_QUERIES, Margin, calibrate, worth_retrieving
from tribrid.mining.negatives import PassagesOf, Ranking, Rules, choose_negatives, no_places, trivial
from tribrid.mining.pair import Pair
from tribrid.mining.remembered import remember
from tribrid.mining.reviews import Reviews
from tribrid.mining.splits import QueryMatcher
from tribrid.types import (
    Candidate,
    Document,
    Emit,
    JudgedQuery,
    Review,
    Source,
    Triplet,
)
from tribrid.types.judging import JudgeLabel
from tribrid.types.logblocks import Log
from tribrid.types.stored import GeneratedCounts, MinedCounts, SourceCounts

Retrieve = Callable[[str], Sequence[Candidate]]

UNKNOWN_NAMED = 20
"""Unknown documents named in the counts; the rest is only counted."""
PROGRESS_STEPS = 100
HEURISTIC_TRIES = 2
"""Pseudo-queries tried for each pair wanted: each costs a retrieval, and most are trivial."""
TRIVIAL_WEIGHT = 0.5


def _no_documents() -> Iterable[Document]:
    return ()


@dataclass(frozen=True, slots=True)
class MiningInputs:
    """What there is to mine from.

    Every source given here is read, whichever are mined: what one knows to be good is no other's negative.

    Attributes:
        known: of these doc_ids, the ones that are in the corpus.
        passages_of: the indexed passages of these documents; one that is not indexed is missing from it.
        places_of: where these documents belong, as far as they say.
        reviews: what was decided of triplets of earlier minings.
        impressions: all that was shown, each with its feedback; streamed once, best in the order of time.
        named: those of them that have a client_id, streamed before; None: picked from `impressions`, streamed twice.
        fell_back: lists with feedback that are not among them, because the reranker had failed.
        judge_labels, judge_weight: what a model said of documents, and what that counts for, 0..1.
        documents: opens a walk over the corpus; called only for heuristics.
        generated: asks for queries for about so many pairs; called only where heuristics are mined and have room.
        eval_queries: texts of which no near-duplicate may be mined.
        held_out: lists that may not be learned from; `impressions` and `named` are read without them.
        sources: which to mine.
    """

    known: Callable[[Collection[str]], Collection[str]]
    passages_of: PassagesOf
    places_of: PlacesOf = no_places
    reviews: Iterable[Review] = ()
    impressions: Log = ()
    named: Log | None = None
    fell_back: int = 0
    judged: Sequence[JudgedQuery] = ()
    judge_labels: Sequence[JudgeLabel] = ()
    judge_weight: float = 0.0
    documents: Callable[[], Iterable[Document]] = _no_documents
    generated: Callable[[int], Generated] = nothing_generated
    eval_queries: Sequence[str] = ()
    held_out: HeldOut | None = None
    sources: Sequence[Source] = tuple(Source)


@dataclass(frozen=True, slots=True)
class Mined:
    """The triplets, those of a query together, and what was counted on the way (JSON-shaped)."""

    triplets: list[Triplet]
    counts: MinedCounts


def mine(inputs: MiningInputs, retrieve: Retrieve, config: MiningConfig, emit: Emit) -> Mined:
    """Mines at most `config.max_pairs` pairs. The same inputs give the same triplets.

    Args:
        retrieve: the deployed first stage's ranking of a query, best first, at least `config.negative_depth` deep.
        emit: gets `progress` with `done` and `total` queries retrieved, at most about 100 times a source.
    """
    logs = log_groups(
        without(inputs.impressions, inputs.held_out),
        examined_below_click=config.examined_below_click,
        min_clients=config.min_clients,
        named=_named(inputs),
    )
    run = _Mining(inputs, retrieve, config, emit, Reviews(inputs.reviews), logs.checked)
    refused = {"conflicting_feedback": logs.conflicting, "too_few_clients": logs.outnumbered}
    labelled = {
        Source.LOGS: run.admitted(Source.LOGS, logs.groups, refused),
        Source.JUDGMENTS: run.admitted(Source.JUDGMENTS, judged_groups(inputs.judged), {}),
    }
    if Source.LOGS in inputs.sources:
        run.reject("served_by_fallback", inputs.fell_back)
    people = [group for groups in labelled.values() for group in groups]
    run.shield = Shield(people)
    run.calibrate(labelled[Source.JUDGMENTS])
    for source, groups in labelled.items():
        if source in inputs.sources:
            run.take(source, groups)
    known_good = [*people, *run.take_judge(people)]
    if Source.HEURISTICS in inputs.sources and run.room:
        run.take_generated(known_good, inputs.generated(run.room))
    if Source.HEURISTICS in inputs.sources and run.room:
        found, ambiguous = heuristic_groups(inputs.documents())
        tried = found[: run.room * HEURISTIC_TRIES]
        asked = run.admitted(Source.HEURISTICS, tried, {"ambiguous": ambiguous})
        run.shield = Shield([*known_good, *run.written, *asked])
        run.take(Source.HEURISTICS, asked)
        run.fill_with_trivial()
    run.remember([group for source, groups in labelled.items() if source in inputs.sources for group in groups])
    return run.mined(logs)


def _named(inputs: MiningInputs) -> Log | None:
    return None if inputs.named is None else without(inputs.named, inputs.held_out)


@dataclass(slots=True)
class _Mining:
    """One run's ledger: what was taken, from whom, and what was refused."""

    inputs: MiningInputs
    retrieve: Retrieve
    config: MiningConfig
    emit: Emit
    reviews: Reviews
    checked: Callable[[Group, Positive], Positive]
    shield: Shield = field(default_factory=lambda: Shield(()))
    margin: Margin = field(default_factory=lambda: Margin(0.0))
    rankings: dict[str, Sequence[Candidate]] = field(default_factory=dict)
    reused: set[str] = field(default_factory=set)
    only_held_back: set[tuple[str, str]] = field(default_factory=set)
    triplets: list[Triplet] = field(default_factory=list)
    pairs: dict[tuple[str, str], Source] = field(default_factory=dict)
    rejected: Counter[str] = field(default_factory=Counter)
    unknown: dict[str, None] = field(default_factory=dict)
    id_of: dict[str, str] = field(default_factory=dict)
    text_of: dict[str, str] = field(default_factory=dict)
    kinds: Counter[str] = field(default_factory=Counter)
    retrieved: int = 0
    unretrieved_positives: int = 0
    spare: list[Pair] = field(default_factory=list)
    written: list[Group] = field(default_factory=list)
    generated: GeneratedCounts | None = None

    @property
    def room(self) -> int:
        return self.config.max_pairs - len(self.pairs)

    def reject(self, reason: str, count: int) -> None:
        self.rejected[reason] += count

    def admitted(self, source: Source, groups: Iterable[Group], refused: Mapping[str, int]) -> list[Group]:
        """The groups that may be mined: nothing of the eval dataset, nothing that the corpus does not hold.

        Refusals are counted only where the source is mined.
        """
        rejected = Counter(refused)
        matcher = QueryMatcher(self.inputs.eval_queries)
        clean: list[Group] = []
        for group in map(self.reviews.applied, groups):
            if matcher.matches(group.query):
                rejected["in_eval_dataset"] += len(group.positives)
            else:
                clean.append(group)
        documents = {doc_id for group in clean for doc_id in group.documents()}
        missing = documents - set(self.inputs.known(sorted(documents))) if documents else set()
        rejected["unknown_document"] += sum(len(group.documents() & missing) for group in clean) if missing else 0
        if source in self.inputs.sources:
            self.rejected.update(rejected)
            self.unknown.update(dict.fromkeys(sorted(missing)))
        kept = [group.without(missing) for group in clean] if missing else clean
        return [group for group in kept if group.positives]

    def calibrate(self, judged: Sequence[Group]) -> None:
        """Reads the margin off the judged queries that are mined first; their rankings are kept for that."""
        self.margin = Margin(self.config.relative_margin)
        sample = [(group.query, {p.doc_id for p in group.positives}) for group in judged[:CALIBRATION_QUERIES]]
        if not worth_retrieving(relevant for _, relevant in sample):
            return
        self.emit("log", {"message": "calibrating the margin of negatives", "queries": len(sample)})
        self.rankings = {query: self.retrieve(query) for query, _ in sample}
        depth = self.config.negative_depth
        seen = ((relevant, self.rankings[query][:depth]) for query, relevant in sample)
        self.margin = calibrate(seen, self.config.relative_margin)

    def _ranking(self, query: str) -> Ranking:
        """A query's ranking, from the calibration where it stood in it."""
        known = self.rankings.get(query)
        if known is not None:
            self.reused.add(query)
        candidates = self.retrieve(query) if known is None else known
        return Ranking(query, candidates, self.inputs.passages_of, self.inputs.places_of)

    def take(self, source: Source, groups: Sequence[Group]) -> None:
        """Fills the room that is left from one source, a retrieval for each query."""
        queue = by_turns(groups)
        while self.room and (batch := list(islice(queue, self.room))):
            wanted: dict[int, tuple[Group, list[Positive]]] = {}
            for group, positive in batch:
                wanted.setdefault(id(group), (group, []))[1].append(self.checked(group, positive))
            total = self.retrieved + len(wanted)
            step = max(1, len(wanted) // PROGRESS_STEPS)
            for group, positives in wanted.values():
                self._take_query(group, positives)
                self.retrieved += 1
                if self.retrieved == total or self.retrieved % step == 0:
                    self.emit("progress", {"source": str(source), "done": self.retrieved, "total": total})

    def take_judge(self, people: Sequence[Group]) -> Sequence[Group]:
        """Takes what a model said, where neither people nor users said anything; returns all of that, taken or not."""
        labels, weight = self.inputs.judge_labels, self.inputs.judge_weight
        if not labels:
            return []
        said = {(normalise(group.query), doc_id) for group in people for doc_id in group.documents()}
        groups = self.admitted(Source.JUDGE, judge_groups(labels, weight, said), {})
        self.shield = Shield([*people, *groups])
        if Source.JUDGE in self.inputs.sources:
            self.take(Source.JUDGE, groups)
        return groups

    def take_generated(self, known_good: Sequence[Group], asked: Generated) -> None:
        """Takes what a language model wrote, before what the documents say of themselves."""
        if not asked.counts:
            return
        before, pairs = Counter(self.rejected), len(self.pairs)
        self.written = self.admitted(Source.HEURISTICS, asked.groups, asked.counts["rejected"])
        self.shield = Shield([*known_good, *self.written])
        self.take(Source.HEURISTICS, self.written)
        self.fill_with_trivial()
        self.generated = outcome(asked, len(self.pairs) - pairs, self.rejected - before)

    def _take_query(self, group: Group, positives: Sequence[Positive]) -> None:
        ranking = self._ranking(group.query)
        shielded = self.shield.against(group)
        for positive in positives:
            refusal = self._take_pair(group, positive, ranking, shielded)
            if refusal:
                self.rejected[refusal] += 1

    def _take_pair(self, group: Group, positive: Positive, ranking: Ranking, shielded: Collection[str]) -> str | None:
        """Writes one pair's triplets; why not, if it may not be one."""
        key = (normalise(group.query), positive.doc_id)
        if key in self.pairs or key in self.only_held_back:
            return "already_mined"
        if self.shield.disputes(group, positive):
            return "conflicting_feedback"
        if group.within_rank is not None and not ranking.within(positive.doc_id, group.within_rank):
            return "not_retrieved"
        passage = ranking.answer(positive)
        if passage is None:
            return "unknown_document"
        rules = Rules(self.config, self.margin, self.reviews)
        chosen = choose_negatives(group, positive, ranking, shielded, rules, self.rejected)
        pair = Pair(group, positive, passage, chosen, retrieved=positive.doc_id in ranking.rank_of)
        if not chosen.negatives:
            if chosen.suspected:
                self.only_held_back.add(key)
                self.triplets += pair.triplets(self._query_id(group))
            return "no_negative"
        if group.source is Source.HEURISTICS and trivial(group.query, passage, ranking):
            self.spare.append(pair)
        else:
            self._write(pair)
        return None

    def _write(self, pair: Pair) -> None:
        self.pairs[pair.key] = pair.group.source
        self.unretrieved_positives += not pair.retrieved
        self.kinds.update(negative.kind for negative in pair.chosen.negatives)
        self.triplets += pair.triplets(self._query_id(pair.group))

    def fill_with_trivial(self) -> None:
        """What room is left goes to pairs that retrieval answers; those that find none are refused."""
        fitting, rest, self.spare = self.spare[: self.room], self.spare[self.room :], []
        for pair in fitting:
            positive = replace(
                pair.positive,
                weight=pair.positive.weight * TRIVIAL_WEIGHT,
                reason=f"{pair.positive.reason}, which retrieval finds by itself",
            )
            self._write(replace(pair, positive=positive))
        self.reject("trivial", len(rest))

    def remember(self, groups: Sequence[Group]) -> None:
        """Keeps the labels for which there was no room as what was good for a query.

        A query of which a pair was taken brings all of them, whatever the limit: its candidates are read anyway.
        """
        taken = {text for text, _ in self.pairs}
        own = [group for group in groups if normalise(group.query) in taken]
        others = [group for group in groups if normalise(group.query) not in taken]
        left = [*self._left(own), *islice(self._left(others), self.config.max_remembered)]
        self.triplets += remember(left, groups, self.shield, self._query_id)

    def _left(self, groups: Sequence[Group]) -> Iterator[tuple[Group, Positive]]:
        """Their labels of which no pair was made, each once."""
        seen: set[tuple[str, str]] = set()
        for group, positive in by_turns(groups):
            key = (normalise(group.query), positive.doc_id)
            if key in seen or key in self.pairs or key in self.only_held_back or self.shield.disputes(group, positive):
                continue
            checked = self.checked(group, positive)
            if checked.few:
                self.reject("too_few_clients", 1)
            else:
                seen.add(key)
                yield group, checked

    def _query_id(self, group: Group) -> str:
        """One id for a text, from whichever source came first; an id that names another text already is told apart."""
        text = normalise(group.query)
        if text not in self.id_of:
            query_id = group.query_id
            while query_id in self.text_of:
                query_id = f"{group.source}:{query_id}"
            self.id_of[text], self.text_of[query_id] = query_id, text
        return self.id_of[text]

    def mined(self, logs: LogLabels) -> Mined:
        active = [triplet for triplet in self.triplets if not (triplet.held_back or triplet.remembered)]
        remembered = sum(triplet.remembered for triplet in self.triplets)
        by_source: dict[str, SourceCounts] = {
            str(source): {
                "pairs": sum(found is source for found in self.pairs.values()),
                "triplets": sum(triplet.source is source for triplet in active),
                "queries": len({text for (text, _), found in self.pairs.items() if found is source}),
            }
            for source in Source
            if source in self.inputs.sources
        }
        counts: MinedCounts = {
            "pairs": len(self.pairs),
            "triplets": len(active),
            "held_back": len(self.triplets) - len(active) - remembered,
            "remembered": remembered,
            "margin": self.margin.facts(),
            "queries": len({text for text, _ in self.pairs}),
            "by_source": by_source,
            "by_negative": dict(sorted(self.kinds.items())),
            "rejected": {reason: count for reason, count in sorted(self.rejected.items()) if count},
            "unknown_documents": list(islice(self.unknown, UNKNOWN_NAMED)),
            "positives_not_retrieved": self.unretrieved_positives,
            "queries_retrieved": self.retrieved + len(self.rankings) - len(self.reused),
            "impressions": logs.impressions,
            "click_model": logs.model.view(),
            "clients": logs.clients(self.triplets),
        }
        counts |= facts_of(self.inputs.held_out)
        if self.generated:
            counts["generated"] = self.generated
        return Mined(self.triplets, counts)
