"""Which rerank service may be asked, and with which key.

Only an address of the operator's is ever asked: a service's own where its key is in the environment, or one that the
settings or the environment name. A key goes to its own service, or to the address that the environment names.
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from tribrid.answers.costs import Cost, CostEstimate
from tribrid.cloud.allowed import check_address
from tribrid.cloud.client import CloudScorer, RerankClient, Service
from tribrid.cloud.dialects import DOCUMENTS_PER_REQUEST, OWN_ADDRESS, Provider, endpoint
from tribrid.cloud.line import address_of
from tribrid.cloud.prices import Prices
from tribrid.cloud.purse import CLOUD, Purse, Tariff, budgets_of, purse_of
from tribrid.config import Environment
from tribrid.config.reranking import RerankingConfig
from tribrid.encoders.loading import LoadOnce
from tribrid.errors import BudgetSpent, InvalidInput, ModelUnavailable
from tribrid.store.spending import Account, Budget, Spending, first_day

TIMEOUT_MS = 10_000
"""How long a search waits for a service where reranking.reranker_timeout_ms says nothing."""
PATIENCE_S, PATIENT_RETRIES = 120.0, 6
"""An evaluation waits longer: a query without a score fails it."""
_CLIENTS = 8
_OWN_KEY = "TRIBRID_RERANKER_CLOUD_API_KEY"


class ServiceArm(BaseModel):
    """A rerank service that takes part in an evaluation, by its name there."""

    model_config = ConfigDict(frozen=True)

    name: str
    kind: Literal["cloud"] = "cloud"
    provider: Provider
    url: str | None = None
    model: str | None = None


class Clouds:
    """Every rerank service that a process asks. Safe for threads; close it when done."""

    def __init__(self, environment: Environment, spending: Spending, prices: Callable[[], Prices]) -> None:
        self._environment, self._spending, self._prices = environment, spending, prices
        self._clients: LoadOnce[Service, RerankClient] = LoadOnce(self._connect, _CLIENTS)
        self._opened: weakref.WeakSet[RerankClient] = weakref.WeakSet()

    def close(self) -> None:
        """Hang up everywhere."""
        for client in list(self._opened):
            client.close()

    def scorer(
        self, corpus_id: str, config: RerankingConfig, everywhere: RerankingConfig, *, patient: bool = False
    ) -> CloudScorer:
        """Mode cloud of a corpus, with these settings.

        Args:
            corpus_id: whose spending it is.
            config: of the corpus.
            everywhere: of all corpora: its budget holds as well.
            patient: for an evaluation.

        Raises:
            ModelUnavailable: a setting or a key is missing, or a budget that no price can be held against.
        """
        service = self._service(config)
        if patient:
            service = replace(service, retries=max(service.retries, PATIENT_RETRIES))
        budgets = budgets_of(corpus_id, config, everywhere)
        tariff = Tariff(self._prices(), service)
        if budgets and not tariff.known:
            raise ModelUnavailable(
                f"The price of {service.name} is unknown, so reranking.reranker_cloud_budget_usd cannot be kept. Add "
                "it to the file that TRIBRID_MODELS_FILE names (a server of your own: usd 0), or take the budget away.",
                setting="reranking.reranker_cloud_budget_usd",
            )
        account = Account(corpus_id, service.provider, service.model or service.host)
        timeout_s = PATIENCE_S if patient else (config.reranker_timeout_ms or TIMEOUT_MS) / 1000
        return CloudScorer(
            self._clients.get(service),
            Purse(tariff, self._spending, account, budgets),
            timeout_s=timeout_s,
            snippet_chars=config.rerank_input_snippet_chars,
        )

    def rival(
        self, corpus_id: str, config: RerankingConfig, everywhere: RerankingConfig, arm: ServiceArm | None = None
    ) -> CloudScorer:
        """A service as an evaluation asks it: mode cloud's, or an outside arm's.

        Raises:
            ModelUnavailable: as `scorer`, of mode cloud.
            InvalidInput: the arm's service may not be asked, or cannot; names the arm.
        """
        if arm is None:
            return self.scorer(corpus_id, config, everywhere, patient=True)
        asked = self._allowed(arm, config)
        try:
            return self.scorer(corpus_id, asked, everywhere, patient=True)
        except ModelUnavailable as error:
            raise InvalidInput(f"arms: {arm.name}: {error.detail}", arm=arm.name) from None

    def check_budget(
        self, corpus_id: str, config: RerankingConfig, everywhere: RerankingConfig, estimated: CostEstimate
    ) -> None:
        """Refuse work that is estimated to cost more than what is left.

        Raises:
            BudgetSpent: it is.
        """
        usd = sum(cost.usd or 0.0 for cost in estimated.cloud.values())
        for budget in budgets_of(corpus_id, config, everywhere):
            left = budget.usd - self._spending.usd(budget.since, budget.corpus_id)
            if usd > left:
                raise BudgetSpent(
                    f"This would cost about ${usd:.2f} at rerank services, and ${max(left, 0.0):.2f} of "
                    f"${budget.usd:g} is left (reranking.reranker_cloud_budget_usd, period: {budget.period}).",
                    estimated_usd=usd,
                    budget_usd=budget.usd,
                )

    def estimate(
        self, config: RerankingConfig, arms: Sequence[ServiceArm], query_chars: Sequence[int], document_chars: int
    ) -> dict[str, Cost]:
        """What reranking these queries will cost, by arm; an arm that cannot be asked is left out."""
        wanted: list[tuple[str, RerankingConfig]] = [(CLOUD, config)] if config.reranker_mode == CLOUD else []
        wanted += [(arm.name, _with_arm(config, arm)) for arm in arms]
        found = {}
        for name, settings in wanted:
            try:
                tariff = Tariff(self._prices(), self._service(settings))
            except ModelUnavailable:
                continue  # whoever runs it says why
            found[name] = tariff.estimate(query_chars, settings.tribrid_reranker_topn, document_chars)
        return found

    def status(self, corpus_id: str, config: RerankingConfig, everywhere: RerankingConfig) -> dict[str, Any]:
        """Whom mode cloud asks, what that has cost, and what went wrong last; asks nobody.

        Raises:
            ModelUnavailable: as `scorer`.
        """
        scorer = self.scorer(corpus_id, config, everywhere)
        client, tariff = scorer.client, purse_of(scorer).tariff
        budgets = [self._budget_view(budget) for budget in budgets_of(corpus_id, config, everywhere)]
        since = first_day(config.reranker_cloud_budget_period)
        resting_s, why = client.pace.wait_s()
        failure = client.last_failure
        return {
            "provider": client.service.provider,
            "host": client.service.host,
            "model": client.service.model,
            "price_known": tariff.known,
            "budgets": budgets,
            "spent": {"since": since or None, "by_model": self._spending.by_model(since, corpus_id or None)},
            "pause": {"seconds": round(resting_s, 1), "why": why} if resting_s > 0 else None,
            "last_failure": {"at_us": failure[0], "detail": failure[1]} if failure else None,
        }

    def _budget_view(self, budget: Budget) -> dict[str, Any]:
        spent = max(0.0, self._spending.usd(budget.since, budget.corpus_id))
        return {
            "corpus_id": budget.corpus_id,
            "usd": budget.usd,
            "period": budget.period,
            "spent_usd": spent,
            "left_usd": max(0.0, budget.usd - spent),
        }

    def info(self) -> dict[str, Any]:
        """Which services could be asked: those whose key is in the environment; never a key."""
        keys = self._environment.cloud_keys
        return {
            "providers": list(DOCUMENTS_PER_REQUEST),
            "keys_present": [name for name in (*OWN_ADDRESS, "reranker_cloud") if name in keys],
            "addresses_allowed": _urls(self._environment),
        }

    def probe(self, config: RerankingConfig, everywhere: RerankingConfig) -> str:
        """Ask the service of these settings a question that costs nothing.

        Raises:
            ModelUnavailable: as `scorer`.
            ScorerFailed: it cannot be reached, or refuses the key.
        """
        scorer = self.scorer("", config, everywhere)
        price = "" if purse_of(scorer).tariff.known else "; its price is unknown"
        return scorer.client.probe((config.reranker_timeout_ms or TIMEOUT_MS) / 1000) + price

    def _service(self, config: RerankingConfig) -> Service:
        provider = config.reranker_cloud_provider
        if provider is None:
            raise _incomplete("provider", "cohere, voyage, jina or tei")
        url = endpoint(provider, config.reranker_cloud_url)
        if url is None:
            raise _incomplete("url", "the address of your server")
        self._check_address(config)
        own = _is_own(provider, url)
        if own and config.reranker_cloud_model is None:
            raise _incomplete("model", "the model to ask for, such as rerank-v4.0-fast or rerank-2.5")
        return Service(
            provider=provider,
            url=url,
            own=own,
            model=config.reranker_cloud_model,
            key_variable=f"{provider.upper()}_API_KEY" if own else _OWN_KEY,
            concurrency=config.reranker_cloud_concurrency,
            retries=config.reranker_cloud_retries,
            batch=config.reranker_cloud_batch,
        )

    def _check_address(self, config: RerankingConfig) -> None:
        """Refuse an address that the operator allows no more, or never did: it may have been set before.

        Raises:
            ModelUnavailable: it is one.
        """
        url = config.reranker_cloud_url
        if url is None or url in _urls(self._environment):
            return
        try:
            check_address(self._environment, "reranking", "reranker_cloud_url", url)
        except InvalidInput as error:
            raise ModelUnavailable(error.detail, **error.facts) from None

    def _connect(self, service: Service) -> RerankClient:
        key = self._key(service)
        if key is None and service.own:
            raise ModelUnavailable(
                f"{service.host} needs a key: set {service.key_variable} in the environment.",
                setting=service.key_variable,
            )
        try:
            client = RerankClient(service, key)
        except ValueError as error:
            raise ModelUnavailable(f"{service.key_variable} or reranking.reranker_cloud_url: {error}") from None
        self._opened.add(client)
        return client

    def _key(self, service: Service) -> str | None:
        keys = self._environment.cloud_keys
        if service.own:
            return keys.get(service.provider)
        # A setting can be changed by whoever may call PATCH /config; an environment cannot.
        named = self._environment.address("reranking", "reranker_cloud_url")
        return keys.get("reranker_cloud") if named and _origin(named) == _origin(service.url) else None

    def _allowed(self, arm: ServiceArm, config: RerankingConfig) -> RerankingConfig:
        """The settings with which an arm is asked.

        Raises:
            InvalidInput: nobody allowed its address.
        """
        settings = _with_arm(config, arm)
        provider, url = settings.reranker_cloud_provider, settings.reranker_cloud_url
        if provider is not None and url is not None:
            allowed = [*_urls(self._environment), *filter(None, [config.reranker_cloud_url])]
            if endpoint(provider, url) not in {endpoint(provider, known) for known in allowed}:
                raise InvalidInput(
                    f"arms: {arm.name}: {url} is not among the addresses that may be asked: those of "
                    "TRIBRID_CLOUD_URLS and reranking.reranker_cloud_url.",
                    arm=arm.name,
                )
        return settings


def _with_arm(config: RerankingConfig, arm: ServiceArm) -> RerankingConfig:
    named = arm.model_dump(include={"provider", "url", "model"})
    return config.model_copy(update={f"reranker_cloud_{part}": value for part, value in named.items()})


def _incomplete(field: str, wanted: str) -> ModelUnavailable:
    setting = f"reranking.reranker_cloud_{field}"
    return ModelUnavailable(f"Mode cloud needs {setting}: {wanted}.", setting=setting)


def _is_own(provider: Provider, url: str) -> bool:
    """Whether the address is the provider's own."""
    own = OWN_ADDRESS.get(provider)
    return own is not None and _origin(url) == _origin(own)


def _origin(url: str) -> tuple[str, str, int]:
    try:
        return address_of(url)
    except ValueError as error:
        raise ModelUnavailable(f"reranking.reranker_cloud_url: {url!r} is no address: {error}.") from None


def _urls(environment: Environment) -> list[str]:
    return [url for url in re.split(r"[\s,]+", environment.cloud_urls) if url]
