"""May the trained model go live? Promote or keep, with the reasons in words for either.

It promotes only a gain it can tell from chance (the primary measure's interval of after - before lies above 0, and the
paired randomisation test agrees: with a handful of queries the bootstrap's interval is too narrow and the test is
not), that is large enough to be worth a change, and only if no guard fails. A guard that could not be looked at is
listed with `passed` null and stops nothing; whatever could make the comparison itself untrue (no baseline, an arm that
failed, a query the reranker did not rank, training on the eval dataset's own queries) keeps things as they are.

References:
    Urbano, Lima, Hanjalic (2019), Statistical significance testing in information retrieval: with many queries every
    difference is significant, so a least effect is asked for as well.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tribrid.answers.changes import CorpusPart, Delta, Guard, Part, SlicePart
from tribrid.answers.report import Looks, Riser, Risers
from tribrid.config.sections import GateConfig
from tribrid.evaluation.comparison import TIE
from tribrid.evaluation.measures import report_key


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with the trained model, and why: one sentence a reason. `guards` is all that was looked at."""

    decision: Literal["promote", "keep"]
    reasons: tuple[str, ...]
    guards: tuple[Guard, ...] = ()


NO_LOOKS = Looks(count=0)
FEW_CLIENTS = "few_clients"
NAMED_RISERS = 5
"""Documents that the guard names in words; the report has all."""
OF_GAIN = frozenset(("interval", "minimum_effect", "retrieval", "untrained", "given", "seeds"))
"""Guards that ask for a gain in the measure. Users who preferred a model in an experiment have answered that."""


def luck(models: int, confidence: float) -> float:
    """How likely at least one of so many models passes by luck, were none of them better, 0..1."""
    return float(1 - (1 - (1 - confidence) / 2) ** models)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the gate looks at; all but `deltas` and `judged` in the primary measure.

    `delta` is None where nothing was trained, `before` and `retrieval` None where there was nothing to compare with.
    `deltas`: report key → after - before. `judged`: judged@10 before and after. `slices` and `corpora`: the
    report's. `seeds`: after's value for models that differ in nothing but their seed.
    `untrained`: the order before any label, where that serves.
    `given`: after - the order in which users' own engine gave the documents, over the queries of which that is known.
    `read_searches`: it learned from the very searches that the dataset was made of.
    `timeout_ms`: when a search stops reranking, None for never.
    `risers`: what the model lifts into the top 10 of frequent queries, None where nothing was trained.
    """

    measure: str
    delta: Delta | None
    before: float | None
    after: float | None
    retrieval: float | None
    failed: Mapping[str, str] = field(default_factory=dict)
    fallbacks: int = 0
    leaked: int = 0
    read_searches: bool = False
    deltas: Mapping[str, Delta] = field(default_factory=dict)
    judged: tuple[float, float] | None = None
    slices: Sequence[SlicePart] = ()
    corpora: Sequence[CorpusPart] = ()
    latency_p95_ms: float | None = None
    timeout_ms: float | None = None
    given: Delta | None = None
    untrained: float | None = None
    seeds: Sequence[float] = ()
    looks: Looks = NO_LOOKS
    risers: Risers | None = None


_DEFAULTS = GateConfig()  # type: ignore[call-arg]


def decide(evidence: Evidence, config: GateConfig = _DEFAULTS) -> Decision:
    """Promote, or keep what serves now. Never raises: what is missing is a reason to keep, or a guard not looked at."""
    guards = tuple(_guards(evidence, config))
    against = tuple(guard.detail for guard in guards if guard.passed is False)
    if against:
        return Decision("keep", against, guards)
    return Decision("promote", tuple(_grounds(evidence, guards)), guards)


def objections(guards: Sequence[Guard]) -> tuple[str, ...]:
    """What speaks against a model that users preferred: the guards that fail, but for those of the measure's gain."""
    if not any(guard.name == FEW_CLIENTS for guard in guards):
        return ("The evaluation is from before the gate looked at what few clients moved. Evaluate again.",)
    return tuple(guard.detail for guard in guards if guard.passed is False and guard.name not in OF_GAIN)


def _guard(name: str, passed: bool | None, detail: str) -> Guard:
    return Guard(name=name, passed=passed, detail=detail)


def _guards(evidence: Evidence, config: GateConfig) -> Iterator[Guard]:
    yield from _complete(evidence)
    yield from _effect(evidence, config)
    yield _given(evidence, config)
    yield from _measures(evidence, config)
    yield _slices(evidence, config)
    yield _corpora(evidence, config)
    yield _latency(evidence, config)
    yield _judged(evidence, config)
    yield _seeds(evidence, config)
    yield _few_clients(evidence.risers, config)


def _complete(evidence: Evidence) -> Iterator[Guard]:
    """Whether the comparison is what it says it is."""
    for system, problem in evidence.failed.items():
        yield _guard("systems", False, f"{system} failed, so the comparison is not complete: {problem}")
    if not evidence.failed:
        yield _guard("systems", True, "No system failed.")
    lacking = evidence.after is None or (evidence.delta is None and evidence.before is not None)
    none = f"There is no trained model {'that was measured' if evidence.failed else 'to compare'}."
    yield _guard("challenger", not lacking, none if lacking else "There is a trained model.")
    based = evidence.before is not None and evidence.retrieval is not None
    yield _guard("baseline", based, "There is one." if based else "There is no baseline, so no gain can be shown.")
    fell = _count(evidence.fallbacks, "query", "queries")
    yield _guard(
        "fallbacks",
        not evidence.fallbacks,
        f"The reranker fell back to the retrieval order on {fell}; these measure retrieval, not the model."
        if evidence.fallbacks
        else "The reranker ranked every query.",
    )
    yield _leakage(evidence)


def _leakage(evidence: Evidence) -> Guard:
    """Whether the model has seen what it is asked."""
    if evidence.leaked:
        leaked = _count(evidence.leaked, "query", "queries")
        told = f"{leaked} of the eval dataset also stood in the training data, so part of the gain may be memory."
    elif evidence.read_searches:
        told = "The model learned from searches that the eval dataset was made of. Mine and train again: mining leaves "
        told += "them out now."
    else:
        return _guard("leakage", True, "No query of the eval dataset stood in the training data.")
    return _guard("leakage", False, told)


def _effect(evidence: Evidence, config: GateConfig) -> Iterator[Guard]:
    """Whether there is a gain, whether it is large enough, and whether it is one over not reranking at all."""
    delta, after = evidence.delta, evidence.after
    if delta is None or after is None:
        return
    weakness = _weakness(evidence.measure, delta)
    interval = f"{evidence.measure} changes by {delta.mean:+.3f}; {_interval(delta)} lies above 0."
    yield _guard("interval", weakness is None, weakness or interval)
    least = f"{config.minimum_effect:g} (gate.minimum_effect)"
    if weakness is not None:
        yield _guard("minimum_effect", None, f"No gain was shown, so none can reach {least}.")
    elif delta.mean < config.minimum_effect - TIE:
        told = f"{evidence.measure} rises by {delta.mean:.4f}, less than the least gain asked for, {least}."
        yield _guard("minimum_effect", False, told)
    else:
        yield _guard("minimum_effect", True, f"{evidence.measure} rises by {delta.mean:.3f}, at least {least}.")
    if evidence.retrieval is not None:
        yield _beats(evidence.measure, after, "retrieval", "retrieval alone", evidence.retrieval)
    if evidence.untrained is None:
        yield _guard("untrained", None, "The order before any label does not serve now.")
    else:
        yield _beats(evidence.measure, after, "untrained", "the order before any label", evidence.untrained)


def _beats(measure: str, after: float, name: str, what: str, least: float) -> Guard:
    beaten = after > least
    above = "above" if beaten else "not above"
    return _guard(name, beaten, f"{measure} is {after:.3f}, {above} {what} ({least:.3f}).")


def _given(evidence: Evidence, config: GateConfig) -> Guard:
    """Another engine's documents come to be reranked: its own order must be beaten, as retrieval's must."""
    delta, least = evidence.given, config.least_slice_queries
    if delta is None:
        return _guard("given", None, "No query of the eval dataset came to a rerank, with an order of its own.")
    queries = _count(delta.queries, "query", "queries")
    told = f"Against the order in which documents came to a rerank, on {queries}, {evidence.measure} changes by"
    told += f" {delta.mean:+.3f} {_bounds(delta.ci)}"
    if delta.queries < least:
        return _guard("given", None, f"{told}: fewer than {least} queries (gate.least_slice_queries) decide nothing.")
    beaten = delta.mean > TIE
    return _guard("given", beaten, f"{told}." if beaten else f"{told}: that order is not beaten.")


def _weakness(measure: str, delta: Delta) -> str | None:
    """Why the change is no gain that can be told from chance."""
    low, high = delta.ci
    interval = _interval(delta)
    if high < 0:
        return f"{measure} falls by {-delta.mean:.3f}: {interval} lies below 0."
    if delta.wins == delta.losses == 0:
        return f"{measure} is the same on each of the {_count(delta.queries, 'query', 'queries')}."
    if low <= 0:
        return (
            f"{measure} changes by {delta.mean:+.3f}, but {interval} includes 0: on "
            f"{_count(delta.queries, 'query', 'queries')} that cannot be told from chance."
        )
    if delta.p_value > 1 - delta.confidence:
        return (
            f"{measure} changes by {delta.mean:+.3f}, but the change rests on "
            f"{_count(delta.wins + delta.losses, 'query', 'queries')}: "
            f"chance alone does as well with probability {delta.p_value:.3f}."
        )
    return None


def guard_measures(config: GateConfig) -> list[str]:
    """The report keys of gate.guard_measures."""
    return list(dict.fromkeys(map(report_key, config.guard_measures)))


def _measures(evidence: Evidence, config: GateConfig) -> Iterator[Guard]:
    """None of the guard measures may fall by more than chance."""
    for measure in guard_measures(config):
        if measure == evidence.measure or not evidence.deltas:
            continue
        name, delta = f"measure {measure}", evidence.deltas.get(measure)
        if delta is None:
            yield _guard(name, False, f"gate.guard_measures names {measure!r}, which was not measured.")
        elif delta.ci[1] < 0 and delta.p_value <= 1 - delta.confidence:
            yield _guard(name, False, f"{measure} falls by {-delta.mean:.3f}: {_interval(delta)} lies below 0.")
        else:
            yield _guard(name, True, f"{measure} changes by {delta.mean:+.3f} {_bounds(delta.ci)}: no fall.")


def _slices(evidence: Evidence, config: GateConfig) -> Guard:
    """No kind of query may get worse by more than chance and by more than is allowed."""
    rows = [row for row in evidence.slices if row.delta is not None and row.queries >= config.least_slice_queries]
    if not rows:
        return _guard("worst_slice", None, f"There is no slice of {config.least_slice_queries} queries or more.")
    fallen = [row for row in rows if _falls(row, config.max_slice_drop)]
    worst = min(fallen or rows, key=_mean)
    told = f"{worst.field} {worst.slice}, {evidence.measure} {_change(worst)}"
    if fallen:
        most = f"{config.max_slice_drop:g} (gate.max_slice_drop)"
        return _guard("worst_slice", False, f"Queries of the slice {told}: a fall of more than {most}.")
    return _guard("worst_slice", True, f"The worst of {len(rows)} slices is {told}.")


def _corpora(evidence: Evidence, config: GateConfig) -> Guard:
    """No other corpus may get worse by more than chance and by more than is allowed."""
    rows = [row for row in evidence.corpora if row.delta is not None]
    if not rows:
        return _guard("other_corpora", None, "No other corpus was measured.")
    fallen = [row for row in rows if _falls(row, config.max_corpus_drop)]
    worst = min(fallen or rows, key=_mean)
    told = f"corpus {worst.corpus_id}, {evidence.measure} {_change(worst)}"
    if fallen:
        most = f"{config.max_corpus_drop:g} (gate.max_corpus_drop)"
        return _guard("other_corpora", False, f"On {told}: a fall of more than {most}.")
    return _guard("other_corpora", True, f"The worst of {len(rows)} corpora is {told}.")


def _latency(evidence: Evidence, config: GateConfig) -> Guard:
    """Fast enough, and not so slow that searches would be served less of it than was measured."""
    name, p95 = "latency_p95", evidence.latency_p95_ms
    limits = [(config.max_latency_p95_ms, "gate.max_latency_p95_ms")]
    limits += [(evidence.timeout_ms, "reranking.reranker_timeout_ms: searches stop reading there")]
    known = [(limit, setting) for limit, setting in limits if limit is not None]
    if not known:
        return _guard(name, None, "No limit is set (gate.max_latency_p95_ms).")
    limit, setting = min(known)
    if p95 is None:
        return _guard(name, None, f"Nothing was timed; the limit is {limit:g} ms.")
    told = f"Reranking a query takes {p95:.0f} ms at the 95th percentile; the limit is {limit:g} ms"
    return _guard(name, p95 <= limit, f"{told} ({setting}).")


def _judged(evidence: Evidence, config: GateConfig) -> Guard:
    if evidence.judged is None:
        return _guard("judged@10", None, "There is nothing to compare.")
    before, after = evidence.judged
    fell = before - after > config.max_judged_drop + TIE
    told = f"Of the top 10 documents {before:.0%} were judged before and {after:.0%} after"
    if not fell:
        return _guard("judged@10", True, f"{told}.")
    most = f"{config.max_judged_drop:g} (gate.max_judged_drop)"
    return _guard(
        "judged@10", False, f"{told}: a fall of more than {most}. Judge what it shows now, and compare again."
    )


def _seeds(evidence: Evidence, config: GateConfig) -> Guard:
    """The gain must stand out of what another seed alone would change."""
    if len(evidence.seeds) < 2 or evidence.delta is None:
        return _guard("seeds", None, "No model that differs in its seed alone was measured on this eval dataset.")
    spread = statistics.stdev(evidence.seeds)
    least = config.seed_spreads * spread
    told = (
        f"{len(evidence.seeds)} seeds give {evidence.measure} {min(evidence.seeds):.3f} to {max(evidence.seeds):.3f} "
        f"(standard deviation {spread:.4f}); the gain of {evidence.delta.mean:+.3f}"
    )
    if evidence.delta.mean > least or spread <= TIE:
        return _guard("seeds", True, f"{told} is more than {config.seed_spreads:g} of these.")
    return _guard("seeds", False, f"{told} is not more than {config.seed_spreads:g} of these (gate.seed_spreads).")


def _few_clients(risers: Risers | None, config: GateConfig) -> Guard:
    """Nobody's search may be changed on the word of few."""
    if risers is None:
        return _guard(FEW_CLIENTS, None, "Nothing was trained here, so nothing rises on what clients did.")
    if risers.skipped is not None:
        return _guard(FEW_CLIENTS, None, risers.skipped)
    few = f"fewer than {config.least_clients} clients (gate.least_clients)"
    if not risers.named:
        told = f"Of {_count(risers.risen, 'document', 'documents')} that rise into the top 10 of "
        told += f"{_count(risers.queries, 'frequent query', 'frequent queries')}, none rises on what {few} did."
        return _guard(FEW_CLIENTS, True, told)
    told = f"{_count(len(risers.named), 'document rises', 'documents rise')} into the top 10 of frequent queries on "
    told += f"what {few} did: {'; '.join(map(_risen, risers.named[:NAMED_RISERS]))}"
    more = len(risers.named) - NAMED_RISERS
    return _guard(FEW_CLIENTS, False, f"{told}{f'; and {more} more (risers)' if more > 0 else ''}.")


def _risen(riser: Riser) -> str:
    moved = f"from rank {riser.before} to {riser.after}"
    clients = _count(riser.clients, "client", "clients")
    apart = "against many" if riser.without is None else f"without whom it stands at {riser.without}"
    return f"{riser.doc_id!r} for {riser.query!r} {moved}, on {clients}, {apart}"


def _mean(part: Part) -> float:
    return part.delta.mean if part.delta is not None else 0.0


def _falls(part: Part, allowed: float) -> bool:
    return part.delta is not None and part.delta.mean < -allowed - TIE and part.delta.ci95[1] < 0


def _change(part: Part) -> str:
    bounds = _bounds(part.delta.ci95) if part.delta is not None else ""
    return f"{_mean(part):+.3f} {bounds} on {_count(part.queries, 'query', 'queries')}"


def _grounds(evidence: Evidence, guards: Sequence[Guard]) -> Iterator[str]:
    """Why it is promoted; called only where nothing speaks against it."""
    delta, before, after, retrieval = evidence.delta, evidence.before, evidence.after, evidence.retrieval
    if delta is None or before is None or after is None or retrieval is None:
        return
    yield (
        f"{evidence.measure} rises from {before:.3f} to {after:.3f} ({delta.mean:+.3f}); "
        f"{_interval(delta)} lies above 0 (p = {delta.p_value:.4f})."
    )
    yield f"Better on {_count(delta.wins, 'query', 'queries')}, worse on {delta.losses}, the same on {delta.ties}."
    if retrieval != before:
        yield f"It is above retrieval alone ({retrieval:.3f})."
    own = ("given", "measure ", "worst_slice", "other_corpora", "latency_p95", "judged@10", "seeds", FEW_CLIENTS)
    held = [guard.name.removeprefix("measure ") for guard in guards if guard.passed and guard.name.startswith(own)]
    if held:
        yield f"No guard fails: {', '.join(held).replace('_', ' ')}."
    if evidence.looks.models > 1:
        risk = luck(evidence.looks.models, delta.confidence)
        yield (
            f"This eval dataset has been looked at {evidence.looks.count} times, with {evidence.looks.models} models: "
            f"were none of so many better, one would pass by luck with probability {risk:.2f}."
        )


def _interval(delta: Delta) -> str:
    return f"the {delta.confidence * 100:g} % interval {_bounds(delta.ci)}"


def _bounds(ci: Sequence[float]) -> str:
    return f"[{ci[0]:+.3f}, {ci[1]:+.3f}]"


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
