"""Eval datasets: content-hashed, numbered by version, never edited in place. One of a corpus's is current.

A dataset is queries and judgments; one from logs bears what its labels rest on, and never has the hash of a judged one.
What it was measured on, the frozen candidates and the corpus's version, makes a
bundle with it, which has a hash of its own: two evaluations of one bundle are of the very same task.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from tribrid.answers.evalsets import BundleSource, LabelSource, source_of
from tribrid.answers.report import Origin
from tribrid.errors import InvalidInput, NoEvalDataset
from tribrid.store import tables
from tribrid.store.corpora import require_corpus
from tribrid.store.database import Database, now_us
from tribrid.types import EvalDataset, JudgedQuery
from tribrid.types.evidence import LogEvidence

_SET = tables.eval_datasets.c
_BUNDLE = tables.eval_bundles.c


@dataclass(frozen=True, slots=True)
class EvalVersion:
    """An eval dataset without its queries. `queries` and `judgments` are counts, `source` is whose word they are."""

    sha256: str
    version: int
    current: bool
    queries: int
    judgments: int
    primary_measure: str
    created_us: int
    source: LabelSource = "judgments"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """An eval dataset with what it was measured on.

    Attributes:
        sha256: the dataset's.
        candidates_sha256: the key of its candidates in the store.
        corpus_version: the corpus's, when the candidates were retrieved; None for candidates from elsewhere.
        depth: most candidates of a query.
        settings: those that decided which candidates these are.
    """

    sha256: str
    candidates_sha256: str
    corpus_version: int | None
    depth: int
    source: BundleSource = "retrieval"
    settings: Mapping[str, Any] = field(default_factory=dict)
    created_us: int = 0

    @property
    def bundle_sha256(self) -> str:
        """sha256 of all but the time, as canonical JSON."""
        facts = {name: getattr(self, name) for name in ("sha256", "candidates_sha256", "corpus_version", "depth")}
        canonical = json.dumps({**facts, "settings": self.settings}, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def origin(self, before: Bundle | None) -> Origin:
        """Where the candidates are from, and how they differ from those that the dataset was measured on last."""
        origin = Origin(corpus_version=self.corpus_version, bundle_sha256=self.bundle_sha256)
        if before is None:
            return origin
        parts = ("corpus_version", "depth", "settings") if before.source == self.source else ("source",)
        changed = tuple(name for name in parts if getattr(before, name) != getattr(self, name))
        same = before.candidates_sha256 == self.candidates_sha256
        return origin.model_copy(update={"same_as_before": same, "changed": changed})


def content_sha(queries: Sequence[JudgedQuery], evidence: LogEvidence | None = None) -> str:
    """sha256 of the queries as canonical JSON: by query_id, keys sorted, ASCII, no spaces; with what labels from logs
    rest on, where they do.
    """
    content: object = _as_json(queries)
    if evidence is not None:
        content = {"queries": content, "evidence": evidence.to_json()}
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _as_json(queries: Sequence[JudgedQuery]) -> list[dict[str, object]]:
    ordered = sorted(queries, key=lambda query: query.query_id)
    return [{"query_id": q.query_id, "text": q.text, "judgments": dict(q.judgments)} for q in ordered]


def _dataset(row: sa.Row[Any]) -> EvalDataset:
    queries = tuple(JudgedQuery(**query) for query in row.queries)
    evidence = None if row.evidence is None else LogEvidence.of_json(row.evidence)
    return EvalDataset(row.sha256, row.version, row.corpus_id, queries, row.primary_measure, row.created_us, evidence)


class EvalSets:
    """Eval datasets, by corpus and content hash."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(
        self,
        corpus_id: str,
        queries: Sequence[JudgedQuery],
        primary_measure: str,
        evidence: LogEvidence | None = None,
    ) -> EvalDataset:
        """Store the dataset and make it current. Content that is already there keeps its version *and the primary
        measure it was first stored with*: a measure chosen after seeing results decides nothing.

        Args:
            evidence: what labels from logs rest on; None: people judged.

        Raises:
            CorpusNotFound: there is no such corpus.
            InvalidInput: two queries have one query_id.
        """
        if len({query.query_id for query in queries}) < len(queries):
            raise InvalidInput("Two queries of the eval dataset have the same query_id.", corpus_id=corpus_id)
        sha256 = content_sha(queries, evidence)
        mine = _SET.corpus_id == corpus_id
        same = sa.and_(mine, _SET.sha256 == sha256)
        with self._database.begin() as connection:
            require_corpus(connection, corpus_id, alone=True)
            connection.execute(sa.update(tables.eval_datasets).where(mine).values(is_current=False))
            known = connection.execute(sa.update(tables.eval_datasets).where(same).values(is_current=True)).rowcount
            if not known:
                latest = connection.execute(sa.select(sa.func.max(_SET.version)).where(mine)).scalar_one()
                connection.execute(
                    sa.insert(tables.eval_datasets).values(
                        corpus_id=corpus_id,
                        sha256=sha256,
                        version=(latest or 0) + 1,
                        is_current=True,
                        queries=_as_json(queries),
                        query_count=len(queries),
                        judgment_count=sum(len(query.judgments) for query in queries),
                        primary_measure=primary_measure,
                        created_us=now_us(),
                        source=source_of(evidence),
                        evidence=None if evidence is None else evidence.to_json(),
                    )
                )
            return _dataset(connection.execute(sa.select(tables.eval_datasets).where(same)).one())

    def current(self, corpus_id: str) -> EvalDataset:
        """The dataset to evaluate on, its queries by query_id.

        Raises:
            NoEvalDataset: the corpus has none.
        """
        found = self._find(corpus_id, _SET.is_current)
        if found is None:
            raise NoEvalDataset(
                f"Corpus {corpus_id!r} has no eval dataset. Put one with PUT /corpora/{corpus_id}/eval_dataset, "
                "or make one from the log with `tribrid evalset from-logs`.",
                corpus_id=corpus_id,
            )
        return found

    def get(self, corpus_id: str, sha256: str) -> EvalDataset:
        """The dataset with this content, current or not.

        Raises:
            NoEvalDataset: the corpus never had it.
        """
        found = self._find(corpus_id, _SET.sha256 == sha256)
        if found is None:
            raise NoEvalDataset(
                f"Corpus {corpus_id!r} has no eval dataset {sha256}.", corpus_id=corpus_id, sha256=sha256
            )
        return found

    def versions(self, corpus_id: str) -> list[EvalVersion]:
        """Every dataset the corpus had, newest version first."""
        every = (
            sa.select(
                _SET.sha256,
                _SET.version,
                _SET.is_current.label("current"),
                _SET.query_count.label("queries"),
                _SET.judgment_count.label("judgments"),
                _SET.primary_measure,
                _SET.created_us,
                _SET.source,
            )
            .where(_SET.corpus_id == corpus_id)
            .order_by(_SET.version.desc())
        )
        with self._database.read() as connection:
            return [EvalVersion(**row._mapping) for row in connection.execute(every)]

    def freeze(self, corpus_id: str, bundle: Bundle) -> Bundle | None:
        """Note what a dataset was measured on; the bundle that was the latest before, None if there was none. The same
        bundle again is noted once.

        Raises:
            CorpusNotFound: there is no such corpus.
        """
        with self._database.begin() as connection:
            require_corpus(connection, corpus_id, alone=True)
            before = _latest_bundle(connection, corpus_id, bundle.sha256)
            if before is None or before.bundle_sha256 != bundle.bundle_sha256:
                # A state that comes back (a document deleted and put again) is the latest again.
                again = sa.and_(_BUNDLE.corpus_id == corpus_id, _BUNDLE.bundle_sha256 == bundle.bundle_sha256)
                connection.execute(sa.delete(tables.eval_bundles).where(again))
                row = {name: getattr(bundle, name) for name in (*_BUNDLE_FIELDS, "bundle_sha256")}
                connection.execute(
                    sa.insert(tables.eval_bundles).values(row | {"corpus_id": corpus_id, "created_us": now_us()})
                )
        return before

    def bundle(self, corpus_id: str, sha256: str) -> Bundle | None:
        """What the dataset was measured on last; None if it never was."""
        with self._database.read() as connection:
            return _latest_bundle(connection, corpus_id, sha256)

    def _find(self, corpus_id: str, condition: sa.ColumnElement[bool]) -> EvalDataset | None:
        with self._database.read() as connection:
            found = connection.execute(
                sa.select(tables.eval_datasets).where(_SET.corpus_id == corpus_id, condition)
            ).first()
        return None if found is None else _dataset(found)


_BUNDLE_FIELDS = ("sha256", "candidates_sha256", "corpus_version", "depth", "source", "settings", "created_us")


def _latest_bundle(connection: sa.Connection, corpus_id: str, sha256: str) -> Bundle | None:
    these = sa.select(*(_BUNDLE[name] for name in _BUNDLE_FIELDS))
    mine = these.where(_BUNDLE.corpus_id == corpus_id, _BUNDLE.sha256 == sha256)
    found = connection.execute(mine.order_by(_BUNDLE.bundle_number.desc()).limit(1)).first()
    return None if found is None else Bundle(**found._mapping)
