"""Mode cloud's settings: which address may be asked with which key, and what it may cost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chat_server import Reply, Says
from rerank_server import ok, rerank_server, speaks, then
from tribrid.answers.costs import Cost, CostEstimate
from tribrid.cloud import client as cloud
from tribrid.cloud.clouds import Clouds, ServiceArm
from tribrid.cloud.prices import Price, Prices, load_prices, together
from tribrid.cloud.purse import purse_of
from tribrid.config import Environment, read_environment
from tribrid.config.reranking import RerankingConfig
from tribrid.errors import BudgetSpent, InvalidInput, ModelUnavailable, ScorerFailed
from tribrid.store import Store
from tribrid.store.spending import ALL_TIME

SECRETS = {"cohere": "key-cohere", "voyage": "key-voyage", "reranker_cloud": "key-own"}
PRICES = load_prices()
PER_SEARCH, PER_TOKEN = "rerank-v4.0-fast", "rerank-2.5"
TEXTS = ["certificate of the proxy", "soup on Mondays"]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(tmp_path)
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud, "FIRST_WAIT_S", 0.01)


def settings(url: str | None = None, **more: Any) -> RerankingConfig:
    given = {"provider": "cohere", "url": url, **more}
    return RerankingConfig.model_validate(
        {"reranker_mode": "cloud", **{f"reranker_cloud_{name}": value for name, value in given.items()}}
    )


def clouds(store: Store, *, named: str | None = None, allowed: str = "", prices: Prices = PRICES) -> Clouds:
    """As an operator has set it up who has several keys."""
    overrides = {"reranking": {"reranker_cloud_url": named}} if named else {}
    environment = Environment.model_validate(
        {"data_dir": Path(), "cloud_keys": SECRETS, "overrides": overrides, "cloud_urls": allowed}
    )
    return Clouds(environment, store.spending, lambda: prices)


@pytest.mark.parametrize(
    ("config", "setting"),
    [
        (settings(provider=None), "reranker_cloud_provider"),
        (settings(provider="tei"), "reranker_cloud_url"),
        (settings(provider="voyage"), "reranker_cloud_model"),
        (settings(provider="jina", model="m"), "JINA_API_KEY"),
        (settings("http://h:99999"), "reranker_cloud_url"),
        (settings("http://10.0.0.9:80", budget_usd=1), "reranker_cloud_budget_usd"),
        (settings(provider="jina", model="m", budget_usd=1), "reranker_cloud_budget_usd"),
    ],
)
def test_what_is_missing_is_named_and_nothing_is_asked(store: Store, config: RerankingConfig, setting: str) -> None:
    with pytest.raises(ModelUnavailable, match=setting) as caught:
        clouds(store).scorer("c", config, config)
    assert not any(secret in json.dumps(caught.value.problem()) for secret in SECRETS.values())


def sent_key(store: Store, says: Says, *, named: bool, **more: Any) -> str | None:
    with rerank_server(says) as server:
        config = settings(server.url, **more)
        opened = clouds(store, named=server.url + "/v1" if named else None)
        scorer = opened.scorer("c", config, config)
        scorer.client.rerank("q", TEXTS, scorer.meter, 20)
        opened.close()
        return server.seen[0].headers.get("authorization")


def test_a_key_goes_only_where_the_environment_sends_it(store: Store) -> None:
    assert sent_key(store, speaks("cohere"), named=True) == "Bearer key-own"
    assert sent_key(store, speaks("cohere"), named=False) is None
    assert sent_key(store, speaks("voyage"), named=False, provider="voyage", model="rerank-2.5") is None


def test_a_setting_cannot_send_the_key_to_another_address_than_the_environment_names(store: Store) -> None:
    """Another port of the same machine is another address."""
    with rerank_server(speaks("cohere")) as server:
        config = settings(server.url)
        opened = clouds(store, named="http://127.0.0.1:1")
        scorer = opened.scorer("c", config, config)
        scorer.client.rerank("q", TEXTS, scorer.meter, 20)
        opened.close()
        assert server.seen[0].headers.get("authorization") is None


def test_an_evaluation_is_more_patient_than_a_search(store: Store) -> None:
    config = settings("http://mine.example", retries=1)
    opened = clouds(store, allowed="http://allowed.example")
    search = opened.scorer("c", config, config)
    for patient in (
        opened.rival("c", config, config),
        opened.rival("c", config, config, arm(url="http://mine.example")),
    ):
        assert patient.timeout_s > search.timeout_s
        assert patient.client.service.retries > search.client.service.retries == 1
    stubborn = settings("http://mine.example", retries=9)
    assert opened.rival("c", stubborn, stubborn).client.service.retries == 9


def test_a_service_of_its_own_gets_its_own_key_and_no_other(store: Store) -> None:
    own = clouds(store, named="https://api.cohere.com").scorer("c", settings(model="m"), settings())
    assert own.client.service.url == "https://api.cohere.com/v2/rerank"
    assert own.client.service.key_variable == "COHERE_API_KEY"
    other = clouds(store).scorer("c", settings("https://api.cohere.com.evil.example"), settings())
    assert other.client.service.key_variable == "TRIBRID_RERANKER_CLOUD_API_KEY"
    assert (own.model_id, other.model_id) == ("cohere/m", "cohere/api.cohere.com.evil.example")


def spend(store: Store, says: Says, *, corpus_id: str = "c", budget: float | None = None, **more: Any) -> Cost:
    """One search's requests; the purse's own count of what they cost."""
    with rerank_server(says) as server:
        config = settings(server.url, budget_usd=budget, **{"model": PER_SEARCH, **more})
        opened = clouds(store)
        scorer = opened.scorer(corpus_id, config, config)
        try:
            scorer.client.rerank("certificate", TEXTS, scorer.meter, 20)
        finally:
            opened.close()
        return purse_of(scorer).cost()


def never(*_: object) -> Reply:
    raise AssertionError("the service was asked")


def test_the_cost_is_what_the_service_bills(store: Store) -> None:
    cost = spend(store, speaks("cohere", {"billed_units": {"search_units": 3}}))
    assert cost.usd == pytest.approx(3 * 0.002)
    assert (cost.provider, cost.model, cost.units, cost.requests) == ("cohere", PER_SEARCH, 2, 1)
    tokens = spend(store, speaks("voyage", {"total_tokens": 1000}), provider="voyage", model=PER_TOKEN)
    assert tokens.usd == pytest.approx(1000 * 0.05e-6)
    assert store.spending.usd(ALL_TIME) == pytest.approx(0.006 + 0.00005)
    assert [row["documents"] for row in store.spending.by_model(ALL_TIME, "c")] == [2, 2]


def test_a_service_that_does_not_say_is_estimated(store: Store) -> None:
    silent = ok({"results": [{"index": n, "relevance_score": 0.5} for n in range(2)], "meta": {"billed_units": None}})
    assert spend(store, then(silent)).usd == pytest.approx(0.002)
    assert spend(store, then(silent), provider="voyage", model=PER_TOKEN).usd == pytest.approx(16 * 0.05e-6)


@pytest.mark.parametrize(("reply", "paid"), [(Reply(b"", 400), 0.0), (Reply(b"", 500), 0.0), (Reply(b"junk"), 0.002)])
def test_a_refusal_is_free_and_what_may_have_been_billed_counts(store: Store, reply: Reply, paid: float) -> None:
    with pytest.raises(ScorerFailed):
        spend(store, then(reply))
    assert store.spending.usd(ALL_TIME) == pytest.approx(paid)


def test_a_spent_budget_stops_before_the_request(store: Store) -> None:
    for _ in range(2):
        spend(store, speaks("cohere"), budget=0.005)
    for corpus_id in ("c", "c", "another"):
        with pytest.raises(BudgetSpent, match="budget for rerank services is spent"):
            spend(store, never, budget=0.005, corpus_id=corpus_id)
    assert store.spending.usd(ALL_TIME) == pytest.approx(0.004)


def test_a_corpus_with_a_budget_of_its_own_has_both(store: Store) -> None:
    everywhere, own = settings(budget_usd=0.01, model="m"), settings(budget_usd=0.003, model=PER_SEARCH)
    with rerank_server(speaks("cohere")) as server:
        own = own.model_copy(update={"reranker_cloud_url": server.url})
        opened = clouds(store)
        first, other = opened.scorer("first", own, everywhere), opened.scorer("other", own, everywhere)
        first.client.rerank("q", TEXTS, first.meter, 20)
        with pytest.raises(BudgetSpent, match="of corpus 'first'"):
            first.client.rerank("q", TEXTS, first.meter, 20)
        other.client.rerank("q", TEXTS, other.meter, 20)
        status = opened.status("first", own, everywhere)
        opened.close()
    assert [(b["corpus_id"], b["left_usd"]) for b in status["budgets"]] == [
        (None, pytest.approx(0.006)),
        ("first", pytest.approx(0.001)),
    ]
    assert [row["requests"] for row in status["spent"]["by_model"]] == [1]


def test_a_server_of_ones_own_is_free_on_this_machine_and_unknown_elsewhere(store: Store) -> None:
    here = spend(store, speaks("tei"), provider="tei", model=None, budget=0.0)
    assert (here.usd, here.provider) == (0.0, "local")
    assert store.spending.by_model(ALL_TIME) == []
    config = settings("http://10.0.0.9", provider="tei")
    estimate = clouds(store).estimate(config, [], [20] * 10, 400)["cloud"]
    assert (estimate.usd, bool(estimate.note)) == (None, True)
    listed = Price(
        kind="RERANK", provider="tei", model="10.0.0.9", unit="token", per=1, usd=0, as_of="2026-11", source=""
    )
    config = settings("http://10.0.0.9", provider="tei", model="10.0.0.9", budget_usd=1)
    assert clouds(store, prices=Prices((listed,))).scorer("c", config, config).model_id == "tei/10.0.0.9"


def arm(**more: Any) -> ServiceArm:
    return ServiceArm.model_validate({"name": "rival", "provider": "cohere", "url": None, "model": "m", **more})


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (arm(url="http://169.254.169.254/latest"), "is not among the addresses"),
        (arm(url="http://allowed.example:81"), "is not among the addresses"),
        (arm(url="https://allowed.example"), "is not among the addresses"),
        (arm(url="http://allowed.example/other"), "is not among the addresses"),
        (arm(provider="jina"), "JINA_API_KEY"),
        (arm(provider="tei"), "reranker_cloud_url"),
        (arm(model=None), "reranker_cloud_model"),
    ],
)
def test_an_arm_may_ask_only_what_the_operator_allowed(store: Store, asked: ServiceArm, said: str) -> None:
    opened = clouds(store, allowed="http://allowed.example, http://two.example/v1")
    with pytest.raises(InvalidInput, match=said):
        opened.rival("c", settings("http://mine.example"), settings(), asked)


@pytest.mark.parametrize(
    ("asked", "url"),
    [
        (arm(), "https://api.cohere.com/v2/rerank"),
        (arm(url="http://allowed.example/"), "http://allowed.example/v1/rerank"),
        (arm(url="http://two.example/v1/rerank", provider="jina"), "http://two.example/v1/rerank"),
        (arm(url="http://mine.example/v1/rerank"), "http://mine.example/v1/rerank"),
        (None, "http://mine.example/v1/rerank"),
    ],
)
def test_what_is_allowed_is_asked(store: Store, asked: ServiceArm | None, url: str) -> None:
    opened = clouds(store, allowed="http://allowed.example, http://two.example/v1")
    assert opened.rival("c", settings("http://mine.example"), settings(), asked).client.service.url == url


def test_an_estimate_beyond_what_is_left_is_refused(store: Store) -> None:
    config = settings(model=PER_SEARCH, budget_usd=1.0)
    opened = clouds(store)
    estimated = together(CostEstimate, Cost(usd=0.0), cloud=opened.estimate(config, [], [40] * 400, 1500))
    assert estimated.usd == pytest.approx(400 * 0.002)
    opened.check_budget("c", config, config, estimated)
    estimated = together(CostEstimate, Cost(usd=0.0), cloud=opened.estimate(config, [], [40] * 600, 1500))
    with pytest.raises(BudgetSpent, match=r"about \$1.20 .* \$1.00 of \$1 is left"):
        opened.check_budget("c", config, config, estimated)


def test_a_budget_may_be_used_up_and_what_other_corpora_spend_is_not_a_corpus_s_own(store: Store) -> None:
    everywhere, own = settings(model=PER_SEARCH), settings(model=PER_SEARCH, budget_usd=1.0)
    opened = clouds(store)
    spend(store, speaks("cohere"), corpus_id="another")
    opened.check_budget("c", own, everywhere, CostEstimate(cloud={"cloud": Cost(usd=1.0)}))
    with pytest.raises(BudgetSpent):
        opened.check_budget("c", own, everywhere, CostEstimate(cloud={"cloud": Cost(usd=1.001)}))


def test_an_arm_that_cannot_be_asked_has_no_estimate_and_mode_cloud_only_where_it_serves(store: Store) -> None:
    keyless = arm(name="keyless", provider="tei")
    config = settings(model=PER_SEARCH)
    estimate = clouds(store).estimate(config, [arm(model=PER_SEARCH), keyless], [40], 100)
    assert estimate.keys() == {"cloud", "rival"}
    unused = config.model_copy(update={"reranker_mode": "none"})
    assert clouds(store).estimate(unused, [arm(model=PER_SEARCH)], [40], 100).keys() == {"rival"}


def test_the_environment_names_keys_and_addresses_and_info_no_key(store: Store) -> None:
    environment = read_environment(
        {"TRIBRID_RERANKER_CLOUD_API_KEY": "key-own", "TRIBRID_CLOUD_URLS": "http://a http://b,http://c"}
    )
    assert "key-own" not in repr(environment)
    info = Clouds(environment, store.spending, lambda: PRICES).info()
    assert info["keys_present"] == ["reranker_cloud"]
    assert info["addresses_allowed"] == ["http://a", "http://b", "http://c"]
    assert "key-own" not in json.dumps(info)
