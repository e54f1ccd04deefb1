"""What rerank services cost: a price for each request, and budgets to pay it from."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from tribrid.answers.costs import Cost
from tribrid.cloud.client import CloudScorer, Service, Settle
from tribrid.cloud.dialects import DOCUMENTS_PER_REQUEST, Billed
from tribrid.cloud.line import address_of, is_loopback
from tribrid.cloud.prices import CHARS_PER_TOKEN, LOCAL, Price, Prices, rerank_units
from tribrid.config.reranking import RerankingConfig
from tribrid.store.spending import Account, Budget, Spending, first_day

CLOUD = "cloud"


@dataclass(frozen=True)
class Tariff:
    """What a service costs: a model's price, nothing where it runs on this machine, or nobody knows."""

    prices: Prices
    service: Service

    @cached_property
    def price(self) -> Price | None:
        """As the list has it; of another address than the provider's own, also that of the model by any provider."""
        model, provider = self.service.model or "", self.service.provider
        own = self.prices.find("RERANK", model, provider)
        return own if own or self.service.own else self.prices.find("RERANK", model)

    @property
    def provider(self) -> str:
        """As `Prices` understands it."""
        if self.price is not None:
            return self.price.provider
        return LOCAL if is_loopback(address_of(self.service.url)[1]) else self.service.provider

    @property
    def known(self) -> bool:
        """Whether a budget can be held against it."""
        return self.price is not None or self.provider == LOCAL

    def most(self, query: str, texts: Sequence[str]) -> float | None:
        """Upper bound of a request's cost, dollars: a token is at least a byte. None: the price is unknown."""
        return self._usd(_size(query), [_size(text) for text in texts])

    def billed(self, billed: Billed, query: str, texts: Sequence[str]) -> float | None:
        """What a request cost, dollars: as the service says, else estimated from the characters."""
        price = self.price
        units = None if price is None else billed.searches if price.unit == "search" else billed.tokens
        if price is not None and units is not None:
            return units * price.usd / price.per
        return self._usd(_tokens(query), [_tokens(text) for text in texts])

    def _usd(self, query_tokens: int, document_tokens: Sequence[int]) -> float | None:
        if self.price is None:
            return 0.0 if self.provider == LOCAL else None
        return rerank_units(self.price.unit, query_tokens, document_tokens) * self.price.usd / self.price.per

    def estimate(self, query_chars: Sequence[int], documents: int, document_chars: int) -> Cost:
        """As `Prices.estimate_rerank`, before anything is asked."""
        service = self.service
        return self.prices.estimate_rerank(
            service.model or service.host,
            query_chars=query_chars,
            documents=documents,
            document_chars=document_chars,
            provider=self.provider,
            batch=service.batch or DOCUMENTS_PER_REQUEST[service.provider],
        )


class Purse:
    """Pays for the requests of one scorer out of its budgets, and counts them. Safe for threads."""

    def __init__(self, tariff: Tariff, spending: Spending, account: Account, budgets: Sequence[Budget]) -> None:
        self.tariff, self._spending, self._account, self._budgets = tariff, spending, account, budgets
        self._lock = threading.Lock()
        self._requests, self._documents, self._usd = 0, 0, 0.0

    def begin(self, query: str, texts: Sequence[str]) -> Settle:
        """See Meter."""
        most = self.tariff.most(query, texts)
        day = self._spending.reserve(self._account, most, self._budgets) if most else None
        self._count(0, 0, most or 0.0)

        def settle(billed: Billed | None) -> None:
            usd = 0.0 if billed is None else self.tariff.billed(billed, query, texts)
            requests, documents = (0, 0) if billed is None else (1, len(texts))
            self._count(requests, documents, (usd or 0.0) - (most or 0.0))
            if day is not None or (usd is None and requests):
                self._spending.add(
                    self._account,
                    day=day,
                    usd=(usd or 0.0) - (most or 0.0),
                    requests=requests,
                    documents=documents,
                    unpriced=int(usd is None),
                )

        return settle

    def _count(self, requests: int, documents: int, usd: float) -> None:
        with self._lock:
            self._requests += requests
            self._documents += documents
            self._usd += usd

    def cost(self) -> Cost:
        """What was spent, as a report has it; a request that was lost on its way counts with the most it can cost."""
        tariff, price = self.tariff, self.tariff.price
        with self._lock:
            return Cost(
                model=tariff.service.model or tariff.service.host,
                kind="RERANK",
                provider=tariff.provider,
                unit="pair",
                units=self._documents,
                requests=self._requests,
                usd=max(0.0, self._usd) if tariff.known else None,
                as_of=price.as_of if price else None,
                compute_s=None,
            )


def budgets_of(corpus_id: str, config: RerankingConfig, everywhere: RerankingConfig) -> list[Budget]:
    """The budgets that hold: that of all corpora, and the corpus's own where it differs."""
    found = []
    for settings, whose in ((everywhere, None), (config, corpus_id)):
        usd, period = settings.reranker_cloud_budget_usd, settings.reranker_cloud_budget_period
        differs = (usd, period) != (everywhere.reranker_cloud_budget_usd, everywhere.reranker_cloud_budget_period)
        if usd is not None and (whose is None or differs):
            found.append(Budget(usd, period, first_day(period), whose))
    return found


def purse_of(scorer: CloudScorer) -> Purse:
    """Who pays for a scorer that `Clouds` made."""
    assert isinstance(scorer.meter, Purse)  # noqa: S101 - by construction
    return scorer.meter


def bills(arms: Iterable[tuple[str, object]]) -> dict[str, Cost]:
    """What each rerank service among these arms has cost, by name."""
    return {name: purse_of(scorer).cost() for name, scorer in arms if isinstance(scorer, CloudScorer)}


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _tokens(text: str) -> int:
    return math.ceil(len(text) / CHARS_PER_TOKEN)
