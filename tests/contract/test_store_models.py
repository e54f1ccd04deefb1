"""What a training leaves: triplet sets before it, model versions, evaluations, and who is champion."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config as AlembicConfig

import reports
from tribrid.answers.report import EvaluationReport, QueryRow
from tribrid.errors import (
    Conflict,
    CorpusNotFound,
    Erased,
    EvaluationNotFound,
    ModelNotFound,
    NoModel,
    NotFound,
    NoTriplets,
)
from tribrid.store import Store, tables
from tribrid.store.database import Database
from tribrid.store.models import Models
from tribrid.types import ModelVersion, Source, Triplet


def model(model_id: str, corpus_id: str = "c", created_us: int = 1) -> ModelVersion:
    return ModelVersion(model_id, corpus_id, "run", "a" * 64, {"config": {"leaves": [1, 2]}}, created_us)


def triplet(n: int, source: Source = Source.LOGS) -> Triplet:
    words = "clicked, not skipped"
    return Triplet(f"q{n}", f"query {n}", ("p", n), ("n", 0), source, 0.3, words, "i1", n, remembered=n % 5 == 4)


# ------------------------------------------------------------------------------------------ triplets


def page(store: Store, *which: Any, **status: Any) -> tuple[list[Triplet], int]:
    rows, total = store.triplets.page("c", *which, **status)
    return [row.triplet for row in rows], total


def test_triplet_sets_are_kept_apart(store: Store) -> None:
    with pytest.raises(NoTriplets):
        store.triplets.latest("c")
    old = store.triplets.put("c", {"max_pairs": 5}, {"by_negative": {"logs": 1}}, [triplet(0)])
    many = [triplet(n, Source.JUDGMENTS if n % 3 else Source.LOGS) for n in range(2300)]
    new = store.triplets.put("c", {}, {}, iter(many))
    assert store.triplets.latest("c") == new
    assert store.triplets.load(old.triplet_set_id) == [triplet(0)]
    assert store.triplets.load(new.triplet_set_id) == many
    assert store.triplets.queries(new.triplet_set_id) == sorted({found.query for found in many})
    assert page(store, old.triplet_set_id, None, 0, 10) == ([triplet(0)], 1)
    assert page(store, None, None, 2100, 500) == (many[2100:], 2300)
    assert page(store, None, Source.LOGS, 1, 2) == ([many[3], many[6]], 767)


def test_a_mining_that_found_nothing_leaves_no_triplets(store: Store) -> None:
    store.triplets.put("c", {}, {}, [triplet(0)])
    empty = store.triplets.put("c", {}, {"rejected": {"never examined": 3}}, [])
    with pytest.raises(NoTriplets) as caught:
        store.triplets.latest("c")
    assert caught.value.facts["counts"] == {"rejected": {"never examined": 3}}
    assert "Most often refused: never examined (3 times)" in caught.value.detail
    with pytest.raises(NoTriplets):
        store.triplets.page("c", None, None, 0, 1)
    assert store.triplets.load(empty.triplet_set_id) == []


def test_a_triplet_set_that_is_not_there(store: Store) -> None:
    store.corpora.create("other", "")
    theirs = store.triplets.put("other", {}, {}, [triplet(0)])
    with pytest.raises(NotFound):
        store.triplets.load("none")
    with pytest.raises(NotFound):
        store.triplets.page("c", theirs.triplet_set_id, None, 0, 1)
    with pytest.raises(CorpusNotFound):
        store.triplets.put("none", {}, {}, [])


# -------------------------------------------------------------------------------------------- models


def test_models_are_stored_once(store: Store) -> None:
    store.models.put(model("m1", created_us=1))
    store.models.put(model("m2", created_us=2))
    store.models.put(model("m1", created_us=1))
    assert store.models.get("m1") == model("m1")
    assert [m.model_id for m in store.models.list("c")] == ["m2", "m1"]
    with pytest.raises(Conflict):
        store.models.put(replace(model("m1"), artifact="b" * 64))
    with pytest.raises(ModelNotFound):
        store.models.get("none")
    with pytest.raises(CorpusNotFound):
        store.models.put(model("m3", "none"))


def aliases(store: Store) -> tuple[str | None, str | None, str | None]:
    return tuple(store.models.aliases("c")[name] for name in ("champion", "challenger", "previous"))  # type: ignore[return-value]


def history(store: Store) -> list[tuple[str | None, str]]:
    return [(row.model_id, row.kind) for row in reversed(store.models.promotions("c"))]


def test_the_newest_that_never_served_is_the_challenger(store: Store) -> None:
    assert aliases(store) == (None, None, None)
    for model_id in ("m1", "m2"):
        store.models.put(model(model_id))
    store.models.put(model("m1"))  # a step replayed
    assert aliases(store) == (None, "m2", None)
    store.models.promote("c", "m1", "an older one")
    assert aliases(store) == ("m1", "m2", None)
    store.models.promote("c", "m2", "the newest")
    assert aliases(store) == ("m2", None, "m1")


def test_each_rollback_goes_one_promotion_further_back(store: Store) -> None:
    for model_id in ("m1", "m2", "m3"):
        store.models.put(model(model_id))
    with pytest.raises(NoModel, match="never"):
        store.models.rollback("c", "nothing there yet")
    store.models.promote("c", "m1", "first", "e1", "gate")
    store.models.promote("c", "m2", "better", "e2", "gate")
    store.models.promote("c", "m2", "again")  # no second row, and the way back stays
    assert aliases(store) == ("m2", "m3", "m1")
    assert store.models.rollback("c", "worse in use") == "m1"
    assert aliases(store) == ("m1", "m3", None), "not m2, which was just taken out"
    store.models.promote("c", "m3", "try this", kind="force")
    assert aliases(store) == ("m3", None, "m1")
    assert store.models.rollback("c", "no") == "m1"
    assert store.models.rollback("c", "nor this") is None
    assert aliases(store) == (None, None, None)
    with pytest.raises(NoModel, match="before any promotion"):
        store.models.rollback("c", "further back there is nothing")
    store.models.promote("c", "m2", "undo it all")
    assert aliases(store) == ("m2", None, None)
    assert history(store) == [
        ("m1", "gate"),
        ("m2", "gate"),
        ("m1", "rollback"),
        ("m3", "force"),
        ("m1", "rollback"),
        (None, "rollback"),
        ("m2", "hand"),
    ]
    assert [row.previous_model_id for row in store.models.promotions("c")] == [None, "m1", "m3", "m1", "m2", "m1", None]


def test_an_evaluation_promotes_once(store: Store) -> None:
    """A worker that died after the promotion comes back and does it again; meanwhile somebody rolled it back."""
    store.models.put(model("m1"))
    store.models.promote("c", "m1", "won", "e1", "gate", None)
    store.models.rollback("c", "worse in use")
    store.models.promote("c", "m1", "won", "e1", "gate", None)
    assert aliases(store)[0] is None
    store.models.promote("c", "m1", "on second thoughts", "e1", "hand", None)
    assert aliases(store)[0] == "m1"


def test_a_comparison_with_another_champion_promotes_nothing(store: Store) -> None:
    for model_id in ("m1", "m2"):
        store.models.put(model(model_id))
    store.models.promote("c", "m1", "first")
    with pytest.raises(Conflict, match="m1 serves now"):
        store.models.promote("c", "m2", "it beat retrieval", "e1", "gate", None)
    assert aliases(store) == ("m1", "m2", None)
    store.models.promote("c", "m2", "it beat m1", "e2", "gate", "m1")
    assert aliases(store) == ("m2", None, "m1")


KILLER = """
import json, os, signal, sys
import sqlalchemy as sa
from tribrid.store.database import Database
from tribrid.store.models import Models

url = sys.argv[1]


def state():
    database = Database(url)
    models = Models(database)
    names, newest = models.aliases("c"), models.promotions("c")[0]
    database.close()  # no connection may live on in a fork
    return names["champion"], names["previous"], newest.model_id


def call(models, name):
    models.promote("c", "m2", "why") if name == "promote" else models.rollback("c", "why")


def child(name, kill_at):
    database = Database(url)
    steps = 0

    def step(*_):
        nonlocal steps
        steps += 1
        if steps == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    writer = database._writer
    for event in ("before_cursor_execute", "after_cursor_execute"):
        sa.event.listen(writer, event, step)
    sa.event.listen(writer, "commit", lambda connection: step())
    call(Models(database), name)
    step()  # killed after all was done
    os._exit(0)


for name in ("promote", "rollback"):
    before = state()
    for kill_at in range(1, 1000):
        pid = os.fork()
        if pid == 0:
            child(name, kill_at)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        after = state()
        print(json.dumps([name, code, before, after]), flush=True)
        if after != before:
            database = Database(url)
            call(Models(database), "rollback" if name == "promote" else "promote")
            database.close()
        if code == 0:
            break
    if name == "promote":
        database = Database(url)
        call(Models(database), "promote")
        database.close()
"""


def test_a_kill_at_any_step_loses_no_name(store: Store, database_url: str) -> None:
    """A process killed with -9 before and after each statement of a promotion and a rollback, and at its commit."""
    for model_id in ("m1", "m2"):
        store.models.put(model(model_id))
    store.models.promote("c", "m1", "first")
    ran = subprocess.run(
        [sys.executable, "-c", KILLER, database_url], capture_output=True, text=True, timeout=110, check=False
    )
    assert ran.returncode == 0, ran.stderr
    tried = [json.loads(line) for line in ran.stdout.splitlines()]
    whole = {"promote": (["m1", None, "m1"], ["m2", "m1", "m2"]), "rollback": (["m2", "m1", "m2"], ["m1", None, "m1"])}
    for name, (start, end) in whole.items():
        mine = [(code, before, after) for called, code, before, after in tried if called == name]
        *killed, last_kill, unharmed = mine
        assert len(killed) > 12
        assert {code for code, *_ in [*killed, last_kill]} == {-signal.SIGKILL}
        assert all((before, after) == (start, start) for _, before, after in killed), "not one half of it"
        assert last_kill[1:] == (start, end), "killed after the commit: all of it"
        assert unharmed == (0, start, end)
    with store.database.read() as connection:
        named = connection.execute(sa.select(tables.aliases.c.alias).order_by(tables.aliases.c.alias)).scalars().all()
    assert named == ["challenger", "champion", "previous"]


def test_promotions_of_before_are_a_history_to_go_back_in(database_url: str) -> None:
    """Until 0005 a rollback swapped two names, and a promotion did not know what came before it."""
    database = Database(database_url)
    script = AlembicConfig()
    script.set_main_option("script_location", str(Path(tables.__file__).parent / "migrations"))
    columns = "corpus_id, model_id, previous_model_id, reason, evaluation_id, created_us"
    promotion = f"INSERT INTO promotions ({columns}) VALUES ('c', :to, :instead, 'why', :evaluation, 0)"
    told = [("m1", None, "e1"), ("m2", "m1", "e2"), ("m1", "m2", None), ("m3", "m1", None)]
    with database.begin() as connection:
        script.attributes["connection"] = connection
        command.upgrade(script, "0004_rerank")
        connection.execute(sa.text("INSERT INTO corpora VALUES ('c', '', 0, 0)"))
        for name in ("m1", "m2", "m3"):
            connection.execute(sa.text("INSERT INTO models VALUES (:m, 'c', 'r', 'a', '{}', 0)"), {"m": name})
        for to, instead, evaluation in told:
            connection.execute(sa.text(promotion), {"to": to, "instead": instead, "evaluation": evaluation})
        for alias, name in (("champion", "m3"), ("previous", "m1")):
            connection.execute(sa.text("INSERT INTO aliases VALUES ('c', :a, :m)"), {"a": alias, "m": name})
    database.migrate()
    models = Models(database)
    assert [(row.model_id, row.kind) for row in reversed(models.promotions("c"))] == [
        ("m1", "gate"),
        ("m2", "gate"),
        ("m1", "rollback"),
        ("m3", "hand"),
    ]
    assert models.aliases("c") == {"champion": "m3", "challenger": None, "previous": "m1"}
    assert [models.rollback("c", "back") for _ in range(2)] == ["m1", None]
    with pytest.raises(NoModel):
        models.rollback("c", "back")
    database.close()


def test_only_the_corpus_s_own_models_are_promoted(store: Store) -> None:
    store.corpora.create("other", "")
    store.models.put(model("m1", "other"))
    for model_id in ("m1", "none"):
        with pytest.raises(ModelNotFound):
            store.models.promote("c", model_id, "")
    with pytest.raises(CorpusNotFound):
        store.models.promote("none", "m1", "")
    assert aliases(store) == (None, None, None)


# --------------------------------------------------------------------------------------- evaluations


def test_evaluations_are_stored_once(store: Store) -> None:
    first, row = reports.report(verdict={"decision": "keep"}), QueryRow(query_id="q1", text="a")
    store.evaluations.put("e1", "c", first, [row])
    store.evaluations.put("e1", "c", reports.report(verdict={"decision": "promote"}), [])
    store.evaluations.put("e2", "c", reports.report(), [])
    assert store.evaluations.get("e1") == first
    assert store.evaluations.queries("e1") == ([row], 1)
    assert [row.evaluation_id for row in store.evaluations.list("c")] == ["e2", "e1"]
    assert [row.evaluation_id for row in store.evaluations.list("c", limit=1)] == ["e2"]
    for call in (store.evaluations.get, store.evaluations.queries):
        with pytest.raises(EvaluationNotFound):
            call("none")


def test_the_differences_of_the_last_comparison(store: Store) -> None:
    def compared(name: str, dataset: str, measure: str, deltas: list[float | None]) -> None:
        found = reports.compared(dataset, measure, {measure: reports.DELTA})
        rows = [QueryRow(query_id="q", text="a", delta_primary=delta) for delta in deltas]
        store.evaluations.put(name, "c", found, rows)

    assert store.evaluations.differences("c") is None
    compared("old", "one", "ndcg@10", [0.1, 0.3, None])
    compared("other", "two", "ndcg@10", [0.2, -0.3])
    compared("same", "one", "ndcg@10", [0.0, 0.0])
    compared("rr", "one", "mrr@10", [0.5, 0.4])
    store.evaluations.put("alone", "c", reports.compared("one", "ndcg@10", None), [])
    assert store.evaluations.differences("c") == ("rr", [0.5, 0.4])
    assert store.evaluations.differences("c", "ndcg@10") == ("other", [0.2, -0.3])
    assert store.evaluations.differences("c", "ndcg@10", "one") == ("old", [0.1, 0.3])
    assert store.evaluations.differences("c", "map") is None


def test_looks_at_an_eval_dataset(store: Store) -> None:
    def report(model_id: str | None, dataset: str, decision: str) -> EvaluationReport:
        return reports.report(
            model_id=model_id,
            eval_dataset={**reports.SMALLEST["eval_dataset"], "sha256": dataset},
            candidates={**reports.SMALLEST["candidates"], "sha256": "k"},
            verdict={"decision": decision, "reasons": ["because"]},
            after={"ndcg@10": 0.5} if model_id else None,
        )

    store.evaluations.put("e1", "c", report("m1", "one", "keep"), [])
    store.evaluations.put("e2", "c", report(None, "one", "keep"), [])
    store.evaluations.put("e3", "c", report("m1", "other", "promote"), [])
    newest, first = store.evaluations.looks("c", "one")
    assert (newest.evaluation_id, newest.model_id, newest.after) == ("e2", None, {})
    assert (first.evaluation_id, first.model_id, first.champion_id, first.dataset) == ("e1", "m1", None, "one")
    assert (first.decision, first.reasons, first.after, first.candidates) == (
        "keep",
        ("because",),
        {"ndcg@10": 0.5},
        "k",
    )
    assert [look.evaluation_id for look in store.evaluations.looks("c", model_id="m1")] == ["e3", "e1"]
    with pytest.raises(Erased):
        store.evaluations.put("e4", "c", reports.report(), [], dataset_sha256="one")
