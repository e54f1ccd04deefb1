"""What rerank services have cost, by day, corpus and model; booked before a request is sent and put right after it.

A budget holds over all processes: whether there is enough left is asked in the transaction that books, and one such
transaction runs at a time. A process that is killed between the two leaves the most that its request could cost booked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from tribrid.errors import BudgetSpent
from tribrid.store import tables
from tribrid.store.database import Database, insert_into

_LOCK = 0x7472_6963  # as _MIGRATION_LOCK, and another
_SPENT = tables.spending.c
_COUNTS = ("requests", "documents", "unpriced", "usd")
ALL_TIME = ""
"""As `since`: before every day."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who spends on what."""

    corpus_id: str
    provider: str
    model: str


@dataclass(frozen=True, slots=True)
class Budget:
    """Most dollars in a period.

    `since`: its first day (ISO, UTC). `corpus_id`: whose spending counts; None: everybody's.
    """

    usd: float
    period: str
    since: str
    corpus_id: str | None = None


def today() -> str:
    """The day in UTC, as 2026-11-23."""
    return datetime.now(UTC).date().isoformat()


def first_day(period: str) -> str:
    """The first day of the period that is now: of this day, this month, or all time (total)."""
    day = today()
    return {"day": day, "month": day[:8] + "01"}.get(period, ALL_TIME)


class Spending:
    """The book."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def reserve(self, account: Account, usd: float, budgets: Sequence[Budget]) -> str:
        """Book what a request may cost, if every budget has as much left; the day it was booked on.

        Raises:
            BudgetSpent: one has not; nothing is booked.
        """
        day = today()
        with self._database.begin(alone=_LOCK) as connection:
            for budget in budgets:
                spent = _usd(connection, budget.since, budget.corpus_id)
                if spent + usd > budget.usd:
                    raise _spent(budget, spent)
            _add(connection, day, account, usd=usd)
        return day

    def add(
        self, account: Account, *, day: str | None = None, usd: float, requests: int, documents: int, unpriced: int = 0
    ) -> None:
        """Book a request's bill, or what it is to put right (then `usd` may be negative), on its day or today."""
        counts = {"requests": requests, "documents": documents, "unpriced": unpriced}
        with self._database.begin() as connection:
            _add(connection, day or today(), account, usd=usd, **counts)

    def usd(self, since: str, corpus_id: str | None = None) -> float:
        """Dollars spent from a day on, by a corpus or by all."""
        with self._database.read() as connection:
            return _usd(connection, since, corpus_id)

    def by_model(self, since: str, corpus_id: str | None = None) -> list[dict[str, Any]]:
        """What was spent on each model from a day on, the dearest first."""
        sums = [sa.func.sum(_SPENT[name]).label(name) for name in _COUNTS]
        query = sa.select(_SPENT.provider, _SPENT.model, *sums).where(_these(since, corpus_id))
        query = query.group_by(_SPENT.provider, _SPENT.model)
        with self._database.read() as connection:
            rows = [row._asdict() for row in connection.execute(query)]
        plain = [{**row, **{name: int(row[name]) for name in _COUNTS[:-1]}} for row in rows]
        return sorted(plain, key=lambda row: (-row["usd"], row["provider"], row["model"]))


def _add(connection: sa.Connection, day: str, account: Account, **counts: float) -> None:
    key = {"day": day, "corpus_id": account.corpus_id, "provider": account.provider, "model": account.model}
    new = insert_into(connection, tables.spending).values({**key, **dict.fromkeys(_COUNTS, 0), **counts})
    sums = {name: _SPENT[name] + new.excluded[name] for name in _COUNTS}
    connection.execute(new.on_conflict_do_update(index_elements=list(key), set_=sums))


def _usd(connection: sa.Connection, since: str, corpus_id: str | None) -> float:
    total = connection.execute(sa.select(sa.func.sum(_SPENT.usd)).where(_these(since, corpus_id))).scalar()
    return float(total or 0.0)


def _these(since: str, corpus_id: str | None) -> sa.ColumnElement[bool]:
    rows = _SPENT.day >= since
    return rows if corpus_id is None else sa.and_(rows, _SPENT.corpus_id == corpus_id)


def _spent(budget: Budget, spent: float) -> BudgetSpent:
    whose = f" of corpus {budget.corpus_id!r}" if budget.corpus_id else ""
    when = {"day": "today", "month": "this month"}.get(budget.period, "so far")
    return BudgetSpent(
        f"The budget{whose} for rerank services is spent: ${spent:.4f} of ${budget.usd:g} {when} "
        "(reranking.reranker_cloud_budget_usd), and another request could pass it.",
        budget_usd=budget.usd,
        spent_usd=spent,
        period=budget.period,
    )
