"""Experiments on a database: one at a time, searches numbered without gaps, each counted once, in sequence."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import sqlalchemy as sa

from tribrid.errors import CorpusNotFound
from tribrid.evaluation.interleaving import credit
from tribrid.store import Store, tables
from tribrid.store.tables_experiments import experiments
from tribrid.store.terms import Experiment, Tally, Terms
from tribrid.types import Feedback, Impression, ModelVersion, ShownDoc, Signal, Team, Trial

TERMS = Terms(0.05, 100, 10, "report")
TEAMS: tuple[Team, ...] = ("champion", "challenger", "both")
WINDOW_US = TERMS.window_s * 1_000_000


def started(store: Store, challenger: str = "m2") -> Experiment:
    return store.experiments.start("c", "m1", challenger, TERMS)


DAY_US = 86_400_000_000


def searched(
    store: Store,
    experiment: Experiment,
    query_id: str,
    at_us: int = 0,
    excluded: str | None = None,
    client_id: str | None = None,
) -> None:
    shown = tuple(ShownDoc(doc_id, rank, 1.0, 0, 1, {}) for rank, doc_id in enumerate("abc", 1))
    trial = Trial(experiment.experiment_id, () if excluded else TEAMS, excluded)
    impression = Impression(query_id, "c", "query", shown, "m1+m2", True, None, 1.0, at_us, "search", client_id, trial)
    store.logs.add_impression(impression)
    store.experiments.join(impression)


def test_one_experiment_runs_at_a_time(store: Store) -> None:
    assert store.experiments.latest("c") is None
    first = started(store)
    assert started(store, "m3") == first == store.experiments.latest("c")
    assert (first.state, first.terms, first.tally) == ("running", TERMS, Tally())
    with ThreadPoolExecutor(4) as pool:
        assert {e.experiment_id for e in pool.map(lambda _: started(store), range(8))} == {first.experiment_id}
    assert store.experiments.finish(first.experiment_id, "decided", "challenger_worse", "why")
    assert not store.experiments.finish(first.experiment_id, "ended", None, "too late")
    done = store.experiments.latest("c")
    assert done is not None
    assert (done.state, done.verdict, done.reason, done.finished_us is None) == (
        "decided",
        "challenger_worse",
        "why",
        False,
    )
    assert store.experiments.decided("c", {"m1", "m2"})
    assert not store.experiments.decided("c", {"m1", "m3"})
    assert started(store, "m3").experiment_id != first.experiment_id
    with pytest.raises(CorpusNotFound):
        store.experiments.start("none", None, "m2", TERMS)


def test_searches_are_due_in_sequence_with_the_feedback_given_in_time(store: Store) -> None:
    experiment = started(store)
    for number in range(4):
        searched(store, experiment, f"q{number}", number * 10, "it failed" if number == 1 else None)
    early = Feedback("q0", Signal.CLICK, "a", None, WINDOW_US)
    store.logs.add_feedback(Feedback("q0", Signal.CLICK, "b", None, WINDOW_US + 1))
    store.logs.add_feedback(early)
    now = store.experiments.latest("c")
    assert now is not None
    assert (now.joined, now.excluded, store.experiments.pending(now)) == (4, 1, 3)
    assert store.experiments.last_excluded(now) == "it failed"
    assert store.experiments.due(now, WINDOW_US - 1) == []
    due = store.experiments.due(now, WINDOW_US + 20)
    assert [(d.position, d.teams, d.feedback) for d in due] == [(1, TEAMS, (early,)), (2, (), ()), (3, TEAMS, ())]
    assert due[0].doc_ids == ("a", "b", "c")
    assert [d.position for d in store.experiments.due(now, WINDOW_US + 20, limit=2)] == [1, 2]
    assert store.experiments.teams("c", "q0") == dict(zip("abc", TEAMS, strict=True))
    assert store.experiments.teams("c", "q1") == store.experiments.teams("c", "none") == {}


def test_a_search_is_counted_once(store: Store) -> None:
    experiment = started(store)
    for number in range(3):
        searched(store, experiment, f"q{number}")
    tally = Tally(wins=1, ties=1, challenger_credit=0.5)
    assert store.experiments.settle(experiment, 2, tally)
    assert not store.experiments.settle(experiment, 3, tally), "another process was faster"
    now = store.experiments.latest("c")
    assert now is not None
    assert (now.settled, now.tally, store.experiments.pending(now)) == (2, tally, 1)
    assert [d.position for d in store.experiments.due(now, 2 * WINDOW_US)] == [3]


def test_searches_at_once_are_numbered_without_gaps(store: Store) -> None:
    experiment = started(store)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda number: searched(store, experiment, f"q{number}"), range(30)))
    assert [d.position for d in store.experiments.due(experiment, WINDOW_US)] == list(range(1, 31))


def test_what_is_erased_or_over_is_left_out(store: Store) -> None:
    experiment = started(store)
    for number in range(3):
        searched(store, experiment, f"q{number}")
    with store.database.begin() as connection:
        connection.execute(sa.delete(tables.impressions).where(tables.impressions.c.query_id == "q1"))
    assert [d.position for d in store.experiments.due(experiment, WINDOW_US)] == [1, 3]
    store.experiments.finish(experiment.experiment_id, "ended", None, "over")
    searched(store, experiment, "late")
    assert store.logs.impression("late").trial is None
    assert store.experiments.teams("c", "late") == {}
    store.corpora.delete("c")
    assert store.experiments.latest("c") is None


def test_an_erased_document_leaves_the_others_to_their_teams(store: Store) -> None:
    experiment = started(store)
    searched(store, experiment, "q0")
    searched(store, experiment, "q1", excluded="it failed")
    store.logs.add_feedback(Feedback("q0", Signal.CLICK, "b", None, 1))
    store.erasures.document("c", "a")
    first, second = store.experiments.due(experiment, WINDOW_US)
    assert (first.doc_ids, first.teams) == (("b", "c"), ("challenger", "both"))
    assert credit(first.doc_ids, first.teams, first.feedback).outcome == 1
    assert (second.doc_ids, second.teams) == (("b", "c"), ())
    assert store.experiments.teams("c", "q0") == {"b": "challenger", "c": "both"}


def test_the_newest_other_model(store: Store) -> None:
    assert store.experiments.newest_model("c", None) is None
    old = ModelVersion("m1", "c", "run", "a" * 64, {}, 1)
    for model in (old, replace(old, model_id="m2", created_us=2)):
        store.models.put(model)
    assert [store.experiments.newest_model("c", besides) for besides in (None, "m1", "m2")] == ["m2", "m2", "m1"]


def test_what_clients_said_is_known_by_client_and_day(store: Store) -> None:
    experiment = started(store)
    by = ("ann", "ann", "ann", "bob", None, None)
    for number, client_id in enumerate(by):
        searched(store, experiment, f"q{number}", DAY_US * (number == 2), client_id=client_id)
    assert [(d.client, d.day) for d in store.experiments.due(experiment, 2 * DAY_US)] == [
        ("ann", 0),
        ("ann", 0),
        ("ann", 1),
        ("bob", 0),
        ("", 0),
        ("", 0),
    ]
    assert store.experiments.outcomes(experiment, {"ann", "bob", ""}) == {}
    assert store.experiments.settle(experiment, 6, Tally(), {1: 0, 2: 1, 3: -1, 4: 0, 5: 1})
    assert store.experiments.outcomes(experiment, {"ann", ""}) == {("ann", 0): 1, ("ann", 1): -1, ("", 0): 1}
    assert store.experiments.outcomes(experiment, {"bob", "eve"}) == {("bob", 0): 0}
    assert sorted(store.experiments.by_client(experiment)) == [(1, 0), (1, 1)]
    store.erasures.lists("c", str, client_id="ann")
    assert sorted(store.experiments.by_client(experiment)) == [(1, 0)], "an erased client is gone from it"


def test_terms_and_tallies_of_older_builds_are_read(store: Store) -> None:
    experiment = started(store)
    with store.database.begin() as connection:
        old = {"terms": {"alpha": 0.05, "impressions": 9, "window_s": 10, "on_win": "report"}, "tally": {"wins": 2}}
        connection.execute(sa.update(experiments).values(old))
    now = store.experiments.latest("c")
    assert now is not None
    assert (now.experiment_id, now.terms.least_clients, now.tally) == (experiment.experiment_id, 20, Tally(wins=2))
