"""Model versions and the two names that move between them: champion (what is served) and previous (what was)."""

from __future__ import annotations

import builtins
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from tribrid.errors import Conflict, ModelNotFound, NoModel
from tribrid.store import tables
from tribrid.store.corpora import require_corpus
from tribrid.store.database import Database, insert_into, now_us
from tribrid.types import ModelVersion

Alias = Literal["champion", "previous"]
_MODEL = tables.models.c
_ALIAS = tables.aliases.c
_PROMOTION = tables.promotions.c


@dataclass(frozen=True, slots=True)
class Promotion:
    """A change of champion. A model_id of None is "no trained model"; evaluation_id None: nobody measured."""

    model_id: str | None
    previous_model_id: str | None
    reason: str
    evaluation_id: str | None
    created_us: int


class Models:
    """Model versions, by id, and the aliases of each corpus."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, model: ModelVersion) -> None:
        """Store a model version. The same one again (a step replayed after a crash) changes nothing.

        Raises:
            CorpusNotFound: there is no such corpus.
            Conflict: the model_id is another model's.
        """
        row = {
            "model_id": model.model_id,
            "corpus_id": model.corpus_id,
            "run_id": model.run_id,
            "artifact": model.artifact,
            "manifest": model.manifest,
            "created_us": model.created_us,
        }
        with self._database.begin() as connection:
            require_corpus(connection, model.corpus_id)
            connection.execute(insert_into(connection, tables.models).on_conflict_do_nothing(), row)
            stored = connection.execute(sa.select(tables.models).where(_MODEL.model_id == model.model_id)).one()
        if (stored.corpus_id, stored.artifact) != (model.corpus_id, model.artifact):
            raise Conflict(f"There already is another model {model.model_id!r}.", model_id=model.model_id)

    def get(self, model_id: str) -> ModelVersion:
        """The model version.

        Raises:
            ModelNotFound: there is none of this id.
        """
        with self._database.read() as connection:
            found = connection.execute(sa.select(tables.models).where(_MODEL.model_id == model_id)).first()
        if found is None:
            raise _unknown(model_id)
        return ModelVersion(**found._mapping)

    def list(self, corpus_id: str) -> builtins.list[ModelVersion]:
        """The corpus's model versions, newest first."""
        every = sa.select(tables.models).where(_MODEL.corpus_id == corpus_id)
        with self._database.read() as connection:
            rows = connection.execute(every.order_by(_MODEL.created_us.desc(), _MODEL.model_id))
            return [ModelVersion(**row._mapping) for row in rows]

    def alias(self, corpus_id: str, alias: Alias) -> str | None:
        """The model_id that has this name, None for no trained model."""
        with self._database.read() as connection:
            return _aliases(connection, corpus_id).get(alias)

    def promote(self, corpus_id: str, model_id: str, reason: str, evaluation_id: str | None = None) -> None:
        """Make the model champion, and the champion (or the lack of one) previous. If it is champion, change nothing:
        promoting twice must not lose the way back.

        Raises:
            CorpusNotFound: there is no such corpus.
            ModelNotFound: the corpus has no such model.
        """
        with self._database.begin() as connection:
            require_corpus(connection, corpus_id, alone=True)
            owned = sa.select(_MODEL.model_id).where(_MODEL.model_id == model_id, _MODEL.corpus_id == corpus_id)
            if connection.execute(owned).first() is None:
                raise _unknown(model_id)
            if _aliases(connection, corpus_id).get("champion") != model_id:
                _crown(connection, corpus_id, model_id, reason, evaluation_id)

    def rollback(self, corpus_id: str, reason: str) -> str | None:
        """Swap champion and previous, so rolling back twice changes nothing. The new champion's model_id, None if
        it is again "no trained model".

        Raises:
            CorpusNotFound: there is no such corpus.
            NoModel: no model was ever promoted.
        """
        with self._database.begin() as connection:
            require_corpus(connection, corpus_id, alone=True)
            named = _aliases(connection, corpus_id)
            if "previous" not in named:
                raise NoModel(
                    f"Corpus {corpus_id!r} never had a model promoted: nothing to go back to.", corpus_id=corpus_id
                )
            _crown(connection, corpus_id, named["previous"], reason, None)
            return named["previous"]

    def promotions(self, corpus_id: str) -> builtins.list[Promotion]:
        """Every change of champion, rollbacks too, newest first."""
        columns = (
            _PROMOTION.model_id,
            _PROMOTION.previous_model_id,
            _PROMOTION.reason,
            _PROMOTION.evaluation_id,
            _PROMOTION.created_us,
        )
        every = sa.select(*columns).where(_PROMOTION.corpus_id == corpus_id)
        with self._database.read() as connection:
            rows = connection.execute(every.order_by(_PROMOTION.promotion_number.desc()))
            return [Promotion(**row._mapping) for row in rows]


def _unknown(model_id: str) -> ModelNotFound:
    return ModelNotFound(f"There is no model {model_id!r}. GET /reranker/models lists them.", model_id=model_id)


def _aliases(connection: sa.Connection, corpus_id: str) -> dict[str, str | None]:
    """The names that were ever given, each with its model_id or None for no trained model."""
    rows = connection.execute(sa.select(_ALIAS.alias, _ALIAS.model_id).where(_ALIAS.corpus_id == corpus_id))
    return {row.alias: row.model_id for row in rows}


def _crown(
    connection: sa.Connection, corpus_id: str, model_id: str | None, reason: str, evaluation_id: str | None
) -> None:
    """Move both names and write down why."""
    previous = _aliases(connection, corpus_id).get("champion")
    new = insert_into(connection, tables.aliases)
    move = new.on_conflict_do_update(index_elements=["corpus_id", "alias"], set_={"model_id": new.excluded["model_id"]})
    names: builtins.list[dict[str, Any]] = [
        {"corpus_id": corpus_id, "alias": "champion", "model_id": model_id},
        {"corpus_id": corpus_id, "alias": "previous", "model_id": previous},
    ]
    connection.execute(move, names)
    connection.execute(
        sa.insert(tables.promotions).values(
            corpus_id=corpus_id,
            model_id=model_id,
            previous_model_id=previous,
            reason=reason,
            evaluation_id=evaluation_id,
            created_us=now_us(),
        )
    )
