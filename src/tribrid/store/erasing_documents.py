"""The steps of a document's erasure, within the transaction of whoever erases. With it go the texts that came under its
id with a rerank.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from tribrid.store import tables, tables_experiments
from tribrid.store.database import batches
from tribrid.store.erasing import BATCH, ERASED, Erasing, naming
from tribrid.store.segment_erasing import documents_like, erase_documents
from tribrid.store.tables_judging import judge_labels
from tribrid.store.tables_ratings import ratings
from tribrid.types.texts import stem, texts_under

_DOCUMENT, _IMPRESSION, _FEEDBACK = tables.documents.c, tables.impressions.c, tables.feedback.c
_SET, _TRIPLET = tables.triplet_sets.c, tables.triplets.c
_JUDGED, _REVIEW = tables.judged_queries.c, tables.reviews.c
_EVALUATION, _ROW = tables.evaluations.c, tables.evaluation_queries.c
_TRIAL = tables_experiments.trials.c
_DOC = 0


class ErasingDocument:
    """What is done about one document.

    Attributes:
        names: its id, and those of the texts that came under it.
    """

    def __init__(self, erasing: Erasing, doc_id: str) -> None:
        self._erasing, self._connection, self._corpus_id = erasing, erasing.connection, erasing.corpus_id
        self._doc_id, self._stem = doc_id, stem(doc_id)
        self.names = {doc_id} | texts_under(self._mentioned(), [doc_id])

    def everywhere(self) -> None:
        """Take it out of all that names it, but for what takes ids: eval datasets, candidates and risers."""
        self._documents()
        self._shown()
        self._shown_in_segments()
        self._judgments()
        for batch in batches(sorted(self.names), BATCH):
            self._triplets(batch)
            self._reviews(batch)
            self._erasing.judge_labels_of(judge_labels.c.doc_id.in_(batch))
        self._report_rows()

    def _mentioned(self) -> set[str]:
        """Every id that begins as those of its texts do; only lists and judgments may still name one."""
        own = sa.and_(_DOCUMENT.corpus_id == self._corpus_id, _DOCUMENT.doc_id.startswith(self._stem, autoescape=True))
        found = set(self._connection.execute(sa.select(_DOCUMENT.doc_id).where(own)).scalars())
        named = sa.or_(self._text(_IMPRESSION.shown), self._text(_IMPRESSION.given))
        lists = sa.select(_IMPRESSION.shown, _IMPRESSION.given).where(_IMPRESSION.corpus_id == self._corpus_id, named)
        for shown, given in self._connection.execute(lists).all():
            found.update([doc[_DOC] for doc in shown], given or ())
        with self._erasing.segments.reading(self._connection, self._corpus_id) as reading:
            found.update(documents_like(reading, self._stem) if reading else ())
        judged = sa.select(_JUDGED.judgments).where(_JUDGED.corpus_id == self._corpus_id, self._text(_JUDGED.judgments))
        return found.union(*self._connection.execute(judged).scalars())

    def _text(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        """Whether the JSON holds a string that begins as its texts' ids do; a superset, as of `naming`."""
        return sa.cast(column, sa.Text).contains(json.dumps(self._stem)[:-1], autoescape=True)

    def _in(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        """Whether the JSON may name it: a superset."""
        return sa.or_(naming(column, self._doc_id), self._text(column))

    def _documents(self) -> None:
        for batch in batches(sorted(self.names), BATCH):
            these = sa.and_(_DOCUMENT.corpus_id == self._corpus_id, _DOCUMENT.doc_id.in_(batch))
            gone = self._connection.execute(sa.delete(tables.documents).where(these))
            self._erasing.counts["documents"] += gone.rowcount

    def _shown(self) -> None:
        """Take it out of every list in which it was shown or given, with what was done with it. Ranks stay, and so do
        the places of a rerank's other documents, by which feedback may name them.
        """
        columns = (_IMPRESSION.impression_number, _IMPRESSION.shown, _IMPRESSION.given, _IMPRESSION.given_fields)
        named = sa.or_(self._in(_IMPRESSION.shown), self._in(_IMPRESSION.given))
        has = sa.select(*columns).where(_IMPRESSION.corpus_id == self._corpus_id, named)
        for number, shown, given, fields in self._connection.execute(has).all():
            places = [place for place, doc in enumerate(shown) if doc[_DOC] in self.names]
            if not places and self.names.isdisjoint(given or ()):
                continue
            left = {
                "shown": [doc for doc in shown if doc[_DOC] not in self.names],
                "given": None if given is None else [ERASED if other in self.names else other for other in given],
                "given_fields": self._others(fields),
            }
            this = _IMPRESSION.impression_number == number
            self._connection.execute(sa.update(tables.impressions).where(this).values(left))
            self._acts(number, {*(shown[place][_DOC] for place in places), *(given or ())} & self.names)
            self._untold(number, places)
            self._erasing.counts["shown"] += 1

    def _shown_in_segments(self) -> None:
        """The same of segments."""
        with self._erasing.segments.reading(self._connection, self._corpus_id) as reading:
            if reading:
                lists, acts = erase_documents(self._erasing.segments, self._connection, reading, self.names)
                self._erasing.counts.update(shown=lists, feedback=acts)

    def _others(self, fields: Mapping[str, Any] | None) -> dict[str, Any] | None:
        """What came with the others' texts."""
        return {doc_id: of for doc_id, of in (fields or {}).items() if doc_id not in self.names} or None

    def _acts(self, number: int, doc_ids: Collection[str]) -> None:
        for batch in batches(sorted(doc_ids), BATCH):
            acted = sa.and_(_FEEDBACK.impression_number == number, _FEEDBACK.doc_id.in_(batch))
            gone = self._connection.execute(sa.delete(tables.feedback).where(acted))
            self._erasing.counts["feedback"] += gone.rowcount

    def _untold(self, number: int, places: Sequence[int]) -> None:
        """Take these places out of the list's part in an experiment: a letter there is a document here."""
        this = sa.select(_TRIAL.experiment_number, _TRIAL.teams).where(_TRIAL.impression_number == number)
        for experiment, teams in self._connection.execute(this).all():
            left = "".join(letter for place, letter in enumerate(teams) if place not in places)
            own = sa.and_(_TRIAL.experiment_number == experiment, _TRIAL.impression_number == number)
            self._connection.execute(sa.update(tables_experiments.trials).where(own).values(teams=left))

    def _judgments(self) -> None:
        """Take it out of every judged query; one without another judgment goes as a whole."""
        own = _JUDGED.corpus_id == self._corpus_id
        rows = sa.select(_JUDGED.query_id, _JUDGED.judgments).where(own, self._in(_JUDGED.judgments))
        for query_id, judgments in self._connection.execute(rows).all():
            left = {other: grade for other, grade in judgments.items() if other not in self.names}
            if len(left) == len(judgments):
                continue
            this = sa.and_(own, _JUDGED.query_id == query_id)
            changed = {"judgments": left, "judgment_count": len(left)}
            table = tables.judged_queries
            self._connection.execute(
                sa.update(table).where(this).values(changed) if left else sa.delete(table).where(this)
            )
            self._erasing.counts["judgments"] += len(judgments) - len(left)
        for batch in batches(sorted(self.names), BATCH):
            self._connection.execute(
                sa.delete(ratings).where(ratings.c.corpus_id == self._corpus_id, ratings.c.doc_id.in_(batch))
            )

    def _triplets(self, doc_ids: Sequence[str]) -> None:
        """Delete the triplets that name it, from every set."""
        about = sa.or_(_TRIPLET.positive_doc_id.in_(doc_ids), _TRIPLET.negative_doc_id.in_(doc_ids))
        own = sa.select(_SET.set_number).where(_SET.corpus_id == self._corpus_id)
        found = sa.select(_TRIPLET.set_number).where(_TRIPLET.set_number.in_(own), about).distinct()
        for number in self._connection.execute(found).scalars().all():
            self._erasing.triplets_of(number, sa.and_(_TRIPLET.set_number == number, about))

    def _reviews(self, doc_ids: Sequence[str]) -> None:
        about = sa.or_(_REVIEW.positive_doc_id.in_(doc_ids), _REVIEW.negative_doc_id.in_(doc_ids))
        self._erasing.reviews_of(sa.and_(_REVIEW.corpus_id == self._corpus_id, about))

    def _report_rows(self) -> None:
        """Take it out of the rankings that reports show."""
        own = sa.select(_EVALUATION.evaluation_number).where(_EVALUATION.corpus_id == self._corpus_id)
        has = sa.and_(_ROW.evaluation_number.in_(own), self._in(_ROW.data))
        rows = sa.select(_ROW.evaluation_number, _ROW.position, _ROW.data).where(has)
        for number, position, data in self._connection.execute(rows).all():
            left = {name: self._without(value) for name, value in data.items()}
            if left == data:
                continue
            this = sa.and_(_ROW.evaluation_number == number, _ROW.position == position)
            self._connection.execute(sa.update(tables.evaluation_queries).where(this).values(data=left))
            self._erasing.counts["report_rows"] += 1

    def _without(self, value: Any) -> Any:
        """A ranking of a report's row without it."""
        if not isinstance(value, list):
            return value
        return [row for row in value if not (isinstance(row, Mapping) and row.get("doc_id") in self.names)]
