"""Model versions, which never change, and the names that move between them: champion (what is served), challenger (the
newest that was trained and never served), previous (what a rollback brings back).

Every change of champion is a row, and each row knows the one that a rollback goes back to. So rolling back twice goes
two champions back; it does not bring the model back that was just taken out.
"""

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

Alias = Literal["champion", "challenger", "previous"]
PromotionKind = Literal["gate", "hand", "force", "experiment", "rollback"]
"""By an evaluation that it won; by a person, on such an evaluation; by a person, without; by an experiment on live
searches that it won; back to the one before.
"""
ANY_CHAMPION = "*"
"""For who promotes whatever serves at the moment."""
_MODEL = tables.models.c
_ALIAS = tables.aliases.c
_PROMOTION = tables.promotions.c


@dataclass(frozen=True, slots=True)
class Promotion:
    """A change of champion. A model_id of None is "no trained model"; evaluation_id None: no evaluation is behind it.

    `parent_number` is the promotion whose model a rollback brings back, None for the time before the first.
    """

    promotion_number: int
    model_id: str | None
    previous_model_id: str | None
    reason: str
    evaluation_id: str | None
    created_us: int
    kind: PromotionKind
    parent_number: int | None

    @property
    def first_state(self) -> bool:
        """Whether this is how it was before anything was promoted: there is nothing to go back to."""
        return self.model_id is None and self.parent_number is None


class Models:
    """Model versions, by id, and the aliases of each corpus."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, model: ModelVersion) -> None:
        """Store a model version; it is the challenger from now on. The same one again (a step replayed after a crash)
        changes nothing.

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
            require_corpus(connection, model.corpus_id, alone=True)
            insert = insert_into(connection, tables.models).on_conflict_do_nothing().returning(_MODEL.model_id)
            new = connection.execute(insert, row).first() is not None
            stored = connection.execute(sa.select(tables.models).where(_MODEL.model_id == model.model_id)).one()
            if new:
                _name(connection, model.corpus_id, {"challenger": model.model_id})
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
            raise no_model(model_id)
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

    def aliases(self, corpus_id: str) -> dict[str, str | None]:
        """All three names at one moment, each with its model_id or None."""
        with self._database.read() as connection:
            named = _aliases(connection, corpus_id)
        return {name: named.get(name) for name in ("champion", "challenger", "previous")}

    def promote(
        self,
        corpus_id: str,
        model_id: str,
        reason: str,
        evaluation_id: str | None = None,
        kind: PromotionKind = "hand",
        over: str | None = ANY_CHAMPION,
    ) -> None:
        """Make the model champion, and the champion (or the lack of one) previous. If it is champion, change nothing:
        promoting twice must not lose the way back. Nor does an evaluation promote twice: what was rolled back since is
        not brought back by a step replayed after a crash.

        Args:
            over: the champion that the model was compared with.

        Raises:
            CorpusNotFound: there is no such corpus.
            ModelNotFound: the corpus has no such model.
            Conflict: another champion than `over` serves.
        """
        with self._database.begin() as connection:
            require_corpus(connection, corpus_id, alone=True)
            owned = sa.select(_MODEL.model_id).where(_MODEL.model_id == model_id, _MODEL.corpus_id == corpus_id)
            if connection.execute(owned).first() is None:
                raise no_model(model_id)
            now = _newest(connection, corpus_id)
            champion = now.model_id if now else None
            if champion == model_id or (kind == "gate" and _was_promoted_by(connection, corpus_id, evaluation_id)):
                return
            if over not in (ANY_CHAMPION, champion):
                raise Conflict(
                    f"Model {model_id} was compared with {over or 'no trained model'}, but "
                    f"{champion or 'no trained model'} serves now: evaluate it again.",
                    model_id=model_id,
                    champion=champion,
                )
            _enter(connection, corpus_id, model_id, now, reason=reason, evaluation_id=evaluation_id, kind=kind, now=now)

    def rollback(self, corpus_id: str, reason: str) -> str | None:
        """Undo the newest promotion that stands: the champion before it serves again. The new champion's model_id,
        None if it is again "no trained model".

        Raises:
            CorpusNotFound: there is no such corpus.
            NoModel: nothing was promoted, or all of it was rolled back.
        """
        with self._database.begin() as connection:
            require_corpus(connection, corpus_id, alone=True)
            now = _newest(connection, corpus_id)
            if now is None or now.first_state:
                never = "never had a model promoted" if now is None else "is back where it was before any promotion"
                raise NoModel(f"Corpus {corpus_id!r} {never}: nothing to go back to.", corpus_id=corpus_id)
            before = _promotion(connection, now.parent_number)
            model_id = before.model_id if before else None
            parent = _promotion(connection, before.parent_number if before else None)
            _enter(connection, corpus_id, model_id, parent, reason=reason, evaluation_id=None, kind="rollback", now=now)
            return model_id

    def promotions(self, corpus_id: str) -> builtins.list[Promotion]:
        """Every change of champion, rollbacks too, newest first."""
        every = _select_promotions().where(_PROMOTION.corpus_id == corpus_id)
        with self._database.read() as connection:
            rows = connection.execute(every.order_by(_PROMOTION.promotion_number.desc()))
            return [Promotion(**row._mapping) for row in rows]


def no_model(model_id: str) -> ModelNotFound:
    """What is said of an id that no model has."""
    return ModelNotFound(f"There is no model {model_id!r}. GET /reranker/models lists them.", model_id=model_id)


def _aliases(connection: sa.Connection, corpus_id: str) -> dict[str, str | None]:
    """The names that were ever given, each with its model_id or None for no trained model."""
    rows = connection.execute(sa.select(_ALIAS.alias, _ALIAS.model_id).where(_ALIAS.corpus_id == corpus_id))
    return {row.alias: row.model_id for row in rows}


def _select_promotions() -> sa.Select[Any]:
    return sa.select(
        _PROMOTION.promotion_number,
        _PROMOTION.model_id,
        _PROMOTION.previous_model_id,
        _PROMOTION.reason,
        _PROMOTION.evaluation_id,
        _PROMOTION.created_us,
        _PROMOTION.kind,
        _PROMOTION.parent_number,
    )


def _newest(connection: sa.Connection, corpus_id: str) -> Promotion | None:
    newest = _select_promotions().where(_PROMOTION.corpus_id == corpus_id)
    found = connection.execute(newest.order_by(_PROMOTION.promotion_number.desc()).limit(1)).first()
    return None if found is None else Promotion(**found._mapping)


def _promotion(connection: sa.Connection, number: int | None) -> Promotion | None:
    if number is None:
        return None
    found = connection.execute(_select_promotions().where(_PROMOTION.promotion_number == number)).one()
    return Promotion(**found._mapping)


def _was_promoted_by(connection: sa.Connection, corpus_id: str, evaluation_id: str | None) -> bool:
    same = (
        _PROMOTION.corpus_id == corpus_id,
        _PROMOTION.evaluation_id == evaluation_id,
        _PROMOTION.kind == "gate",
    )
    return connection.execute(sa.select(_PROMOTION.promotion_number).where(*same).limit(1)).first() is not None


def _enter(
    connection: sa.Connection,
    corpus_id: str,
    model_id: str | None,
    parent: Promotion | None,
    *,
    reason: str,
    evaluation_id: str | None,
    kind: PromotionKind,
    now: Promotion | None,
) -> None:
    """Write the change down and move the names. `parent`: where a rollback from here goes; `now`: what is left."""
    connection.execute(
        sa.insert(tables.promotions).values(
            corpus_id=corpus_id,
            model_id=model_id,
            previous_model_id=now.model_id if now else None,
            reason=reason,
            evaluation_id=evaluation_id,
            created_us=now_us(),
            kind=kind,
            parent_number=parent.promotion_number if parent else None,
        )
    )
    names: dict[Alias, str | None] = {"champion": model_id, "previous": parent.model_id if parent else None}
    if model_id is not None and _aliases(connection, corpus_id).get("challenger") == model_id:
        names["challenger"] = None
    _name(connection, corpus_id, names)


def _name(connection: sa.Connection, corpus_id: str, names: dict[Alias, str | None]) -> None:
    new = insert_into(connection, tables.aliases)
    move = new.on_conflict_do_update(index_elements=["corpus_id", "alias"], set_={"model_id": new.excluded["model_id"]})
    rows = [{"corpus_id": corpus_id, "alias": name, "model_id": model_id} for name, model_id in names.items()]
    connection.execute(move, rows)
