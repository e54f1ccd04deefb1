"""Stored overrides of settings, sparse: only what somebody chose. What they mean and may be is config.py's to say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from tribrid.config import Checked
from tribrid.errors import CorpusNotFound
from tribrid.store import tables
from tribrid.store.corpora import CorpusRow, require_corpus
from tribrid.store.database import Database, insert_into
from tribrid.store.untrained import COMPARED, UntrainedComparison

GLOBAL_SCOPE = ""
_SETTING = tables.settings.c
_CORPUS, _ALIAS = tables.corpora.c, tables.aliases.c
# Every call begins with these two, so they are made once.
_START = (
    sa.select(*_CORPUS, _ALIAS.model_id, tables.untrained_comparisons.c.queries.is_not(None), *COMPARED)
    .outerjoin_from(
        tables.corpora, tables.aliases, sa.and_(_ALIAS.corpus_id == _CORPUS.corpus_id, _ALIAS.alias == "champion")
    )
    .outerjoin(tables.untrained_comparisons)
    .where(_CORPUS.corpus_id == sa.bindparam("corpus_id"))
)
_OVERRIDES = (
    sa.select(_SETTING.scope, _SETTING.section, _SETTING.name, _SETTING.value)
    .where(_SETTING.scope.in_(sa.bindparam("scopes", expanding=True)))
    .order_by(_SETTING.section, _SETTING.name)
)


@dataclass(frozen=True, slots=True)
class CorpusSettings:
    """What decides how a corpus is searched, at one moment: its row, the overrides that hold everywhere and its own, by
    section, the model that is its champion, and how the order before any label did on its judgments.
    """

    row: CorpusRow
    everywhere: Checked
    own: Checked
    champion_id: str | None
    comparison: UntrainedComparison | None


class Settings:
    """Overrides, by scope."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, scope: str) -> Checked:
        """The overrides of a scope (a corpus_id, or '' for all corpora) by section; {} if nobody chose anything."""
        with self._database.read() as connection:
            return _get(connection, scope)

    def of_corpus(self, corpus_id: str) -> CorpusSettings:
        """All that a call on a corpus starts from.

        Raises:
            CorpusNotFound.
        """
        with self._database.read() as connection:
            found = connection.execute(_START, {"corpus_id": corpus_id}).first()
            if found is None:
                raise CorpusNotFound(corpus_id)
            overrides = _scopes(connection, GLOBAL_SCOPE, corpus_id)
        own = len(_CORPUS)
        champion_id, is_compared, *comparison = found[own:]
        return CorpusSettings(
            CorpusRow(*found[:own]),
            overrides[GLOBAL_SCOPE],
            overrides[corpus_id],
            champion_id,
            UntrainedComparison(*comparison) if is_compared else None,
        )

    def patch(self, scope: str, overrides: Mapping[str, Mapping[str, object] | None]) -> Checked:
        """Lay these over the scope's overrides; what then holds. None takes an override back, and in place of a
        section takes back all of the section's (JSON merge patch, RFC 7396).

        Raises:
            CorpusNotFound: the scope is a corpus that does not exist.
        """
        with self._database.begin() as connection:
            if scope != GLOBAL_SCOPE:
                require_corpus(connection, scope)
            for section, fields in overrides.items():
                in_section = sa.and_(_SETTING.scope == scope, _SETTING.section == section)
                if fields is None:
                    connection.execute(sa.delete(tables.settings).where(in_section))
                    continue
                dropped = [name for name, value in fields.items() if value is None]
                connection.execute(sa.delete(tables.settings).where(in_section, _SETTING.name.in_(dropped)))
                _set(connection, scope, section, {name: v for name, v in fields.items() if v is not None})
            return _get(connection, scope)


def _set(connection: sa.Connection, scope: str, section: str, fields: Mapping[str, object]) -> None:
    new = insert_into(connection, tables.settings)
    upsert = new.on_conflict_do_update(
        index_elements=["scope", "section", "name"], set_={"value": new.excluded["value"]}
    )
    where = {"scope": scope, "corpus_id": scope or None, "section": section}
    # In one order always: two writers that lock the same rows in two orders would wait for each other for ever.
    rows = [{**where, "name": name, "value": value} for name, value in sorted(fields.items())]
    if rows:
        connection.execute(upsert, rows)


def _get(connection: sa.Connection, scope: str) -> Checked:
    return _scopes(connection, scope)[scope]


def _scopes(connection: sa.Connection, *scopes: str) -> dict[str, Checked]:
    """The overrides of each scope."""
    overrides: dict[str, Checked] = {scope: {} for scope in scopes}
    for row in connection.execute(_OVERRIDES, {"scopes": scopes}):
        overrides[row.scope].setdefault(row.section, {})[row.name] = row.value
    return overrides
