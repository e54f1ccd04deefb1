"""Which form of a cross-encoder serves on this machine: fp32 as it was exported, or quantised to int8.

int8 is faster where the processor multiplies it in one instruction, slower where it does not; and on processors that
add pairs of products in 16 bits it can be wrong. So it is not assumed but tried once, where the export is made: on
probes, whose scores must agree in order and in size. The fastest form that agrees is served. What was found stands in
the export's description and is read again on every machine. How well the served form ranks on real queries is for an
evaluation to say, which runs it.
"""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any, Protocol, TypedDict

import numpy as np

from tribrid.encoders.onnx import FloatArray
from tribrid.errors import Cancelled, ModelUnavailable, TribridError

FP32, INT8 = "fp32", "int8"
MANIFEST, CONFIG = "manifest.json", "config.json"
"""Where an export describes itself: the first, or the second where that is missing."""
LEAST_RANK_AGREEMENT = 0.9
"""Kendall's tau between the two orders of a probe's passages, mean over probes."""
MOST_SCORE_DIFFERENCE = 0.15
"""Mean absolute difference of scores, in standard deviations of the fp32 scores of the same list."""
PROBES, PROBE_PASSAGES, PROBE_CHARS = 6, 16, 900
_FLAGS = ("avx2", "avx512_vnni", "avx_vnni", "avx_vnni_int8", "amx_int8", "asimddp", "i8mm")


class Scores(Protocol):
    """A cross-encoder, as far as probing goes."""

    def score(self, query: str, passages: Sequence[tuple[str, str]]) -> FloatArray:
        """float32 (n,)."""


def processor_flags() -> tuple[str, ...]:
    """Which of the instructions that matter to int8 the processor has; empty where nobody says."""
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8", "replace")
    except OSError:
        return ()
    lines = (line.partition(":")[2].split() for line in text.splitlines() if line.startswith(("flags", "Features")))
    found = set(next(lines, []))
    return tuple(flag for flag in _FLAGS if flag in found)


def multiplies_int8(flags: Sequence[str]) -> bool:
    """Whether products of int8 are summed in 32 bits, so that weights may use all their 8."""
    return any(flag in flags for flag in _FLAGS[1:])


def machine() -> str:
    """The processor's kind, as far as it matters to int8."""
    return f"{platform.machine()} {'+'.join(processor_flags()) or 'plain'}"


class MeasuredForm(TypedDict, total=False):
    """A form of a cross-encoder as it was tried: pairs a second, how far it agrees with fp32, and why it is not
    accepted.
    """

    pairs_per_s: float
    rank_agreement: float
    score_difference: float
    accepted: bool
    reason: str | None


class Decision(TypedDict, total=False):
    """Which form is served, and what that was decided on. `export` names the weights by their content."""

    machine: str
    served: str
    measured: dict[str, MeasuredForm]
    export: str


def describe(folder: Path) -> dict[str, Any]:
    """What an export says of itself.

    Raises:
        OSError, ValueError: it says nothing readable.
    """
    path = folder / MANIFEST
    content: dict[str, Any] = json.loads((path if path.is_file() else folder / CONFIG).read_text("utf-8"))
    return content


def record(folder: Path, decision: Decision) -> None:
    """Write the decision into the export's own description."""
    path = folder / MANIFEST
    path = path if path.is_file() else folder / CONFIG
    path.write_text(json.dumps({**describe(folder), "variants": decision}, indent=2), "utf-8")


def export_id(files: Sequence[Path]) -> str:
    """A name for the weights, by their content."""
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:16]


def probes() -> list[tuple[str, list[tuple[str, str]]]]:
    """Queries and passages of plain prose, long and short, that every installation carries: Python's own reference."""
    prose = " ".join(" ".join(text.split()) for _, text in sorted(topics.items()))
    step = len(prose) // (PROBES * PROBE_PASSAGES)
    lists = [[number + PROBES * place for place in range(PROBE_PASSAGES)] for number in range(PROBES)]
    # Lengths vary as those of real passages do.
    passages = [
        [("", prose[at * step :][: PROBE_CHARS // (1 + place % 4)]) for place, at in enumerate(found)]
        for found in lists
    ]
    return [(found[0][1][:80], found) for found in passages]


def compare(reference: Sequence[FloatArray], other: Sequence[FloatArray]) -> MeasuredForm:
    """How far two scorings of the same lists agree, as the limits above."""
    taus, differences = [], []
    for one, two in zip(reference, other, strict=True):
        taus.append(_kendall_tau(one, two))
        differences.append(float(np.abs(one - two).mean() / max(float(one.std()), 1e-9)))
    return {
        "rank_agreement": round(float(np.mean(taus)), 4),
        "score_difference": round(float(np.mean(differences)), 4),
    }


def _kendall_tau(one: FloatArray, two: FloatArray) -> float:
    """Kendall's tau-b, -1..1; of lists in which all are equal, 1 if they are the same."""
    # Two lines instead of scipy.stats, which takes half a second to import.
    signs = [np.sign(values[:, None] - values[None, :]) for values in (one, two)]
    pairs = float(np.sqrt(np.abs(signs[0]).sum() * np.abs(signs[1]).sum()))
    return float((signs[0] * signs[1]).sum() / pairs) if pairs else float(np.array_equal(one, two))


def decide(measured: Mapping[str, MeasuredForm], made_on: str) -> Decision:
    """Which form is served, and why.

    Args:
        measured: form → `pairs_per_s`, and but for fp32 `rank_agreement` and `score_difference`.
        made_on: the machine.
    """
    rows: dict[str, MeasuredForm] = {}
    for name, numbers in measured.items():
        faults = []
        if numbers.get("rank_agreement", 1.0) < LEAST_RANK_AGREEMENT:
            faults.append(f"rank agreement {numbers['rank_agreement']} is below {LEAST_RANK_AGREEMENT}")
        if numbers.get("score_difference", 0.0) > MOST_SCORE_DIFFERENCE:
            faults.append(f"score difference {numbers['score_difference']} is over {MOST_SCORE_DIFFERENCE}")
        rows[name] = {**numbers, "accepted": not faults, "reason": "; ".join(faults) or None}
    accepted = [name for name in rows if rows[name]["accepted"]]
    served = max(accepted, key=lambda name: rows[name]["pairs_per_s"], default=FP32)
    return {"machine": made_on, "served": served, "measured": rows}


def measure(forms: Mapping[str, Scores]) -> Decision:
    """Run the probes on every form, fp32 among them, and decide. Another form that fails is not accepted.

    Raises:
        ModelUnavailable: fp32 fails.
    """
    lists = probes()
    pairs = sum(len(passages) for _, passages in lists)
    scores: dict[str, list[FloatArray]] = {}
    seconds: dict[str, list[float]] = {name: [] for name in forms}
    failed: dict[str, str] = {}
    # Forms take turns, so that a busy machine slows all of them.
    for query, passages in [lists[0], *lists]:
        for name, form in forms.items():
            started = time.thread_time()
            try:
                found = form.score(query, passages)
            except Cancelled:  # says nothing of the form
                raise
            except TribridError as error:
                failed[name] = error.detail
                continue
            seconds[name].append(time.thread_time() - started)
            scores.setdefault(name, []).append(found)
    if FP32 in failed:
        raise ModelUnavailable(f"The cross-encoder cannot score: {failed[FP32]}")
    measured: dict[str, MeasuredForm] = {}
    for name in forms:
        if name not in failed:
            rate = pairs / max(sum(seconds[name][1:]), 1e-9)
            agreement = compare(scores[FP32], scores[name]) if name != FP32 else MeasuredForm()
            measured[name] = {**agreement, "pairs_per_s": round(rate, 1)}
    decision = decide(measured, machine())
    decision["measured"] |= {name: {"accepted": False, "reason": reason} for name, reason in failed.items()}
    return decision


def form_here(shipped: Decision | None) -> str:
    """The form of an export that this machine serves, by the decision that the export came with.

    Where it was made on this kind of processor, what was decided there holds. Elsewhere int8 is served if it agreed
    there and this processor sums its products in 32 bits in one instruction: then they are the same integers, and
    soon made.
    """
    if not shipped:
        return FP32
    if shipped["machine"] == machine():
        return str(shipped["served"])
    agreed = shipped["measured"].get(INT8, {}).get("accepted", False)
    return INT8 if agreed and multiplies_int8(processor_flags()) else FP32
