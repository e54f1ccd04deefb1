"""int8 serves where it is as good and faster, fp32 everywhere else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from tribrid.encoders.onnx import FloatArray
from tribrid.encoders.variants import (
    FP32,
    INT8,
    Decision,
    MeasuredForm,
    compare,
    decide,
    form_here,
    machine,
    measure,
    multiplies_int8,
    probes,
    processor_flags,
)
from tribrid.errors import ModelUnavailable, ScorerFailed

GOOD: MeasuredForm = {"pairs_per_s": 90.0, "rank_agreement": 0.97, "score_difference": 0.05}
EXACT: MeasuredForm = {"pairs_per_s": 50.0}


def test_the_fastest_that_agrees_serves() -> None:
    decision = decide({FP32: EXACT, INT8: GOOD}, "here")
    assert (decision["served"], decision["machine"]) == (INT8, "here")
    assert decision["measured"][INT8] == {**GOOD, "accepted": True, "reason": None}


@pytest.mark.parametrize(
    ("int8", "why"),
    [
        ({**GOOD, "rank_agreement": 0.7}, "rank agreement 0.7"),
        ({**GOOD, "score_difference": 0.8}, "score difference 0.8"),
        ({**GOOD, "pairs_per_s": 49.0}, None),
    ],
)
def test_what_disagrees_or_is_slower_does_not(int8: MeasuredForm, why: str | None) -> None:
    decision = decide({FP32: EXACT, INT8: int8}, "here")
    assert decision["served"] == FP32
    assert (why in (decision["measured"][INT8]["reason"] or "")) if why else decision["measured"][INT8]["accepted"]


def test_agreement_is_about_order_and_size() -> None:
    scores = [np.array([3.0, 1.0, 2.0], np.float32), np.array([0.0, 5.0, 1.0], np.float32)]
    assert compare(scores, scores) == {"rank_agreement": 1.0, "score_difference": 0.0}
    assert compare(scores, [-one for one in scores])["rank_agreement"] == -1.0
    shifted = compare(scores, [one + 3 for one in scores])
    assert shifted["rank_agreement"] == 1.0
    assert shifted["score_difference"] > 1
    equals = [np.zeros(3, np.float32)]
    assert compare(equals, equals)["rank_agreement"] == 1.0


def test_probes_are_whole_lists_of_long_and_short_passages() -> None:
    found = probes()
    assert len({query for query, _ in found}) == len(found) > 4
    lengths = [len(text) for _, passages in found for _, text in passages]
    assert len({len(passages) for _, passages in found}) == 1
    assert min(lengths) < 250 < 500 < max(lengths)


def test_what_was_decided_on_this_kind_of_processor_holds() -> None:
    for served in (FP32, INT8):
        assert form_here({"machine": machine(), "served": served, "measured": {}}) == served
    assert form_here(None) == FP32


@pytest.mark.parametrize("accepted", [True, False])
def test_elsewhere_int8_serves_where_it_agreed_and_is_multiplied_whole(accepted: bool) -> None:
    shipped: Decision = {"machine": "another", "served": FP32, "measured": {INT8: {"accepted": accepted}}}
    assert form_here(shipped) == (INT8 if accepted and multiplies_int8(processor_flags()) else FP32)


@pytest.mark.parametrize(("flags", "wide"), [(("avx2",), False), (("avx2", "avx512_vnni"), True), ((), False)])
def test_weights_use_all_bits_where_sums_do_not_overflow(flags: tuple[str, ...], wide: bool) -> None:
    assert multiplies_int8(flags) is wide


class Failing:
    """A form that fails, or does not."""

    def __init__(self, fails: bool) -> None:
        self._fails = fails

    def score(self, query: str, passages: Sequence[tuple[str, str]]) -> FloatArray:
        if self._fails:
            raise ScorerFailed("broken")
        return np.arange(len(passages), dtype=np.float32)


def test_a_form_that_fails_is_not_served() -> None:
    assert measure({FP32: Failing(False), INT8: Failing(True)})["served"] == FP32
    with pytest.raises(ModelUnavailable, match="broken"):
        measure({FP32: Failing(True), INT8: Failing(False)})
