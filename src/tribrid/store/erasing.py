"""The steps of an erasure, each on one table, within the transaction of whoever erases.

What is taken out of an immutable thing is taken out as a whole: a triplet, an eval dataset's version (in whose place a
new one comes), a report's row. Aggregates (means of a report, counts of a mining) stay.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa

from tribrid.answers.erasures import ErasedEvalDataset
from tribrid.answers.evalsets import LabelSource
from tribrid.store import tables
from tribrid.store.database import batches, now_us
from tribrid.store.evalsets import content_sha
from tribrid.store.segment_erasing import Gone, erase, queries
from tribrid.store.segments import Segments
from tribrid.store.tables_judging import judge_labels
from tribrid.types import JudgedQuery, Source
from tribrid.types.evidence import LogEvidence

BATCH = 500
ERASED = "(erased)"
_IMPRESSION, _FEEDBACK = tables.impressions.c, tables.feedback.c
_SET, _TRIPLET = tables.triplet_sets.c, tables.triplets.c
_JUDGED, _REVIEW = tables.judged_queries.c, tables.reviews.c
_EVAL = tables.eval_datasets.c
_EVALUATION, _ROW = tables.evaluations.c, tables.evaluation_queries.c
OF_CONTENT = ("query", "document")
"""Kinds of erasure that an evaluation may have read something of."""

Same = Callable[[str], bool]


class Mark(NamedTuple):
    """The last row and the last segment that a mining can have read. `impression` None: unknown."""

    impression: int | None
    segment: int


class Heard(NamedTuple):
    """A list: its query, and its row's number or its segment's."""

    query: str
    impression: int | None
    segment: int | None

    def before(self, mark: Mark) -> bool:
        """Whether a mining can have read it."""
        if self.impression is not None:
            return mark.impression is None or self.impression <= mark.impression
        return self.segment is not None and self.segment <= mark.segment


Used = Callable[[str, Mark], bool]
"""Of a query's text and what a mining can have read."""


def erasures_seen(connection: sa.Connection, corpus_id: str, kinds: Collection[str] = ()) -> int:
    """How many erasures the corpus has seen, or how many of these kinds."""
    table = tables.erasures
    counted = sa.select(sa.func.count()).select_from(table).where(table.c.corpus_id == corpus_id)
    if kinds:
        counted = counted.where(table.c.kind.in_(kinds))
    return int(connection.execute(counted).scalar_one())


class Erasing:
    """One erasure under way. `counts` is how much went, by kind of row."""

    def __init__(self, connection: sa.Connection, segments: Segments, corpus_id: str) -> None:
        self.connection = connection
        self.segments = segments
        self.corpus_id = corpus_id
        self.counts: Counter[str] = Counter()
        self.sets: Counter[str] = Counter()
        self.datasets: list[ErasedEvalDataset] = []

    # ---------------------------------------------------------------------------------------- queries and lists

    def texts(self, same: Same) -> set[str]:
        """Every spelling of the query that is kept anywhere in the corpus."""
        sets = sa.select(_SET.set_number).where(_SET.corpus_id == self.corpus_id)
        kept = (
            sa.select(_IMPRESSION.query).where(_IMPRESSION.corpus_id == self.corpus_id),
            sa.select(_JUDGED.text).where(_JUDGED.corpus_id == self.corpus_id),
            sa.select(_REVIEW.query).where(_REVIEW.corpus_id == self.corpus_id),
            sa.select(judge_labels.c.query).where(judge_labels.c.corpus_id == self.corpus_id),
            sa.select(_TRIPLET.query).where(_TRIPLET.set_number.in_(sets)),
        )
        found = {text for one in kept for text in self.connection.execute(one.distinct()).scalars()}
        return {text for text in found | self._in_segments() if same(text)}

    def _in_segments(self) -> set[str]:
        with self.segments.reading(self.connection, self.corpus_id) as reading:
            return queries(reading) if reading else set()

    def lists(self, of: Literal["query_id", "client_id"], name: str) -> list[Heard]:
        """Delete impressions with their feedback: those of a query_id, or of a client."""
        heard = [Heard(query, number, None) for number, query in self._rows(_IMPRESSION[of] == name)]
        return [*heard, *self._kept(f"{of} = ?", name)]

    def _rows(self, these: sa.ColumnElement[bool]) -> list[tuple[int, str]]:
        own = sa.and_(_IMPRESSION.corpus_id == self.corpus_id, these)
        found = self.connection.execute(sa.select(_IMPRESSION.impression_number, _IMPRESSION.query).where(own)).all()
        joined = tables.feedback.join(tables.impressions)
        self.counts["feedback"] += self.connection.execute(
            sa.select(sa.func.count()).select_from(joined).where(own)
        ).scalar_one()
        self.counts["impressions"] += self.connection.execute(sa.delete(tables.impressions).where(own)).rowcount
        return [(number, query) for number, query in found]

    def _kept(self, these: str, *values: object) -> list[Heard]:
        """The same in segments; of each query's text the first."""
        with self.segments.reading(self.connection, self.corpus_id) as reading:
            gone = erase(self.segments, self.connection, reading, these, *values) if reading else Gone()
        self.counts["feedback"] += gone.acts
        self.counts["impressions"] += gone.lists
        return [Heard(query, None, segment) for query, segment in gone.queries.items()]

    def lists_of(self, texts: Collection[str]) -> None:
        """Delete every impression of these spellings."""
        for batch in batches(texts, BATCH):
            self._rows(_IMPRESSION.query.in_(batch))
        self._kept("list_contains(?, query)", list(texts))

    def lower_marks(self) -> None:
        """Afterwards: SQLite gives the highest number out again once its row is gone, to a list no mining has read."""
        highest = sa.select(sa.func.max(_IMPRESSION.impression_number)).where(_IMPRESSION.corpus_id == self.corpus_id)
        mark = self.connection.execute(highest).scalar() or 0
        above = sa.and_(_SET.corpus_id == self.corpus_id, _SET.last_impression > mark)
        self.connection.execute(sa.update(tables.triplet_sets).where(above).values(last_impression=mark))

    def unheard(self, texts: Iterable[str], normalise: Callable[[str], str]) -> set[str]:
        """Those of the queries, normalised, that nobody else asked and nobody judged."""
        kept = (
            sa.select(_IMPRESSION.query).where(_IMPRESSION.corpus_id == self.corpus_id),
            sa.select(_JUDGED.text).where(_JUDGED.corpus_id == self.corpus_id),
        )
        left = {normalise(text) for one in kept for text in self.connection.execute(one.distinct()).scalars()}
        left.update(map(normalise, self._in_segments()))
        return {normalise(text) for text in texts} - left

    # ---------------------------------------------------------------------------------------- labels

    def triplets(self, used: Used, source: Source | None = None) -> None:
        """Delete the triplets of queries from every set, or only those that came from this source."""
        own = [_SET.corpus_id == self.corpus_id, _SET.set_number == _TRIPLET.set_number]
        own += [] if source is None else [_TRIPLET.source == source.value]
        columns = (_TRIPLET.set_number, _TRIPLET.query, _SET.last_impression, _SET.last_segment)
        texts: dict[int, list[str]] = {}
        for number, text, *mark in self.connection.execute(sa.select(*columns).where(*own).distinct()).all():
            if used(text, Mark(*mark)):
                texts.setdefault(number, []).append(text)
        for number, spelled in texts.items():
            for batch in batches(spelled, BATCH):
                these = sa.and_(_TRIPLET.set_number == number, _TRIPLET.query.in_(batch))
                self.triplets_of(number, these if source is None else these & (_TRIPLET.source == source.value))

    def triplets_of(self, number: int, these: sa.ColumnElement[bool]) -> None:
        gone = self.connection.execute(sa.delete(tables.triplets).where(these)).rowcount
        changed = {"triplet_count": _SET.triplet_count - gone, "erased": _SET.erased + gone}
        this = sa.update(tables.triplet_sets).where(_SET.set_number == number).values(changed)
        self.sets[self.connection.execute(this.returning(_SET.triplet_set_id)).scalar_one()] += gone
        self.counts["triplets"] += gone

    def judgments_of(self, texts: Collection[str]) -> None:
        for batch in batches(texts, BATCH):
            these = sa.and_(_JUDGED.corpus_id == self.corpus_id, _JUDGED.text.in_(batch))
            self.counts["judged_queries"] += self.connection.execute(
                sa.delete(tables.judged_queries).where(these)
            ).rowcount

    def judge_labels(self, same: Same) -> None:
        """Delete what models said of documents for a query."""
        own, text = judge_labels.c.corpus_id == self.corpus_id, judge_labels.c.query
        texts = [t for t in self.connection.execute(sa.select(text).where(own).distinct()).scalars() if same(t)]
        for batch in batches(texts, BATCH):
            self.judge_labels_of(text.in_(batch))

    def judge_labels_of(self, these: sa.ColumnElement[bool]) -> None:
        own = sa.and_(judge_labels.c.corpus_id == self.corpus_id, these)
        self.counts["judge_labels"] += self.connection.execute(sa.delete(judge_labels).where(own)).rowcount

    def reviews(self, same: Same) -> None:
        own = _REVIEW.corpus_id == self.corpus_id
        texts = [
            t for t in self.connection.execute(sa.select(_REVIEW.query).where(own).distinct()).scalars() if same(t)
        ]
        for batch in batches(texts, BATCH):
            self.reviews_of(sa.and_(own, _REVIEW.query.in_(batch)))

    def reviews_of(self, these: sa.ColumnElement[bool]) -> None:
        self.counts["reviews"] += self.connection.execute(sa.delete(tables.reviews).where(these)).rowcount

    # ---------------------------------------------------------------------------------------- evaluation

    def eval_datasets(
        self, without: Callable[[JudgedQuery], JudgedQuery | None], source: LabelSource | None = None
    ) -> list[str]:
        """Delete every version of the eval dataset that holds what goes; what is left of the one in force is a new
        version in its place. The query_ids that went as a whole.

        Args:
            without: the query as it may stay, itself if nothing of it goes, None if all of it does.
            source: look only at the datasets whose labels are of this source.
        """
        own = _EVAL.corpus_id == self.corpus_id
        rows = self.connection.execute(sa.select(tables.eval_datasets).where(own).order_by(_EVAL.version)).all()
        gone: list[str] = []
        for row in rows:
            kept = [(query, without(query)) for query in _queries(row, source)]
            changed = sum(query is not left for query, left in kept)
            if changed:
                gone += [query.query_id for query, left in kept if left is None]
                left = [left for _, left in kept if left is not None]
                self.connection.execute(sa.delete(tables.eval_datasets).where(own, _EVAL.sha256 == row.sha256))
                new = self._replace(row, left, rows[-1].version + 1) if row.is_current else None
                self.datasets.append(
                    ErasedEvalDataset(sha256=row.sha256, version=row.version, queries=changed, replaced_by=new)
                )
                self.counts["eval_queries"] += changed
        return gone

    def _replace(self, row: sa.Row[Any], queries: Sequence[JudgedQuery], version: int) -> str | None:
        """What is left as the dataset in force; none where nothing can be measured on it. Its hash."""
        if not any(query.has_positive for query in queries):
            return None
        evidence = None
        if row.evidence is not None:
            evidence = LogEvidence.of_json(row.evidence).left({q.query_id: q.judgments for q in queries})
        sha256 = content_sha(queries, evidence)
        changed = {
            "sha256": sha256,
            "version": version,
            "is_current": True,
            "queries": [
                {"query_id": q.query_id, "text": q.text, "judgments": dict(q.judgments)}
                for q in sorted(queries, key=lambda query: query.query_id)
            ],
            "query_count": len(queries),
            "judgment_count": sum(len(query.judgments) for query in queries),
            "created_us": now_us(),
            "evidence": None if evidence is None else evidence.to_json(),
        }
        same = sa.and_(_EVAL.corpus_id == self.corpus_id, _EVAL.sha256 == sha256)
        there = self.connection.execute(sa.update(tables.eval_datasets).where(same).values(is_current=True)).rowcount
        if not there:
            self.connection.execute(sa.insert(tables.eval_datasets).values({**row._mapping, **changed}))
        return sha256

    def report_rows(self, same: Same) -> set[str]:
        """Delete the rows of a query from every report. The query_ids under which they stood there."""
        told = (_ROW.data["text"].as_string(), _ROW.data["query_id"].as_string())
        own = sa.select(_EVALUATION.evaluation_number).where(_EVALUATION.corpus_id == self.corpus_id)
        rows = sa.select(_ROW.evaluation_number, _ROW.position, *told).where(_ROW.evaluation_number.in_(own))
        gone: set[str] = set()
        for number, position, text, query_id in self.connection.execute(rows).all():
            if text is not None and same(text):
                this = sa.and_(_ROW.evaluation_number == number, _ROW.position == position)
                self.connection.execute(sa.delete(tables.evaluation_queries).where(this))
                self.counts["report_rows"] += 1
                gone |= {query_id} - {None}
        return gone

    def risers(self, names: Iterable[str]) -> None:
        """Take queries and documents out of what evaluations say of documents that rose, and of their jobs' results."""
        own = _EVALUATION.corpus_id == self.corpus_id
        columns = (_EVALUATION.evaluation_number, _EVALUATION.evaluation_id, _EVALUATION.report)
        for name in names:
            these = sa.select(*columns).where(own, naming(_EVALUATION.report, name))
            for number, job_id, report in self.connection.execute(these).all():
                left = _unnamed(report, name)
                if left != report:
                    this = sa.update(tables.evaluations).where(_EVALUATION.evaluation_number == number)
                    self.connection.execute(this.values(report=left))
                    self._result(job_id, name)
                    self.counts["report_rows"] += 1

    def _result(self, job_id: str, name: str) -> None:
        """The same of the job that made the evaluation: its result is the report."""
        same, told = tables.jobs.c.job_id == job_id, sa.select(tables.events).where(tables.events.c.job_id == job_id)
        for result in self.connection.execute(sa.select(tables.jobs.c.result).where(same)).scalars().all():
            if result is not None:
                self.connection.execute(sa.update(tables.jobs).where(same).values(result=_unnamed(result, name)))
        for event in self.connection.execute(told).all():
            if event.data.get("result"):
                this = sa.and_(tables.events.c.job_id == job_id, tables.events.c.seq == event.seq)
                data = {**event.data, "result": _unnamed(event.data["result"], name)}
                self.connection.execute(sa.update(tables.events).where(this).values(data=data))

    def candidates(self, names: Iterable[str]) -> None:
        """Delete the frozen lists that name any of these queries or documents; the next evaluation freezes anew."""
        own = tables.candidates.c.corpus_id == self.corpus_id
        for name in names:
            these = sa.and_(own, naming(tables.candidates.c.payload, name))
            self.counts["candidates"] += self.connection.execute(sa.delete(tables.candidates).where(these)).rowcount

    # ---------------------------------------------------------------------------------------- stories

    def stories(self, texts: Collection[str]) -> None:
        """Blot query text out of what jobs told: the problem of a leakage quotes it."""
        own = tables.jobs.c.corpus_id == self.corpus_id
        told = sa.select(tables.jobs.c.job_id, tables.jobs.c.problem).where(own, tables.jobs.c.problem.is_not(None))
        for job_id, problem in self.connection.execute(told).all():
            blotted = _blotted(problem, texts)
            if blotted == problem:
                continue
            this = sa.update(tables.jobs).where(tables.jobs.c.job_id == job_id)
            self.connection.execute(this.values(problem=blotted))
            events = sa.select(tables.events).where(tables.events.c.job_id == job_id)
            for event in self.connection.execute(events).all():
                same = sa.and_(tables.events.c.job_id == job_id, tables.events.c.seq == event.seq)
                data = _blotted(event.data, texts)
                self.connection.execute(sa.update(tables.events).where(same).values(data=data))
            self.counts["stories"] += 1


def naming(column: sa.ColumnElement[Any], name: str) -> sa.ColumnElement[bool]:
    """Whether the JSON holds this string, quoted. A superset of what is meant: read it before acting on it."""
    return sa.cast(column, sa.Text).contains(json.dumps(name), autoescape=True)


def _unnamed(report: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A report without the risers of a query or document, nor the sentences' mention of it."""
    risers = report.get("risers") or {}
    left = [row for row in risers.get("named", ()) if name not in (row["query"], row["doc_id"])]
    if len(left) == len(risers.get("named", ())):
        return dict(report)
    return {**_blotted(report, [repr(name)]), "risers": {**risers, "named": left}}


def _blotted(value: Any, texts: Collection[str]) -> Any:
    if isinstance(value, Mapping):
        return {name: _blotted(inner, texts) for name, inner in value.items()}
    if isinstance(value, list):
        return [_blotted(inner, texts) for inner in value]
    if isinstance(value, str):
        for text in texts:
            value = value.replace(text, ERASED)
    return value


def _queries(row: sa.Row[Any], source: LabelSource | None) -> list[JudgedQuery]:
    """The queries of an eval dataset; none, if its labels are of another source than is asked for."""
    return [JudgedQuery(**query) for query in row.queries] if source in (None, row.source) else []
