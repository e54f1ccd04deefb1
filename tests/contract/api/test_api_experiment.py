"""An experiment as users meet it: searches that mix two rankings, feedback that decides, the state of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from handmade import model
from http_examples import DOCUMENTS, ndjson, ok, refused
from serving import Serve
from tribrid.api import create_app
from tribrid.app import Tribrid
from tribrid.mining.clicks.labels import log_groups
from tribrid.store.database import now_us
from tribrid.store.tables_experiments import experiments, trials
from tribrid.types import JudgedQuery

pytestmark = pytest.mark.timeout(300)
TOP_K = 6
SEARCH = {"corpus_id": "notes", "query": "read a proxy and a backup by night", "top_k": TOP_K}


@pytest.fixture
def tribrid(tmp_path: Path) -> Iterator[Tribrid]:
    with Tribrid(tmp_path / "data") as opened:
        yield opened


@pytest.fixture
def client(serve: Serve, tribrid: Tribrid) -> httpx.Client:
    """A server with one indexed corpus."""
    client = serve(create_app(tribrid)).client()
    ok(client.post("/corpora", json={"corpus_id": "notes"}), 201)
    client.post("/corpora/notes/documents", content=ndjson(DOCUMENTS), timeout=60).raise_for_status()
    return client


def configure(client: httpx.Client, **settings: Any) -> None:
    ok(client.patch("/corpora/notes/config", json={"reranking": settings}))


def switch_on(client: httpx.Client, **settings: Any) -> None:
    configure(client, experiment="interleave", **settings)


def half_an_hour_passes(tribrid: Tribrid) -> None:
    """The time for feedback is over for all searches so far."""
    with tribrid.store.database.begin() as connection:
        connection.execute(sa.update(trials).values(due_us=now_us()))


def standing(client: httpx.Client) -> Any:
    return ok(client.get("/reranker/status?corpus_id=notes"))["experiment"]


def search(client: httpx.Client, client_id: str | None = None) -> Any:
    return ok(client.post("/search", json={**SEARCH, "client_id": client_id}))


def clicks_by(client: httpx.Client, tribrid: Tribrid, *client_ids: str | None) -> None:
    """A search by each, with a click on what the challenger put into the list, and its time over."""
    for client_id in client_ids:
        found = search(client, client_id)
        teams = tribrid.store.experiments.teams("notes", found["query_id"])
        wanted = [doc_id for doc_id, team in teams.items() if team == "challenger"]
        click(client, found, wanted[0] if wanted else found["results"][0]["doc_id"])
    half_an_hour_passes(tribrid)


def evaluated(tribrid: Tribrid, model_id: str) -> Any:
    """The model measured on queries for which it is neither better nor worse: no gain, and no guard against it."""
    notes = tribrid.corpus("notes")
    documents = [document.doc_id for document in tribrid.store.documents.iterate("notes")]
    notes.eval_dataset.put([JudgedQuery("q", "a proxy", dict.fromkeys(documents, 1))])
    return notes.evaluate(model_id=model_id)


def click(client: httpx.Client, found: Any, doc_id: str) -> None:
    ok(client.post("/feedback", json={"query_id": found["query_id"], "doc_id": doc_id, "signal": "click"}))


def test_searches_are_mixed_and_the_better_model_is_promoted(client: httpx.Client, tribrid: Tribrid) -> None:
    """No champion yet: the challenger turns the retrieval order over, and users want what it shows."""
    assert search(client)["experiment"] is None
    retrieval = [result["doc_id"] for result in search(client)["results"]]
    assert standing(client) is None
    challenger = model(tribrid.folder, "notes", -1.0)
    assert evaluated(tribrid, challenger).verdict.decision == "keep"
    switch_on(client, experiment_on_win="promote")
    shown_mixed = 0
    for number in range(40):
        found = search(client, f"user {number}")
        if found["experiment"] is None:
            break
        shown = [result["doc_id"] for result in found["results"]]
        assert found["model_id"] == f"retrieval+{challenger}"
        assert found["experiment"]["interleaved"]
        assert found["reranked"]
        scores = [result["score"] for result in found["results"]]
        assert scores == sorted(scores, reverse=True)
        teams = tribrid.store.experiments.teams("notes", found["query_id"])
        assert list(teams) == shown
        assert sorted(teams.values()) == ["challenger"] * (TOP_K // 2) + ["champion"] * (TOP_K // 2)
        assert {doc_id for doc_id, team in teams.items() if team == "champion"} <= set(retrieval)
        click(client, found, next(doc_id for doc_id in shown if doc_id not in retrieval))
        half_an_hour_passes(tribrid)
        shown_mixed += 1
    state = standing(client)
    assert (state["state"], state["verdict"], state["promoted"]) == ("decided", "challenger_better", True)
    assert state["impressions"]["wins"] == state["challenger"]["credit"] == shown_mixed < 40, "it stops by itself"
    assert state["impressions"]["clients"] == state["impressions"]["least_clients"] == shown_mixed == 20
    assert state["impressions"]["losses"] == state["impressions"]["pending"] == 0
    assert state["champion"]["model_id"] == "retrieval"
    assert state["e_value"] >= state["decided_at"] == 20
    assert state["win_share"]["low"] > 0.5
    assert "better than the retrieval order" in state["reason"]
    log = log_groups(tribrid.store.logs.iterate_with_feedback("notes"), examined_below_click=1)
    assert log.impressions == shown_mixed + 3, "mining reads mixed lists like any other"
    assert log.model.harvested > 0, "and learns from them what a rank is worth"
    status = ok(client.get("/reranker/status?corpus_id=notes"))
    assert status["model_id"] == challenger
    promotions = ok(client.get("/reranker/models?corpus_id=notes"))["promotions"]
    assert state["experiment_id"] in promotions[0]["reason"]
    assert promotions[0]["kind"] == "experiment"
    after = search(client)
    assert (after["model_id"], after["experiment"]) == (challenger, None)
    _rolled_back(client, tribrid)


def _rolled_back(client: httpx.Client, tribrid: Tribrid) -> None:
    """What won and was rolled back stays so, even if a process was killed between its promotion and the note of it."""
    ok(client.post("/reranker/rollback", json={"corpus_id": "notes"}))
    with tribrid.store.database.begin() as connection:
        connection.execute(sa.update(experiments).values(promoted=False))
    assert search(client)["experiment"] is None
    state = standing(client)
    assert "compared already" in state["waiting"]
    assert state["promoted"]
    assert ok(client.get("/reranker/models?corpus_id=notes"))["champion"] is None


def test_one_client_decides_nothing_however_often_it_asks(client: httpx.Client, tribrid: Tribrid) -> None:
    challenger = model(tribrid.folder, "notes", -1.0)
    switch_on(client)
    clicks_by(client, tribrid, *["eve"] * 15)
    state = standing(client)
    assert (state["state"], state["verdict"]) == ("running", None)
    seen = state["impressions"]
    assert (seen["counted"], seen["wins"], seen["repeated"], seen["clients"]) == (1, 1, 14, 1)
    assert state["e_value"] < 2
    assert "It takes 20 clients (reranking.experiment_least_clients)" in state["reason"]
    assert "in a corpus that one person searches, set it to 1" in state["reason"]
    clicks_by(client, tribrid, *[None] * 15)
    state = standing(client)
    assert (state["impressions"]["counted"], state["impressions"]["nameless"]) == (2, 15)
    assert "15 searches came without a client_id: they count as one client's." in state["reason"]
    clicks_by(client, tribrid, *[f"user {number}" for number in range(30)])
    state = standing(client)
    assert (state["state"], state["verdict"], state["promoted"]) == ("decided", "challenger_better", False)
    assert state["challenger"]["model_id"] == challenger
    assert state["impressions"]["clients"] == 20


def test_a_client_has_an_outcome_each_day_and_one_person_decides_where_that_is_set(
    client: httpx.Client, tribrid: Tribrid
) -> None:
    model(tribrid.folder, "notes", -1.0)
    switch_on(client, experiment_least_clients=1)
    for day in range(12):
        clicks_by(client, tribrid, "me", "me")
        assert standing(client)["impressions"]["counted"] == day + 1
        with tribrid.store.database.begin() as connection:
            connection.execute(sa.update(trials).values(day=trials.c.day - 1))
    state = standing(client)
    assert (state["verdict"], state["impressions"]["clients"]) == ("challenger_better", 1)


def test_one_clients_searches_do_not_use_the_budget_up(client: httpx.Client, tribrid: Tribrid) -> None:
    model(tribrid.folder, "notes", -1.0)
    switch_on(client, experiment_impressions=3)
    for _ in range(6):
        assert search(client, "eve")["experiment"] is not None
        half_an_hour_passes(tribrid)
    state = standing(client)
    assert (state["state"], state["impressions"]["ties"], state["impressions"]["repeated"]) == ("running", 1, 5)
    for name in "ab":
        search(client, name)
    half_an_hour_passes(tribrid)
    assert standing(client)["verdict"] == "no_difference"


def test_what_won_is_promoted_once_its_guards_are_looked_at(client: httpx.Client, tribrid: Tribrid) -> None:
    challenger = model(tribrid.folder, "notes", -1.0)
    switch_on(client, experiment_on_win="promote")
    clicks_by(client, tribrid, *[f"user {number}" for number in range(20)])
    state = standing(client)
    assert (state["verdict"], state["promoted"]) == ("challenger_better", False)
    assert "there is no eval dataset" in state["not_promoted"]
    report = evaluated(tribrid, challenger)
    assert report.verdict.decision == "keep", "judges see no gain; users did"
    state = standing(client)
    assert (state["promoted"], state["not_promoted"]) == (True, None)
    models = ok(client.get("/reranker/models?corpus_id=notes"))
    assert models["champion"] == challenger
    assert models["promotions"][0]["evaluation_id"] == report.evaluation_id


def test_a_guard_that_fails_keeps_what_won_from_serving(client: httpx.Client, tribrid: Tribrid) -> None:
    challenger = model(tribrid.folder, "notes", -1.0)
    configure_gate = {"gate": {"max_latency_p95_ms": 1e-6}}
    ok(client.patch("/corpora/notes/config", json=configure_gate))
    evaluated(tribrid, challenger)
    switch_on(client, experiment_on_win="promote")
    clicks_by(client, tribrid, *[f"user {number}" for number in range(20)])
    state = standing(client)
    assert (state["verdict"], state["promoted"]) == ("challenger_better", False)
    assert "a guard fails. Reranking a query takes" in state["not_promoted"]
    assert ok(client.get("/reranker/models?corpus_id=notes"))["champion"] is None


def test_what_cannot_be_started_is_said(client: httpx.Client, tribrid: Tribrid) -> None:
    switch_on(client)
    assert standing(client)["state"] == "waiting"
    assert "no trained model" in standing(client)["reason"]
    assert search(client)["experiment"] is None
    only = model(tribrid.folder, "notes", 1.0)
    ok(client.post("/reranker/promote", json={"corpus_id": "notes", "model_id": only, "reason": "test", "force": True}))
    configure(client, experiment_challenger=only)
    assert "cannot challenge itself" in standing(client)["reason"]
    nobody = {"reranking": {"experiment_challenger": "none"}}
    refused(client.patch("/corpora/notes/config", json=nobody), 404, "model_not_found")
    assert "cannot challenge itself" in standing(client)["reason"]
    configure(client, experiment_challenger=None, reranker_mode="none")
    assert "mode is none" in standing(client)["reason"]
    assert search(client)["experiment"] is None
    too_long = {"reranking": {"experiment_window_s": 10**9}}
    refused(client.patch("/corpora/notes/config", json=too_long), 422, "invalid_input")


def test_one_that_was_stopped_goes_on_as_it_was(client: httpx.Client, tribrid: Tribrid) -> None:
    """Also where a newer model is there by then, and by the command's shortest form."""
    experiment = tribrid.corpus("notes").experiment
    champion, challenger = (model(tribrid.folder, "notes", weight) for weight in (1.0, -1.0))
    tribrid.corpus("notes").promote(champion, "to be compared", force=True)
    experiment.start(challenger, design="ab")
    begun = standing(client)
    model(tribrid.folder, "notes", -2.0)
    experiment.stop()
    assert standing(client)["state"] == "paused"
    experiment.start()
    assert standing(client) == begun
    assert (begun["state"], begun["design"]) == ("running", "ab")


@pytest.mark.parametrize("failing", ["champion", "challenger"])
def test_a_search_in_which_one_fails_is_served_and_does_not_count(
    failing: str, client: httpx.Client, tribrid: Tribrid
) -> None:
    champion, challenger = (model(tribrid.folder, "notes", weight) for weight in (1.0, -1.0))
    tribrid.store.models.promote("notes", champion, "test")  # and not loaded yet
    broken = tribrid.store.models.get(champion if failing == "champion" else challenger)
    shutil.rmtree(tribrid.store.artifacts.path(broken.artifact))
    switch_on(client)
    for _ in range(2):
        found = search(client)
        assert found["model_id"] == ("retrieval" if failing == "champion" else champion)
        assert (found["fallback_reason"] is not None) is (failing == "champion")
        assert found["experiment"]["interleaved"] is False
        assert f"The {failing} failed: " in found["experiment"]["excluded"]
        click(client, found, found["results"][0]["doc_id"])
    half_an_hour_passes(tribrid)
    state = standing(client)
    assert state["challenger"]["loaded"] is (failing == "champion")
    seen = state["impressions"]
    assert (seen["excluded"], seen["counted"], seen["pending"]) == (2, 0, 0)
    assert f"The {failing} failed: " in seen["last_excluded"]
    assert len(list(tribrid.store.logs.iterate_with_feedback("notes"))) == (0 if failing == "champion" else 2)


def test_it_ends_within_its_budget_and_with_its_champion(client: httpx.Client, tribrid: Tribrid) -> None:
    champion, challenger = (model(tribrid.folder, "notes", weight) for weight in (1.0, -1.0))
    ok(
        client.post(
            "/reranker/promote", json={"corpus_id": "notes", "model_id": champion, "reason": "test", "force": True}
        )
    )
    switch_on(client, experiment_impressions=3)
    answers = [search(client, f"user {number}") for number in range(4)]
    assert [answer["model_id"] for answer in answers] == [f"{champion}+{challenger}"] * 3 + [champion]
    for answer in answers[:2]:
        click(client, answer, answer["results"][0]["doc_id"])
    half_an_hour_passes(tribrid)
    state = standing(client)
    assert (state["verdict"], state["impressions"]["counted"]) == ("no_difference", 3)
    newer = model(tribrid.folder, "notes", -2.0)
    assert search(client)["model_id"] == f"{champion}+{newer}", "a newer model is the next challenger"
    ok(client.post("/reranker/rollback", json={"corpus_id": "notes"}))
    assert search(client)["model_id"] == f"retrieval+{newer}"
    configure(client, experiment="off")
    assert search(client)["experiment"] is None
    paused = standing(client)
    assert (paused["state"], paused["impressions"]["pending"]) == ("paused", 1)
    assert "experiment is off" in paused["reason"]
    configure(client, experiment="interleave")
    assert search(client)["experiment"]["experiment_id"] == paused["experiment_id"], "it goes on where it was"


def test_searches_while_champions_change(client: httpx.Client, tribrid: Tribrid) -> None:
    """No search fails, and none mixes other rankings than it says."""
    models = [model(tribrid.folder, "notes", weight) for weight in (1.0, -1.0, 2.0)]
    switch_on(client, experiment_challenger=models[2])
    ok(
        client.post(
            "/reranker/promote", json={"corpus_id": "notes", "model_id": models[0], "reason": "test", "force": True}
        )
    )
    allowed = {"retrieval", *models[:2], *(f"{champion}+{models[2]}" for champion in models[:2])}
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(tribrid.corpus("notes").search, str(SEARCH["query"])) for _ in range(60)]
        for number in range(8):
            tribrid.corpus("notes").promote(models[1 - number % 2], reason="test", force=True)
        assert {answer.result().model_id for answer in answers} <= allowed
    for answer in answers:
        found = answer.result()
        assert (found.experiment is not None and found.experiment.interleaved) is ("+" in found.model_id)
