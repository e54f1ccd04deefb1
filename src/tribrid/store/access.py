"""API keys as digests. A secret is random and long (256 bits), so one round of sha256 cannot be searched backwards, and
checking it costs every request nothing.
"""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from tribrid.errors import KeyNotFound
from tribrid.store import tables
from tribrid.store.database import Database, now_us
from tribrid.types import Scope
from tribrid.types.access import ApiKey

_KEY = tables.api_keys.c


class Access:
    """API keys, by id."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self,
        key_id: str,
        name: str,
        scopes: Sequence[Scope],
        digest: str,
        corpora: Sequence[str] | None = None,
        pinned: Mapping[str, Any] | None = None,
    ) -> ApiKey:
        """Keep a new key.

        Args:
            digest: sha256 (hex) of the key's secret.
            corpora: that it is bound to; None: it is for all.
            pinned: the filter of the documents that it may find; None: all.
        """
        bound = None if corpora is None else tuple(corpora)
        key = ApiKey(key_id, name, tuple(scopes), digest, now_us(), corpora=bound, filter=pinned)
        row = {"scopes": [scope.value for scope in scopes], "digest": digest, "created_us": key.created_us}
        row |= {"corpora": bound, "filter": pinned}
        with self._database.begin() as connection:
            connection.execute(sa.insert(tables.api_keys).values(key_id=key_id, name=name, **row))
        return key

    def list(self) -> builtins.list[ApiKey]:
        """Every key there ever was, oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(tables.api_keys).order_by(_KEY.created_us, _KEY.key_id))
            return [_key(row) for row in rows]

    def revoke(self, key_id: str) -> ApiKey:
        """End a key; one that has ended stays as it is.

        Raises:
            KeyNotFound: there is no such key.
        """
        still = sa.and_(_KEY.key_id == key_id, _KEY.revoked_us.is_(None))
        with self._database.begin() as connection:
            connection.execute(sa.update(tables.api_keys).where(still).values(revoked_us=now_us()))
            found = connection.execute(sa.select(tables.api_keys).where(_KEY.key_id == key_id)).first()
        if found is None:
            raise KeyNotFound(f"There is no API key {key_id!r}. `tribrid keys list` shows all.", key_id=key_id)
        return _key(found)


def _key(row: sa.Row[Any]) -> ApiKey:
    fields = dict(row._mapping)
    # A scope that a newer release made is none that this one could grant.
    known = tuple(Scope(scope) for scope in fields["scopes"] if scope in set(Scope))
    bound = None if fields["corpora"] is None else tuple(fields["corpora"])
    return ApiKey(**{**fields, "scopes": known, "corpora": bound})
