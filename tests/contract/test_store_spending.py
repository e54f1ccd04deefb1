"""What was spent, on both databases: sums, and budgets that hold however many spend at once."""

from __future__ import annotations

import threading

import pytest

from tribrid.errors import BudgetSpent
from tribrid.store import Store
from tribrid.store.spending import ALL_TIME, Account, Budget, first_day, today

COHERE, VOYAGE = Account("c", "cohere", "rerank-v4.0-fast"), Account("d", "voyage", "rerank-2.5")


def test_what_is_booked_is_summed_by_day_corpus_and_model(store: Store) -> None:
    store.spending.add(COHERE, day="2026-10-31", usd=1.0, requests=5, documents=50)
    store.spending.add(COHERE, usd=0.25, requests=1, documents=10)
    store.spending.add(COHERE, usd=0.25, requests=1, documents=10)
    store.spending.add(VOYAGE, usd=0.0, requests=2, documents=9, unpriced=2)
    assert store.spending.usd(ALL_TIME) == 1.5
    assert store.spending.usd(today()) == 0.5
    assert store.spending.usd("2026-10-31", "d") == 0.0
    assert store.spending.by_model(today()) == [
        {"provider": "cohere", "model": COHERE.model, "requests": 2, "documents": 20, "unpriced": 0, "usd": 0.5},
        {"provider": "voyage", "model": VOYAGE.model, "requests": 2, "documents": 9, "unpriced": 2, "usd": 0.0},
    ]
    assert [row["provider"] for row in store.spending.by_model(ALL_TIME, "d")] == ["voyage"]


def test_what_a_corpus_cost_outlives_it(store: Store) -> None:
    store.spending.add(COHERE, usd=1.0, requests=1, documents=1)
    store.corpora.delete("c")
    assert store.spending.usd(ALL_TIME) == 1.0


def test_periods_begin_where_the_calendar_says() -> None:
    day = today()
    assert (first_day("day"), first_day("month"), first_day("total")) == (day, day[:7] + "-01", ALL_TIME)


def test_a_budget_is_kept_and_names_itself(store: Store) -> None:
    month = Budget(1.0, "month", first_day("month"))
    store.spending.add(COHERE, day="2020-01-01", usd=99.0, requests=1, documents=1)  # another month's
    for _ in range(4):
        store.spending.reserve(COHERE, 0.25, [month])
    with pytest.raises(BudgetSpent, match=r"\$1.0000 of \$1 this month \(reranking.reranker_cloud_budget_usd\)"):
        store.spending.reserve(COHERE, 0.25, [month])
    assert store.spending.usd(month.since) == 1.0
    store.spending.reserve(COHERE, 0.25, [])


def test_every_budget_must_have_enough_left(store: Store) -> None:
    every, own = Budget(1.0, "total", ALL_TIME), Budget(0.3, "total", ALL_TIME, "c")
    store.spending.reserve(VOYAGE, 0.5, [every])
    store.spending.reserve(COHERE, 0.25, [every, own])
    with pytest.raises(BudgetSpent, match="of corpus 'c'"):
        store.spending.reserve(COHERE, 0.1, [every, own])
    with pytest.raises(BudgetSpent):
        store.spending.reserve(VOYAGE, 0.5, [every])


def test_who_spends_at_the_same_time_does_not_spend_the_same_dollar(store: Store) -> None:
    budget, booked, lock = Budget(1.0, "total", ALL_TIME), [0], threading.Lock()

    def spend(account: Account) -> None:
        for _ in range(10):
            try:
                store.spending.reserve(account, 0.125, [budget])
            except BudgetSpent:
                continue
            with lock:
                booked[0] += 1

    threads = [threading.Thread(target=spend, args=(account,)) for account in (COHERE, VOYAGE) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert booked[0] == 8
    assert store.spending.usd(ALL_TIME) == 1.0
