"""Evaluation reports, each with its per-query rows: the proof that stays readable after the run."""

from __future__ import annotations

import builtins
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from tribrid.answers.report import EvaluationReport, QueryRow
from tribrid.errors import Erased, EvaluationNotFound, InvalidInput
from tribrid.store import tables
from tribrid.store.corpora import require_corpus
from tribrid.store.database import Database, batches, insert_into, now_us, to_json
from tribrid.store.erasing import OF_CONTENT, erasures_seen
from tribrid.types.looks import Look

BATCH_ROWS = 1000
COMPARISONS_READ, QUERIES_READ = 20, 5000
"""At most, to see how far two rankings differ."""
_EVALUATION = tables.evaluations.c
_QUERY = tables.evaluation_queries.c
_SORT = re.compile(r"-?(\w[\w@-]*)(\.\w[\w@-]*)*")


@dataclass(frozen=True, slots=True)
class EvaluationRow:
    """A stored report, without its per-query rows."""

    evaluation_id: str
    corpus_id: str
    created_us: int
    report: EvaluationReport


class Evaluations:
    """Evaluation reports, by id."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(
        self,
        evaluation_id: str,
        corpus_id: str,
        report: EvaluationReport,
        queries: Iterable[QueryRow],
        dataset_sha256: str | None = None,
        erasures: int | None = None,
    ) -> None:
        """Store a report and its per-query rows, in order. One that is already stored (a step replayed after a crash)
        is left as it is.

        Args:
            dataset_sha256: the eval dataset measured on, to make sure that nothing of it was erased meanwhile.
            erasures: how many queries and documents had been erased when the evaluation began; None: unknown.

        Raises:
            CorpusNotFound: there is no such corpus.
            Erased: the corpus no longer has that eval dataset, or more was erased since: the rows may name it.
        """
        with self._database.begin() as connection:
            require_corpus(connection, corpus_id, alone=True)
            if connection.execute(_by_id(evaluation_id)).first() is not None:
                return
            _refuse_erased(connection, corpus_id, dataset_sha256, erasures)
            new = insert_into(connection, tables.evaluations).values(
                evaluation_id=evaluation_id,
                corpus_id=corpus_id,
                created_us=now_us(),
                report=report.model_dump(mode="json"),
            )
            number = connection.execute(new.returning(_EVALUATION.evaluation_number)).scalar_one()
            for batch in batches(enumerate(queries), BATCH_ROWS):
                connection.execute(
                    sa.insert(tables.evaluation_queries),
                    [
                        {"evaluation_number": number, "position": position, "data": row.model_dump(mode="json")}
                        for position, row in batch
                    ],
                )

    def get(self, evaluation_id: str) -> EvaluationReport:
        """The report.

        Raises:
            EvaluationNotFound: there is none of this id.
        """
        with self._database.read() as connection:
            return EvaluationReport.model_validate(_find(connection, evaluation_id).report)

    def looks(
        self, corpus_id: str, dataset_sha256: str | None = None, model_id: str | None = None
    ) -> builtins.list[Look]:
        """Every measurement, newest first; only those on one eval dataset, or of one model, where given."""
        report = _EVALUATION.report
        dataset, model = report[("eval_dataset", "sha256")].as_string(), report["model_id"].as_string()
        these = [
            _EVALUATION.corpus_id == corpus_id,
            *([dataset == dataset_sha256] if dataset_sha256 is not None else []),
            *([model == model_id] if model_id is not None else []),
        ]
        columns = (
            _EVALUATION.evaluation_id,
            dataset,
            model,
            report["champion_id"].as_string(),
            report["verdict"].as_json(),
            report["after"].as_json(),
            report[("candidates", "sha256")].as_string(),
            _EVALUATION.created_us,
        )
        every = sa.select(*columns).where(*these).order_by(_EVALUATION.evaluation_number.desc())
        with self._database.read() as connection:
            return [
                Look(name, sha, model_id, champion, said["decision"], tuple(said["reasons"]), after or {}, frozen, at)
                for name, sha, model_id, champion, said, after, frozen, at in connection.execute(every)
            ]

    def differences(
        self, corpus_id: str, measure: str | None = None, sha256: str | None = None
    ) -> tuple[str, builtins.list[float]] | None:
        """The last comparison of two rankings that differ at all: its evaluation_id, and the per-query differences in
        its primary measure; None where there is none.

        Args:
            measure: the primary measure that is wanted; None: any.
            sha256: an eval dataset, whose comparisons go before those of others.
        """
        rows = [
            row
            for row in self.list(corpus_id, limit=COMPARISONS_READ)
            if row.report.delta and measure in (None, row.report.primary_measure)
        ]
        if sha256 is not None:
            rows.sort(key=lambda row: row.report.eval_dataset.sha256 != sha256)
        for row in rows:
            found, _ = self.queries(row.evaluation_id, 0, QUERIES_READ)
            deltas = [entry.delta_primary for entry in found if entry.delta_primary is not None]
            if len(deltas) > 1 and any(deltas):
                return row.evaluation_id, deltas
        return None

    def queries(
        self,
        evaluation_id: str,
        offset: int = 0,
        limit: int = 100,
        sort: str | None = None,
        contains: str = "",
        kind: str | None = None,
    ) -> tuple[builtins.list[QueryRow], int]:
        """A stretch of the per-query rows, and how many there are in all.

        Args:
            contains: only those whose text holds this, in capitals or not.
            kind: only those of this slice, by its key.
            sort: a number in the rows, as a path: "delta_primary" or "after.ndcg@10"; "-delta_primary" for the highest
                first. Rows where it is null come last, ties in the order stored. None: the order stored.

        Raises:
            EvaluationNotFound: there is no such evaluation.
            InvalidInput: the sort is not a path to something in the rows that can be sorted by.
        """
        order = [_QUERY.position] if sort is None else [_by_number(sort), _QUERY.position]
        with self._database.read() as connection:
            own = these = _QUERY.evaluation_number == _find(connection, evaluation_id).evaluation_number
            if sort is not None:
                _check_path(connection.execute(sa.select(_QUERY.data).where(these).limit(1)).scalar(), sort)
            if contains:
                these = sa.and_(these, _QUERY.data["text"].as_string().icontains(contains, autoescape=True))
            if kind is not None:
                these = sa.and_(these, _QUERY.data["slices"].as_string().contains(to_json(kind), autoescape=True))
            # One pass over the rows finds the stretch: each is kilobytes of JSON to look into.
            places = connection.execute(sa.select(_QUERY.position).where(these).order_by(*order)).scalars().all()
            chosen = places[offset : offset + limit]
            found: dict[int, object] = {}
            for batch in batches(chosen, BATCH_ROWS):
                rows = sa.select(_QUERY.position, _QUERY.data).where(own, _QUERY.position.in_(batch))
                found |= {row.position: row.data for row in connection.execute(rows)}
            return [QueryRow.model_validate(found[place]) for place in chosen], len(places)

    def list(self, corpus_id: str, limit: int = 100) -> builtins.list[EvaluationRow]:
        """The corpus's evaluations, newest first, at most `limit`."""
        columns = (_EVALUATION.evaluation_id, _EVALUATION.corpus_id, _EVALUATION.created_us, _EVALUATION.report)
        every = sa.select(*columns).where(_EVALUATION.corpus_id == corpus_id)
        with self._database.read() as connection:
            rows = connection.execute(every.order_by(_EVALUATION.evaluation_number.desc()).limit(limit))
            return [
                EvaluationRow(
                    row.evaluation_id, row.corpus_id, row.created_us, EvaluationReport.model_validate(row.report)
                )
                for row in rows
            ]


def _refuse_erased(connection: sa.Connection, corpus_id: str, sha256: str | None, erasures: int | None) -> None:
    eval_set = tables.eval_datasets.c
    same = sa.select(eval_set.sha256).where(eval_set.corpus_id == corpus_id, eval_set.sha256 == sha256)
    if sha256 is not None and connection.execute(same).first() is None:
        raise Erased("Something of this eval dataset was erased while it was measured on. Evaluate again.")
    if erasures is not None and erasures_seen(connection, corpus_id, OF_CONTENT) != erasures:
        raise Erased("Something was erased while this evaluation ran, and may stand in its rows. Evaluate again.")


def no_evaluation(evaluation_id: str) -> EvaluationNotFound:
    """What is said of an id that no evaluation has."""
    return EvaluationNotFound(f"There is no evaluation {evaluation_id!r}.", evaluation_id=evaluation_id)


def _by_id(evaluation_id: str) -> sa.Select[Any]:
    return sa.select(tables.evaluations).where(_EVALUATION.evaluation_id == evaluation_id)


def _find(connection: sa.Connection, evaluation_id: str) -> sa.Row[Any]:
    found = connection.execute(_by_id(evaluation_id)).first()
    if found is None:
        raise no_evaluation(evaluation_id)
    return found


def _by_number(sort: str) -> sa.ColumnElement[Any]:
    if not _SORT.fullmatch(sort):
        raise InvalidInput("sort must be a path such as delta_primary or -after.ndcg@10.", field="sort")
    number: sa.ColumnElement[float] = _QUERY.data[tuple(sort.removeprefix("-").split("."))].as_float()
    return (number.desc() if sort.startswith("-") else number.asc()).nulls_last()


def _check_path(row: Any, sort: str) -> None:
    """Refuse a path that leads nowhere in a row, or to a list or an object: it would sort nothing, silently."""
    found: Any = row
    for name in sort.removeprefix("-").split("."):
        if not isinstance(found, Mapping) or name not in found:
            names = sorted(found) if isinstance(found, Mapping) else []
            raise InvalidInput(f"sort: the rows have no {name!r} there; {names} can be named.", field="sort")
        found = found[name]
    if isinstance(found, Mapping | list):
        raise InvalidInput(f"sort: {sort!r} is not one value; name a number in it.", field="sort")
