"""May the trained model go live? Promote or keep, with the reasons in words for either.

It promotes only a gain it can tell from chance: the primary measure's interval of after - before lies above 0, the
paired randomisation test agrees (with a handful of queries the bootstrap's interval is too narrow and the test is
not), and after is above retrieval alone. Whatever could make that comparison untrue keeps things as they are: no
baseline, an arm that failed, a query the reranker did not rank, training on the eval dataset's own queries.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tribrid.evaluation.comparison import Delta


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with the trained model, and why: one sentence a reason."""

    decision: Literal["promote", "keep"]
    reasons: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return {"decision": self.decision, "reasons": list(self.reasons)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the gate looks at, all in the primary measure.

    `delta` is None where nothing was trained, `before` and `retrieval` None where there was nothing to compare with.
    """

    measure: str
    delta: Delta | None
    before: float | None
    after: float | None
    retrieval: float | None
    failed: Mapping[str, str] = field(default_factory=dict)
    fallbacks: int = 0
    leaked: int = 0


def decide(evidence: Evidence) -> Decision:
    """Promote, or keep what serves now. Never raises: what is missing is a reason to keep."""
    against = list(_objections(evidence))
    if against:
        return Decision("keep", tuple(against))
    return Decision("promote", tuple(_grounds(evidence)))


def _objections(evidence: Evidence) -> Iterator[str]:
    """Every reason not to promote."""
    for system, problem in evidence.failed.items():
        yield f"{system} failed, so the comparison is not complete: {problem}"
    if evidence.delta is None or evidence.after is None:
        yield "There is no trained model to compare."
    if evidence.before is None or evidence.retrieval is None:
        yield "There is no baseline, so no gain can be shown."
    if evidence.fallbacks:
        yield (
            f"The reranker fell back to the retrieval order on {_count(evidence.fallbacks, 'query', 'queries')}; "
            "these measure retrieval, not the model."
        )
    if evidence.leaked:
        yield (
            f"{_count(evidence.leaked, 'query', 'queries')} of the eval dataset also stood in the training data, "
            "so part of the gain may be memory."
        )
    if evidence.delta is not None and evidence.after is not None:
        yield from _weaknesses(evidence, evidence.delta, evidence.after)


def _weaknesses(evidence: Evidence, delta: Delta, after: float) -> Iterator[str]:
    low, high = delta.ci
    interval = _interval(delta)
    if high < 0:
        yield f"{evidence.measure} falls by {-delta.mean:.3f}: {interval} lies below 0."
    elif delta.wins == delta.losses == 0:
        yield f"{evidence.measure} is the same on each of the {_count(delta.queries, 'query', 'queries')}."
    elif low <= 0:
        yield (
            f"{evidence.measure} changes by {delta.mean:+.3f}, but {interval} includes 0: on "
            f"{_count(delta.queries, 'query', 'queries')} that cannot be told from chance."
        )
    elif delta.p_value > 1 - delta.confidence:
        yield (
            f"{evidence.measure} changes by {delta.mean:+.3f}, but the change rests on "
            f"{_count(delta.wins + delta.losses, 'query', 'queries')}: "
            f"chance alone does as well with probability {delta.p_value:.3f}."
        )
    if evidence.retrieval is not None and after <= evidence.retrieval:
        yield f"{evidence.measure} is {after:.3f}, not above retrieval alone ({evidence.retrieval:.3f})."


def _grounds(evidence: Evidence) -> Iterator[str]:
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


def _interval(delta: Delta) -> str:
    return f"the {delta.confidence * 100:g} % interval [{delta.ci[0]:+.3f}, {delta.ci[1]:+.3f}]"


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
