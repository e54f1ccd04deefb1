"""What a careful reader would add to the numbers: where a gain comes from, and what this dataset cannot show.

Notes never decide; the gate does. They exist because a table is easily read as more than it says: a gain that only
repairs a poor fusion, a cross-encoder that the blend does not need, documents nobody has judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tribrid.answers.changes import Delta
from tribrid.answers.evalsets import LogSpan
from tribrid.answers.report import FieldDrift
from tribrid.scoring.scorer import UNTRAINED_MODEL
from tribrid.types import LEGS

RETRIEVAL, ORACLE, GIVEN = "retrieval", "oracle", "given"
WITHOUT_CROSS_ENCODER, WITHOUT_MEMORY = "blend_without_cross_encoder", "blend_without_memory"

_FEW_QUERIES = 50
_JUDGED_DROP = 0.02
_CEILING = 0.9
_CHANGED = {
    "corpus_version": "the corpus changed",
    "depth": "there are more or fewer a query",
    "settings": "the settings of retrieval changed",
    "source": "those were put with it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What the notes are read from.

    `primary` holds each system's mean of the primary measure, `after_minus` the comparison of after with each system
    (empty without a trained model), `judged` judged@10 before and after. `drifted` says what changed since the dataset
    was measured on other candidates, None where it was not. `log`: what labels from logs rest on; `imputed`: whether
    documents that were never shown have some too. `fields`: how the documents' own differ from what was learned from.
    """

    measure: str
    before: str
    after: str | None
    queries: int
    primary: Mapping[str, float]
    after_minus: Mapping[str, Delta]
    judged: tuple[float, float] | None
    recall_ceiling: float
    depth: int
    drifted: Sequence[str] | None = None
    log: LogSpan | None = None
    imputed: bool = False
    fields: Sequence[FieldDrift] = ()


LEARNED_NOTHING = (
    "This model ranks as the retrieval does: nothing that was tried ranked held-out queries better beyond chance. More "
    "labels may show a gain, if there is one."
)


def ranks_as_retrieval(training: Mapping[str, Any]) -> bool:
    """Whether a training, by its metrics, found nothing to add to the fused order."""
    form = (training.get("blend") or {}).get("form")
    return form == RETRIEVAL and not (training.get("cross_encoder") or {}).get("served")


def notes(findings: Findings) -> list[str]:
    """The notes that apply, the weightiest first, each one or two sentences."""
    return [
        *_log(findings),
        *_fusion(findings),
        *_unlearned(findings),
        *_ablation(findings),
        *_headroom(findings),
        *_judged(findings),
        *_drift(findings),
        *_fields(findings),
        *_dataset(findings),
    ]


def _log(findings: Findings) -> Iterator[str]:
    """What labels from logs are, and what they cannot show."""
    if findings.log is None:
        return
    yield (
        "Nobody judged: how likely a document is good is read from what users did, and each resample of an interval "
        "draws its labels by that."
    )
    looked = findings.log.examination
    if looked:
        yield (
            f"Position bias: a use counts against how likely its rank is looked at, which was learned from the same "
            f"log (rank 1 {looked[0]:.2f}, rank {len(looked)} {looked[-1]:.2f}). If people look otherwise, labels err."
        )
    shown = "" if findings.judged is None else f" Of {findings.after}'s first ten, {findings.judged[1]:.0%} were shown."
    rest = (
        "what nobody was shown is believed good as far as documents at such ranks of the two rankings are"
        if findings.imputed
        else "what nobody was shown counts as not relevant, so a ranking that finds it is better than measured"
    )
    yield (
        f"Selection bias: users can only use what was shown.{shown} The others are unknown: {rest}. Queries for which "
        "nobody found anything are not measured at all."
    )


def _fusion(findings: Findings) -> Iterator[str]:
    """Whether one leg alone beats the fused order, and what is left of the gain beside that leg."""
    legs = {leg: findings.primary[leg] for leg in LEGS if leg in findings.primary}
    fused = findings.primary.get(RETRIEVAL)
    if not legs or fused is None:
        return
    best = max(legs, key=lambda leg: legs[leg])
    if legs[best] <= fused:
        return
    note = f"The {best} leg alone ({legs[best]:.3f}) ranks better than the fused order ({fused:.3f})."
    delta = findings.after_minus.get(best)
    if delta is None:
        yield note
    elif delta.ci[0] > 0:
        yield f"{note} {findings.after} beats that leg as well ({_change(delta)})."
    else:
        yield f"{note} Against that leg the change is {_change(delta)}: a gain over retrieval only repairs the fusion."


def _unlearned(findings: Findings) -> Iterator[str]:
    """How much of a gain over the fused order no training is to be praised for."""
    delta, fused = findings.after_minus.get(UNTRAINED_MODEL), findings.primary.get(RETRIEVAL)
    if delta is None or fused is None or findings.before != RETRIEVAL:
        return
    without = findings.primary[UNTRAINED_MODEL]
    yield (
        f"The order before any label has {without:.3f} ({without - fused:+.3f} over the fused order); what was learned "
        f"changes it by {_change(delta)}."
    )


def _ablation(findings: Findings) -> Iterator[str]:
    delta = findings.after_minus.get(WITHOUT_CROSS_ENCODER)
    if delta is None:
        return
    without = findings.primary[WITHOUT_CROSS_ENCODER]
    if delta.ci[0] > 0:
        yield f"The cross-encoder earns its place: without it the blend has {without:.3f} ({_change(delta)} with it)."
    elif delta.ci[1] < 0:
        yield f"The cross-encoder does harm: without it the blend has {without:.3f} ({_change(delta)} with it)."
    else:
        yield (
            f"Without the cross-encoder the blend has {without:.3f}; with it the change is {_change(delta)}, "
            "which cannot be told from chance."
        )


def _headroom(findings: Findings) -> Iterator[str]:
    best, before = findings.primary.get(ORACLE), findings.primary.get(findings.before)
    if best is None or before is None:
        return
    after = findings.primary.get(findings.after or "")
    if after is not None and before < after < best:
        closed = (after - before) / (best - before)
        yield (
            f"The best order of these candidates has {best:.3f}; {findings.after} goes {closed:.0%} of the way "
            f"from {findings.before} to it."
        )
    if findings.recall_ceiling < _CEILING:
        yield (
            f"{1 - findings.recall_ceiling:.0%} of a query's relevant documents are, on average, not among its "
            f"{findings.depth} candidates; no reranker can bring those back."
        )


def _judged(findings: Findings) -> Iterator[str]:
    if findings.judged is None or findings.log is not None:
        return
    before, after = findings.judged
    if after < before - _JUDGED_DROP:
        yield (
            f"judged@10 falls from {before:.3f} to {after:.3f}: {findings.after} shows more documents that nobody has "
            "judged. They count as not relevant, so it may be better than measured."
        )


def _drift(findings: Findings) -> Iterator[str]:
    if findings.drifted is None:
        return
    why = f" ({', '.join(_CHANGED[name] for name in findings.drifted)})" if findings.drifted else ""
    yield (
        f"The candidates are not those that this eval dataset was measured on before{why}. All systems of this report "
        "had the same; what an earlier report says of a system was measured on others."
    )


def _fields(findings: Findings) -> Iterator[str]:
    """Fields whose values are other ones than the model learned from."""
    for field in findings.fields:
        if field.drifted:
            name = f"The documents' field {field.name}"
            yield f"{name} is not what {findings.after} learned from: {field.told} Train again."


def _dataset(findings: Findings) -> Iterator[str]:
    if findings.queries < _FEW_QUERIES:
        yield f"With {findings.queries} queries only a large change can be told from chance; 50 or more are better."


def _change(delta: Delta) -> str:
    return f"{delta.mean:+.3f} [{delta.ci[0]:+.3f}, {delta.ci[1]:+.3f}]"
