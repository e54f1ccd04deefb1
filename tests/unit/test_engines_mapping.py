"""Records of other engines as documents: values that JSON does not have."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tribrid.engines.mapping import Mapped
from tribrid.types import Document


def mapped(*values: Any) -> tuple[list[Any], str | None]:
    """What metadata says of these values of a column, and the newest of them."""
    fields = Mapped({"metadata.price": ("price",)}, "price")
    records = iter([(number, {"text": "Soup", "price": value}) for number, value in enumerate(values)])
    found = list(fields.documents(records, 1000))
    assert all(isinstance(document, Document) for document in found)
    return [document.metadata["price"] for document in found if isinstance(document, Document)], fields.newest


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (Decimal("12.50"), 12.5),
        (Decimal("12.00"), 12),
        (Decimal("NaN"), "NaN"),
        (Decimal("Infinity"), "Infinity"),
        (Decimal("1E+5000"), "1E+5000"),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        ([Decimal("NaN"), True, None], ["NaN", True, None]),
    ],
)
def test_what_json_has_no_number_for_is_text(value: Any, kept: Any) -> None:
    assert mapped(value)[0] == [kept]


@pytest.mark.parametrize("nothing", [Decimal("NaN"), float("nan")])
def test_not_a_number_is_no_time_of_a_change(nothing: Any) -> None:
    assert mapped(nothing, 3, nothing, 2)[1] == "3"
