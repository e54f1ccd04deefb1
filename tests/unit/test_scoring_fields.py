"""Documents' fields as features: what is missing stays missing, nothing huge takes over, odd values are refused."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from tribrid.config.features import NamedField
from tribrid.errors import InvalidField
from tribrid.evaluation.fields import stability
from tribrid.scoring.clicks import Clicks
from tribrid.scoring.fields import CategoryField, NumberField, day_of, kinds_of, learn, number_of, refuse
from tribrid.scoring.signals import NO_SIGNALS, Signals

NOW_US = 1_764_500_000_000_000
DAY_US = 86_400_000_000


def learned(word: str, values: list[Any], now_us: int = NOW_US) -> Any:
    """A field that was learned from documents with these values; None: missing."""
    name = NamedField.of(word).name
    return learn([NamedField.of(word)], [{} if value is None else {name: value} for value in values], now_us)[0]


def column(field: Any, values: list[Any], kind: str = "field", now_us: int = NOW_US) -> list[float]:
    rows = [{} if value is None else {field.name: value} for value in values]
    found: list[float] = field.columns(rows, now_us)[f"{kind}:{field.name}"].tolist()
    return found


def test_values_are_read_as_they_stand_in_json() -> None:
    assert [number_of(value) for value in (3, -2.5, True, False, 10**30)] == [3, -2.5, 1, 0, 1e30]
    assert math.isnan(number_of(None))
    wrong: tuple[Any, ...] = ("3", "", [3], {}, math.inf, math.nan, 10**400)
    for odd in wrong:
        with pytest.raises(ValueError, match="a number"):
            number_of(odd)
    assert day_of("1970-01-03") == day_of("1970-01-03T00:00:00Z") == day_of(2 * 86_400) == 2
    assert day_of("1970-01-02T23:00:00-01:00") == 2
    wrong = ("yesterday", True, [1], 1.7e12, "2026-13-01")
    for odd in wrong:
        with pytest.raises(ValueError, match="a date"):
            day_of(odd)
    assert kinds_of(["a", "b", "a"]) == ("a", "b")
    assert (kinds_of(None), kinds_of("a"), kinds_of(False)) == ((), ("a",), (False,))
    with pytest.raises(ValueError, match="a text"):
        kinds_of({"a": 1})


def test_the_first_document_with_another_value_is_named_and_a_missing_one_is_none() -> None:
    fields = [NamedField.of("price:number"), NamedField.of("released:date")]
    fine: list[tuple[str, dict[str, Any]]] = [("a", {}), ("b", {"price": None}), ("c", {"price": 1, "other": "x"})]
    refuse(fields, fine)
    refuse([], [("d", {"price": "x"})])
    with pytest.raises(InvalidField, match=r"'d'.*released.*\"soon\".*a date") as refused:
        refuse(fields, [*fine, ("d", {"released": "soon"}), ("e", {"price": "x"})])
    assert refused.value.facts == {"doc_id": "d", "field": "released", "value": '"soon"'}


def test_a_number_rises_with_its_value_however_heavy_the_tail() -> None:
    prices = [*np.exp(np.random.default_rng(1).normal(3, 1, 200)).tolist(), 1e12]
    field = learned("price:number", prices)
    asked = [-1e300, -5, 0, 1, 10, 20, 40, 400, 1e12, 1e300]
    found = column(field, asked)
    assert found == sorted(found)
    assert np.abs(found).max() <= 8
    assert len(set(found[1:9])) == 8
    assert column(field, [20, 60], "beside")[0] == -column(field, [20, 60], "beside")[1]


def test_what_is_missing_is_in_the_middle_and_said_to_be_missing() -> None:
    field = learned("price:number", [1, 2, 3, None])
    assert field.shares[-1] == 0.25
    assert column(field, [None, 2, "odd"], "missing") == [1, 0, 1]
    assert column(field, [None, 2, "odd"])[::2] == [0, 0]
    assert column(field, [None, None], "beside") == [0, 0]
    assert field.told({}, NOW_US) == {"field:price": None}
    assert field.told({"price": 7}, NOW_US) == {"field:price": 7}


def test_values_that_are_all_the_same_or_nowhere_do_no_harm() -> None:
    assert column(learned("price:number", [5, 5, 5]), [5, 6]) == [0, pytest.approx(math.log(7 / 6))]
    assert learn([NamedField.of("price:number"), NamedField.of("brand:category")], [{}], 0) == ()


def test_a_date_is_as_old_as_it_is_and_the_newest_are_told_apart() -> None:
    days = [f"20{year}-0{month}-01" for year in range(15, 25) for month in range(1, 10)]
    field = learned("released:date:up", days)
    found = column(field, ["2015-01-01", "2024-01-01", "2025-10-01", "2025-11-29", "2030-01-01"])
    assert found == sorted(found)
    assert found[3] - found[2] > 0.5
    later = column(field, ["2025-11-29"], now_us=NOW_US + 100 * DAY_US)
    assert later[0] < found[3]
    assert field.told({"released": "2025-11-29"}, NOW_US)["field:released"] == pytest.approx(1, abs=1)


def test_rare_categories_are_others_and_a_list_is_of_each() -> None:
    field = learned("brand:category", [*["acme"] * 6, *["1"] * 5, *[1] * 5, "rare", None])
    assert field.known == ('"acme"', '"1"', "1")
    rows = [{"brand": value} for value in ("acme", 1, "1", "rare", "new", None, ["acme", "new"])]
    columns = field.columns(rows, 0)
    assert columns['is:brand="acme"'].tolist() == [1, 0, 0, 0, 0, 0, 1]
    assert columns["is:brand=1"].tolist() == [0, 1, 0, 0, 0, 0, 0]
    assert columns["other:brand"].tolist() == [0, 0, 0, 1, 1, 0, 1]
    assert columns["missing:brand"].tolist() == [0, 0, 0, 0, 0, 1, 0]


def test_signals_are_read_back_from_json_as_they_were() -> None:
    fields = (learned("price:number:down", [1, 2, None]), learned("brand:category", ["a"] * 5))
    signals = Signals(fields, Clicks(0.2, {"d": [3.0, 2.0, 9.0]}))
    back = Signals.from_json(json.loads(json.dumps(signals.as_json())))
    assert isinstance(back.fields[0], NumberField)
    assert isinstance(back.fields[1], CategoryField)
    assert back.fields == fields
    assert back.directions == signals.directions
    assert (back.directions["field:price"], back.directions["clicks_used"]) == (-1, 1)
    metadata = {"d": {"price": 2, "brand": "a"}}
    one, other = (of.columns(["d", "e"], lambda _: metadata, NOW_US) for of in (signals, back))
    assert one.keys() == other.keys()
    assert all(np.array_equal(one[name], other[name]) for name in one)
    assert NO_SIGNALS.columns(["d"], lambda _: pytest.fail("nothing asks"), 0) == {}


def test_the_index_of_what_is_the_same_is_nothing_and_grows_with_the_difference() -> None:
    assert stability([0.5, 0.5, 0.0], [0.5, 0.5, 0.0]) == 0
    assert 0 < stability([0.5, 0.5], [0.6, 0.4]) < 0.1
    assert stability([0.5, 0.5, 0.0], [0.0, 0.1, 0.9]) > 1


@pytest.mark.parametrize(
    "word", ["price:number,stock:number", "price:number;stock:number", "price:number stock:number"]
)
def test_two_fields_in_one_word_are_refused(word: str) -> None:
    with pytest.raises(ValueError, match="apart by blanks"):
        NamedField.of(word)
    assert NamedField.of("dc:subject:category").name == "dc:subject"
