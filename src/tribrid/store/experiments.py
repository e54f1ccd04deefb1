"""Experiments on live searches: which two rankings, which searches took part, and what was counted so far.

A search that takes part is numbered under its experiment's row lock, so the sequence has the order of the commits: what
is settled up to a number is settled for good, and no search is counted twice or passed over.

A search bears its client and its day, so that a client's outcome of the day is found without reading the log. Both go
with the search when it is erased.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import asdict
from types import MappingProxyType
from typing import Any, Literal
from uuid import uuid4

import sqlalchemy as sa

from tribrid.store import tables, tables_experiments
from tribrid.store.corpora import require_corpus
from tribrid.store.database import Database, batches, now_us
from tribrid.store.terms import NAMELESS, Experiment, Outcome, Tally, Terms
from tribrid.types import Feedback, Impression, Signal, Team, Verdict

Ending = Literal["decided", "ended"]
_EXPERIMENT = tables_experiments.experiments.c
_TRIAL = tables_experiments.trials.c
_IMPRESSION = tables.impressions.c
_FEEDBACK = tables.feedback.c
_MODEL = tables.models.c
_BATCH = 500
_NOTHING: Mapping[int, int] = MappingProxyType({})
_DAY_US = 86_400_000_000
_LETTERS: Mapping[Team, str] = {"champion": "a", "challenger": "b", "both": "="}
_TEAMS = {letter: team for team, letter in _LETTERS.items()}


class Experiments:
    """The experiments of each corpus; one runs at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def latest(self, corpus_id: str) -> Experiment | None:
        """The experiment that runs, or the last one that did."""
        newest = sa.select(tables_experiments.experiments).where(_EXPERIMENT.corpus_id == corpus_id)
        with self._database.read() as connection:
            row = connection.execute(newest.order_by(_EXPERIMENT.experiment_number.desc()).limit(1)).first()
        return None if row is None else _experiment(row)

    def start(self, corpus_id: str, champion_id: str | None, challenger_id: str, terms: Terms) -> Experiment:
        """A new experiment; if one runs already (two searches came at once), that.

        Raises:
            CorpusNotFound: there is no such corpus.
        """
        running = sa.select(_EXPERIMENT.experiment_id).where(
            _EXPERIMENT.corpus_id == corpus_id, _EXPERIMENT.state == "running"
        )
        new = {
            "experiment_id": uuid4().hex[:16],
            "corpus_id": corpus_id,
            "champion_id": champion_id,
            "challenger_id": challenger_id,
            "terms": asdict(terms),
            "state": "running",
            "created_us": now_us(),
            "joined": 0,
            "excluded": 0,
            "settled": 0,
            "tally": asdict(Tally()),
            "promoted": False,
        }
        with self._database.begin() as connection:
            require_corpus(connection, corpus_id, alone=True)
            found = connection.execute(running).scalar_one_or_none()
            if found is None:
                connection.execute(sa.insert(tables_experiments.experiments).values(new))
                found = new["experiment_id"]
            found_row = sa.select(tables_experiments.experiments).where(_EXPERIMENT.experiment_id == found)
            row = connection.execute(found_row).one()
        return _experiment(row)

    def decided(self, corpus_id: str, models: set[str | None]) -> bool:
        """Whether a test of these two, whichever was champion, came to a verdict."""
        pairs = sa.select(_EXPERIMENT.champion_id, _EXPERIMENT.challenger_id).where(
            _EXPERIMENT.corpus_id == corpus_id, _EXPERIMENT.state == "decided"
        )
        with self._database.read() as connection:
            return any(set(pair) == models for pair in connection.execute(pairs))

    def newest_model(self, corpus_id: str, besides: str | None) -> str | None:
        """The newest model version of the corpus but for one; None if there is no other."""
        others = sa.select(_MODEL.model_id).where(_MODEL.corpus_id == corpus_id, _MODEL.model_id != (besides or ""))
        with self._database.read() as connection:
            newest = others.order_by(_MODEL.created_us.desc(), _MODEL.model_id).limit(1)
            return connection.execute(newest).scalar_one_or_none()

    def join(self, impression: Impression) -> None:
        """Number a served and logged search among those of its experiment. One that has ended is left as it is.

        Raises:
            CorpusNotFound: the corpus was deleted.
        """
        trial = impression.trial
        if trial is None:
            return
        left_out = trial.excluded is not None
        numbered = (
            sa.update(tables_experiments.experiments)
            .where(_EXPERIMENT.experiment_id == trial.experiment_id, _EXPERIMENT.state == "running")
            .values(joined=_EXPERIMENT.joined + 1, excluded=_EXPERIMENT.excluded + int(left_out))
            .returning(_EXPERIMENT.experiment_number, _EXPERIMENT.joined, _EXPERIMENT.terms)
        )
        with self._database.begin() as connection:
            # Before its own rows: a corpus that is being deleted locks these in the same order.
            require_corpus(connection, impression.corpus_id)
            logged = connection.execute(_logged(impression)).scalar_one_or_none()
            row = connection.execute(numbered).first() if logged is not None else None
            if row is not None:
                new = {
                    "experiment_number": row.experiment_number,
                    "position": row.joined,
                    "impression_number": logged,
                    "due_us": impression.created_us + Terms(**row.terms).window_s * 1_000_000,
                    "client": impression.client_id or NAMELESS,
                    "day": impression.created_us // _DAY_US,
                    "teams": "".join(_LETTERS[team] for team in trial.teams),
                    "excluded": trial.excluded,
                }
                connection.execute(sa.insert(tables_experiments.trials).values(new))

    def due(self, experiment: Experiment, at_us: int, limit: int = 500) -> list[Outcome]:
        """The next searches whose time for feedback is over, in sequence, up to the first whose time is not."""
        waiting = (
            sa.select(
                _TRIAL.position,
                _TRIAL.client,
                _TRIAL.day,
                _TRIAL.due_us,
                _TRIAL.teams,
                _TRIAL.impression_number,
                _IMPRESSION.query_id,
                _IMPRESSION.shown,
            )
            .select_from(tables_experiments.trials.join(tables_experiments.experiments).join(tables.impressions))
            .where(_EXPERIMENT.experiment_id == experiment.experiment_id, _TRIAL.position > experiment.settled)
            .order_by(_TRIAL.position)
            .limit(limit)
        )
        with self._database.read() as connection:
            first = connection.execute(waiting.limit(1)).first()
            if first is None or first.due_us > at_us:
                return []
            rows = connection.execute(waiting).all()
            late = next((number for number, row in enumerate(rows) if row.due_us > at_us), len(rows))
            due_us = {row.impression_number: row.due_us for row in rows[:late]}
            feedback = _feedback(connection, {row.impression_number: row.query_id for row in rows[:late]}, due_us)
        return [
            Outcome(
                row.position,
                row.client,
                row.day,
                tuple(doc[0] for doc in row.shown),
                tuple(_TEAMS[letter] for letter in row.teams),
                tuple(feedback[row.impression_number]),
            )
            for row in rows[:late]
        ]

    def outcomes(self, experiment: Experiment, clients: Collection[str]) -> dict[tuple[str, int], int]:
        """What these clients' searches have said so far: client and day → 1, 0 or -1, from the challenger's side."""
        found: dict[tuple[str, int], int] = {}
        with self._database.read() as connection:
            for batch in batches(clients, _BATCH):
                told = _told(experiment).add_columns(_TRIAL.client, _TRIAL.day, _TRIAL.outcome)
                for client, day, outcome in connection.execute(told.where(_TRIAL.client.in_(batch))):
                    # A day that began with a tie may have come to more since.
                    found[client, day] = outcome or found.get((client, day), 0)
        return found

    def by_client(self, experiment: Experiment) -> list[tuple[int, int]]:
        """How often the challenger won and lost with each client whose searches told the two apart, in no order."""
        won, lost = (sa.func.sum(sa.case((_TRIAL.outcome == value, 1), else_=0)) for value in (1, -1))
        each = _told(experiment).where(_TRIAL.outcome != 0).add_columns(won, lost).group_by(_TRIAL.client)
        with self._database.read() as connection:
            return [(int(wins), int(losses)) for wins, losses in connection.execute(each)]

    def sequence(self, experiment: Experiment) -> list[tuple[int, int]]:
        """What told the two apart, in order: the day, and 1 or -1 from the challenger's side."""
        each = _told(experiment).where(_TRIAL.outcome != 0).add_columns(_TRIAL.day, _TRIAL.outcome)
        with self._database.read() as connection:
            return [(day, outcome) for day, outcome in connection.execute(each.order_by(_TRIAL.position))]

    def counted_since(self, experiment: Experiment, at_us: int) -> int:
        """How many outcomes are of searches whose time for feedback was over after this time."""
        recent = _told(experiment).where(_TRIAL.due_us > at_us).add_columns(sa.func.count())
        with self._database.read() as connection:
            return int(connection.execute(recent).scalar_one())

    def settle(self, experiment: Experiment, position: int, tally: Tally, told: Mapping[int, int] = _NOTHING) -> bool:
        """Count the searches up to this number; False if somebody else was faster, and nothing is changed.

        Args:
            told: number of each search that is a client's outcome of the day → that outcome, 1, 0 or -1.
        """
        same = (_EXPERIMENT.experiment_id == experiment.experiment_id, _EXPERIMENT.settled == experiment.settled)
        count = sa.update(tables_experiments.experiments).where(*same, _EXPERIMENT.state == "running")
        changed = count.values(settled=position, tally=asdict(tally)).returning(_EXPERIMENT.experiment_number)
        with self._database.begin() as connection:
            number = connection.execute(changed).scalar_one_or_none()
            if number is None:
                return False
            for value in set(told.values()):
                for batch in batches((at for at, outcome in told.items() if outcome == value), _BATCH):
                    these = sa.and_(_TRIAL.experiment_number == number, _TRIAL.position.in_(batch))
                    connection.execute(sa.update(tables_experiments.trials).where(these).values(outcome=value))
        return True

    def finish(self, experiment_id: str, ending: Ending, verdict: Verdict | None, reason: str) -> bool:
        """End a running experiment; False if it had ended."""
        end = sa.update(tables_experiments.experiments).where(
            _EXPERIMENT.experiment_id == experiment_id, _EXPERIMENT.state == "running"
        )
        return self._changed(end.values(state=ending, verdict=verdict, reason=reason, finished_us=now_us()))

    def mark_promoted(self, experiment_id: str) -> None:
        """Note that its challenger was promoted for winning it."""
        won = sa.update(tables_experiments.experiments).where(_EXPERIMENT.experiment_id == experiment_id)
        self._changed(won.values(promoted=True))

    def pending(self, experiment: Experiment) -> int:
        """Searches that take part and are not counted yet."""
        waiting = (
            sa.select(sa.func.count())
            .select_from(tables_experiments.trials.join(tables_experiments.experiments))
            .where(
                _EXPERIMENT.experiment_id == experiment.experiment_id,
                _TRIAL.position > experiment.settled,
                _TRIAL.excluded.is_(None),
            )
        )
        with self._database.read() as connection:
            return int(connection.execute(waiting).scalar_one())

    def last_excluded(self, experiment: Experiment) -> str | None:
        """Why the last search that does not count does not."""
        why = (
            sa.select(_TRIAL.excluded)
            .join_from(tables_experiments.trials, tables_experiments.experiments)
            .where(_EXPERIMENT.experiment_id == experiment.experiment_id, _TRIAL.excluded.is_not(None))
            .order_by(_TRIAL.position.desc())
            .limit(1)
        )
        with self._database.read() as connection:
            return connection.execute(why).scalar_one_or_none()

    def teams(self, corpus_id: str, query_id: str) -> dict[str, Team]:
        """The documents that a search showed, in order, each with its team; none where nothing was interleaved."""
        shown = (
            sa.select(_IMPRESSION.shown, _TRIAL.teams)
            .join_from(tables_experiments.trials, tables.impressions)
            .where(_IMPRESSION.corpus_id == corpus_id, _IMPRESSION.query_id == query_id)
        )
        with self._database.read() as connection:
            row = connection.execute(shown).first()
        if row is None:
            return {}
        return {doc[0]: _TEAMS[letter] for doc, letter in zip(row.shown, row.teams, strict=False)}

    def _changed(self, change: sa.Update) -> bool:
        with self._database.begin() as connection:
            return bool(connection.execute(change).rowcount)


def _told(experiment: Experiment) -> sa.Select[Any]:
    """The searches of an experiment that are a client's outcome of the day; columns are the caller's to add."""
    return (
        sa.select()
        .select_from(tables_experiments.trials.join(tables_experiments.experiments))
        .where(_EXPERIMENT.experiment_id == experiment.experiment_id, _TRIAL.outcome.is_not(None))
    )


def _logged(impression: Impression) -> sa.Select[Any]:
    return sa.select(_IMPRESSION.impression_number).where(
        _IMPRESSION.corpus_id == impression.corpus_id, _IMPRESSION.query_id == impression.query_id
    )


def _feedback(
    connection: sa.Connection, query_ids: Mapping[int, str], due_us: Mapping[int, int]
) -> defaultdict[int, list[Feedback]]:
    """The feedback given in time, oldest first, by number of the impression."""
    found: defaultdict[int, list[Feedback]] = defaultdict(list)
    given = sa.select(tables.feedback).where(_FEEDBACK.impression_number.in_(due_us))
    for row in connection.execute(given.order_by(_FEEDBACK.created_us, _FEEDBACK.feedback_number)):
        number = row.impression_number
        if row.created_us <= due_us[number]:
            found[number].append(Feedback(query_ids[number], Signal(row.signal), row.doc_id, row.value, row.created_us))
    return found


def _experiment(row: sa.Row[Any]) -> Experiment:
    fields = dict(row._mapping)
    del fields["experiment_number"]
    return Experiment(**{**fields, "terms": Terms(**row.terms), "tally": Tally(**row.tally)})
