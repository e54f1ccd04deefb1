"""How far fields have moved since a training: what became of the shop is told, what chance does to a few is not."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from synthetic import candidates_of, reading_of
from tribrid.config.features import NamedField
from tribrid.evaluation.fields import field_drift
from tribrid.scoring.fields import learn
from tribrid.scoring.learned import Reading

FIELDS = tuple(map(NamedField.of, ("price:number", "brand:category", "released:date")))


def shop(seed: int, count: int, times: float = 1.0, missing: float = 0.1) -> dict[str, Mapping[str, Any]]:
    rng = np.random.default_rng(seed)
    return {
        f"d{at}": {
            "brand": str(rng.choice(["acme", "zeta"])),
            "released": f"20{rng.integers(10, 25)}-01-01",
            **({"price": times * float(rng.lognormal(3, 1))} if rng.random() >= missing else {}),
        }
        for at in range(count)
    }


def readings(products: Mapping[str, Mapping[str, Any]]) -> dict[str, Reading]:
    """Two searches that found all of them."""

    def described(doc_ids: Collection[str]) -> Mapping[str, Mapping[str, Any]]:
        return {doc_id: products[doc_id] for doc_id in doc_ids}

    found = candidates_of(np.linspace(1, 0, len(products)).tolist(), list(products))
    one = replace(reading_of(1), candidates=found, described=described, now_us=1_764_500_000_000_000)
    return {"a": one, "b": one}


def test_only_a_field_that_moved_is_told() -> None:
    fields = learn(FIELDS, list(shop(1, 400).values()), 1_764_500_000_000_000)
    same = field_drift(fields, readings(shop(2, 400)))
    assert [(drift.name, drift.drifted) for drift in same] == [("price", False), ("brand", False), ("released", False)]
    assert all(0 <= drift.psi < 0.1 for drift in same)
    dearer = {drift.name: drift for drift in field_drift(fields, readings(shop(3, 400, times=8)))}
    assert dearer["price"].drifted
    assert "much changed" in dearer["price"].told
    assert not dearer["brand"].drifted
    gone = field_drift(fields, readings(shop(4, 400, missing=0.9)))[0]
    assert gone.drifted
    assert gone.missing_now > 0.8 > gone.missing_then


def test_few_documents_differ_by_chance_and_that_is_no_drift() -> None:
    for seed in range(20):
        fields = learn(FIELDS, list(shop(seed, 20).values()), 1_764_500_000_000_000)
        assert not any(drift.drifted for drift in field_drift(fields, readings(shop(100 + seed, 15)))), seed
    assert field_drift((), readings(shop(1, 3))) == ()
    assert field_drift(learn(FIELDS, list(shop(1, 9).values()), 0), {}) == ()
