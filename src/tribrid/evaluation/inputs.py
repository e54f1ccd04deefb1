"""What an evaluation report is made from."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from tribrid.answers.costs import EvaluationCost
from tribrid.answers.report import About, FieldDrift, Leakage, Looks, Origin, OutsideSystem, Risers
from tribrid.config.sections import EvaluationConfig, GateConfig
from tribrid.evaluation.consistency import CorpusChange
from tribrid.evaluation.gate import NO_LOOKS
from tribrid.evaluation.measures import Run
from tribrid.evaluation.slices import SliceFacts
from tribrid.types import EvalDataset


@dataclass(frozen=True, slots=True)
class FrozenCandidates:
    """What every reranker was given. `doc_ids`: query_id → doc_ids in retrieval order, at most `depth` of them."""

    depth: int
    sha256: str
    doc_ids: Mapping[str, Sequence[str]]
    origin: Origin = field(default_factory=Origin)

    @property
    def drift(self) -> tuple[str, ...] | None:
        """What changed since the dataset was measured on other candidates; None where these are the same, or first."""
        return self.origin.changed if self.origin.same_as_before is False else None


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationInputs:
    """Everything a report is made from.

    `systems`: name → run. The legs (`sparse`, `dense`) may hold what they like; every other run must order exactly the
    frozen candidates. `retrieval` is the fused order; the oracle is made here.
    `outside`: name of an arm that the caller added → what is known of it; with `own_candidates` it is judged as it is.
    `slice_facts`: what the queries are sliced by. `others`: the same comparison on further corpora, in the primary
    measure.
    `before`, `after`: names in `systems`; `after` is None where there is no trained model.
    `latency_ms`: of reranking one query, one value a query, in any order.
    `fallbacks`: reason → queries on which `after` served the retrieval order instead of its own.
    `failed`: name of a system that could not be run → what happened.
    `about`: where the report comes from.
    `looks`: how often the dataset has been measured on, this time included.
    `seeds`: the primary measure of models that differ from `after` in their seed alone, where some were measured.
    `given`: query_ids of which the run `given` knows the order in which their documents came to a rerank.
    `timeout_ms`: when a search stops reranking.
    `serves`: what searches get now, by its system's name; None: it is not known.
    `serves_untrained`: whether the order before any label serves, there being no champion.
    `fields`: how the documents' fields differ from those that `after` learned from.
    `risers`: what `after` lifts into the top 10 of frequent queries; None where it is no model trained here.
    """

    dataset: EvalDataset
    candidates: FrozenCandidates
    systems: Mapping[str, Run]
    before: str
    after: str | None
    config: EvaluationConfig
    latency_ms: Sequence[float] = ()
    cost: EvaluationCost = field(default_factory=EvaluationCost)
    fallbacks: Mapping[str, int] = field(default_factory=dict)
    leakage: Leakage | None = None
    failed: Mapping[str, str] = field(default_factory=dict)
    about: About = field(default_factory=About)
    outside: Mapping[str, OutsideSystem] = field(default_factory=dict)
    slice_facts: SliceFacts = field(default_factory=SliceFacts)
    others: Sequence[CorpusChange] = ()
    gate: GateConfig = field(default_factory=lambda: GateConfig.model_validate({}))
    looks: Looks = NO_LOOKS
    seeds: Sequence[float] = ()
    given: Collection[str] = ()
    timeout_ms: float | None = None
    risers: Risers | None = None
    fields: Sequence[FieldDrift] = ()
    serves: str | None = None
    serves_untrained: bool = False

    @property
    def serves_neither(self) -> str | None:
        """What searches get, where that is neither of the two that are compared."""
        return None if self.serves in (self.before, self.after) else self.serves

    @property
    def leaked(self) -> int:
        """Queries that were trained on."""
        return len(self.leakage.overlapping) if self.leakage else 0
