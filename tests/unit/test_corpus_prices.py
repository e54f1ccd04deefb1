"""Prices: the list that ships, its lookup, and estimates that never call an unknown price free."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import tribrid
from tribrid.cloud.prices import Price, Prices, load_prices, rerank_units
from tribrid.errors import InvalidInput

PER = 1_000_000
LISTED = Prices(
    (
        Price(kind="RERANK", provider="a", model="r", unit="search", per=1000, usd=2, as_of="2026-01", source="s"),
        Price(kind="RERANK", provider="b", model="r", unit="token", per=PER, usd=0.05, as_of="2026-01", source="s"),
        Price(
            kind="GEN", provider="a", model="g", unit="token", per=PER, usd=1, usd_output=4, as_of="2026-01", source="s"
        ),
    )
)


def test_the_shipped_list_covers_every_kind_and_each_entry_says_where_it_comes_from() -> None:
    prices = load_prices()
    assert {price.kind for price in prices.models} == {"RERANK", "EMB", "GEN"}
    assert all(price.source for price in prices.models)
    assert all((price.usd == 0) == (price.provider == "local") for price in prices.models)
    keys = [(price.kind, price.provider, price.model) for price in prices.models]
    assert len(keys) == len(set(keys))


def test_whose_a_rerank_model_is_is_known_with_and_without_a_price() -> None:
    prices = load_prices()
    assert prices.vendor("rerank-2.5") == "voyage"
    assert prices.vendor("jina-reranker-v3") == "jina"
    assert LISTED.vendor("r") == "a"
    for name in ("all-MiniLM-L6-v2", "gpt-5.4-mini", "", "unheard-of"):
        assert prices.vendor(name) is None
    named = [model for models in prices.vendors.values() for model in models]
    assert len(named) == len(set(named)) > len(prices.vendors)


def test_the_list_is_found_from_any_folder(tmp_path: Path) -> None:
    source = str(Path(tribrid.__file__).parents[1])
    code = f"import sys; sys.path.insert(0, {source!r}); from tribrid.cloud.prices import load_prices; load_prices()"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)


def test_a_local_model_costs_nothing_and_reports_its_seconds() -> None:
    found = load_prices().estimate("EMB", "all-MiniLM-L6-v2", 5_000_000, compute_s=12.5)
    assert (found.usd, found.compute_s, found.provider) == (0.0, 12.5, "local")
    own = LISTED.estimate("RERANK", "/models/mine", 10, provider="local", compute_s=1.0)
    assert (own.usd, own.compute_s, own.model) == (0.0, 1.0, "/models/mine")


def test_units_are_multiplied_by_the_price_of_the_named_provider() -> None:
    assert LISTED.estimate("RERANK", "r", 500).usd == pytest.approx(1.0)
    assert LISTED.estimate("RERANK", "r", 500, provider="b").model_dump(exclude_unset=True) == {
        "model": "r",
        "kind": "RERANK",
        "provider": "b",
        "unit": "token",
        "units": 500,
        "usd": pytest.approx(500 * 0.05 / PER),
        "as_of": "2026-01",
        "compute_s": None,
    }
    assert LISTED.estimate("GEN", "g", PER, output_units=PER).usd == pytest.approx(5.0)


def test_an_unknown_price_is_none_and_says_so() -> None:
    found = LISTED.estimate("RERANK", "unheard-of", 500, provider="cohere")
    assert found.usd is None
    assert "TRIBRID_MODELS_FILE" in (found.note or "")
    json.dumps(found.model_dump(mode="json"), allow_nan=False)


def test_reranking_is_counted_in_the_unit_it_is_billed_in() -> None:
    searches = LISTED.estimate_rerank("r", query_chars=[40, 40], documents=150, document_chars=400, provider="a")
    assert (searches.units, searches.unit) == (4, "search")
    tokens = LISTED.estimate_rerank("r", query_chars=[40, 40], documents=10, document_chars=400, provider="b")
    assert (tokens.units, tokens.unit) == ((2 * 10 * 40 + 2 * 10 * 400) // 4, "token")


def test_a_long_document_counts_as_its_pieces_and_a_request_as_one_search_at_least() -> None:
    assert rerank_units("search", 10, [100] * 100) == 1
    assert rerank_units("search", 10, [100] * 101) == 2
    assert rerank_units("search", 10, [980] * 50) == 1  # two pieces of 490 tokens beside the query
    assert rerank_units("search", 10, [981] * 50) == 2
    assert rerank_units("search", 5000, [250] * 100) == 1  # a longer query is cut
    assert rerank_units("search", 10, [0] * 70, batch=32) == 3
    assert rerank_units("token", 10, [100, 50]) == 170
    assert rerank_units("search", 10, []) == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "Expecting"),
        ("[]", "valid dictionary"),
        ('{"models": [{"kind": "RERANK"}]}', r"models\.0\.provider"),
        ('{"models": [], "extra": 1}', "extra"),
        ('{"models": [{"kind": "X"}]}', r"models\.0\.kind"),
    ],
)
def test_a_broken_list_is_refused_with_its_name_and_field(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "mine.json"
    path.write_text(content)
    with pytest.raises(InvalidInput, match=message) as caught:
        load_prices(path)
    assert "mine.json" in caught.value.detail


def test_a_list_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"none\.json"):
        load_prices(tmp_path / "none.json")


def test_negative_and_infinite_prices_are_refused(tmp_path: Path) -> None:
    entry = LISTED.models[0].model_dump()
    for usd in ("-1", "1e999"):
        path = tmp_path / "p.json"
        path.write_text(json.dumps({"models": [{**entry, "usd": 0}]}).replace('"usd": 0', f'"usd": {usd}'))
        with pytest.raises(InvalidInput, match="usd"):
            load_prices(path)
