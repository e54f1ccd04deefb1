"""Experiments on reranks: what calls of every dialect take part in, against a model, no model and the order that came;
and A/B by client.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from handmade import model
from http_examples import DOCUMENTS, ndjson, ok
from serving import Serve
from tribrid.api import create_app
from tribrid.api.rerank import ID_HEADER
from tribrid.app import Tribrid
from tribrid.store.database import now_us
from tribrid.store.tables_experiments import trials

pytestmark = pytest.mark.timeout(300)
QUERY = "read a proxy and a backup by night"
GIVEN: list[dict[str, str]] = [{"id": d["_id"], "title": d["title"], "text": d["text"]} for d in DOCUMENTS]
CLIENTS = [f"user {number}" for number in range(30)]


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


def switch_on(client: httpx.Client, experiment: str = "interleave", **settings: Any) -> None:
    ok(client.patch("/corpora/notes/config", json={"reranking": {"experiment": experiment, **settings}}))


def standing(client: httpx.Client) -> Any:
    return ok(client.get("/reranker/status?corpus_id=notes"))["experiment"]


def reranked(client: httpx.Client, client_id: str | None, path: str = "/rerank", **body: Any) -> tuple[str, list[str]]:
    """The id of the answer, and the doc_ids in its order."""
    name = "texts" if path == "tei" else "documents"
    asked = {"query": QUERY, "client_id": client_id, name: GIVEN, "top_n": 6, **body}
    found = client.post("/rerank" if path == "tei" else path, params={"corpus_id": "notes"}, json=asked)
    answer = ok(found)
    rows = answer if isinstance(answer, list) else answer["data" if "voyage" in path else "results"]
    return found.headers[ID_HEADER], [GIVEN[row["index"]]["id"] for row in rows]


def click(client: httpx.Client, query_id: str, doc_id: str) -> None:
    ok(client.post("/feedback", json={"query_id": query_id, "doc_id": doc_id, "signal": "click"}))


def half_an_hour_passes(tribrid: Tribrid) -> None:
    """The time for feedback is over for all calls so far."""
    with tribrid.store.database.begin() as connection:
        connection.execute(sa.update(trials).values(due_us=now_us()))


def clicks_for_the_challenger(client: httpx.Client, tribrid: Tribrid, *client_ids: str | None, **body: Any) -> None:
    for client_id in client_ids:
        query_id, shown = reranked(client, client_id, **body)
        teams = tribrid.store.experiments.teams("notes", query_id)
        assert list(teams) == shown, "the list is shown as it was drafted"
        wanted = [doc_id for doc_id, team in teams.items() if team == "challenger"]
        click(client, query_id, wanted[0] if wanted else shown[0])
    half_an_hour_passes(tribrid)


def promoted(client: httpx.Client, tribrid: Tribrid, weight: float) -> str:
    made = model(tribrid.folder, "notes", weight)
    ok(client.post("/reranker/promote", json={"corpus_id": "notes", "model_id": made, "reason": "test", "force": True}))
    return made


def test_reranks_of_every_dialect_take_part_and_decide(client: httpx.Client, tribrid: Tribrid) -> None:
    challenger = model(tribrid.folder, "notes", -1.0)
    switch_on(client)
    dialects = ["/rerank", "/v1/rerank", "/v2/rerank", "/voyage/v1/rerank", "tei"]
    for number, name in enumerate(CLIENTS):
        clicks_for_the_challenger(client, tribrid, name, path=dialects[number % len(dialects)])
        if standing(client)["state"] != "running":
            break
    state = standing(client)
    assert (state["verdict"], state["challenger"]["model_id"]) == ("challenger_better", challenger)
    assert (state["impressions"]["wins"], state["impressions"]["clients"]) == (20, 20)
    answer = ok(client.post("/rerank", json={"model": "notes", "query": QUERY, "documents": GIVEN}))
    assert (answer["experiment"], answer["model_id"]) == (None, "retrieval"), "it is over"


def test_one_clients_reranks_decide_nothing(client: httpx.Client, tribrid: Tribrid) -> None:
    model(tribrid.folder, "notes", -1.0)
    switch_on(client)
    clicks_for_the_challenger(client, tribrid, *["eve"] * 25, *[None] * 25)
    state = standing(client)
    assert (state["state"], state["verdict"], state["impressions"]["counted"]) == ("running", None, 2)
    assert "cannot be told yet" in state["forecast"]
    assert state["ends_in_days"] is None


def test_a_draft_is_answered_as_it_is_logged_whatever_came_twice(client: httpx.Client, tribrid: Tribrid) -> None:
    challenger = model(tribrid.folder, "notes", -1.0)
    switch_on(client)
    twice = [*GIVEN[:3], GIVEN[1], {"id": "alike", "text": GIVEN[0]["text"]}, *GIVEN[3:5], "", GIVEN[1]]
    answer = ok(client.post("/rerank", json={"model": "notes", "query": QUERY, "documents": twice}))
    assert answer["model_id"] == f"retrieval+{challenger}"
    assert answer["experiment"]["interleaved"] is True
    assert sorted(row["index"] for row in answer["results"]) == list(range(len(twice)))
    scores = [row["relevance_score"] for row in answer["results"]]
    assert scores == sorted(scores, reverse=True)
    logged = tribrid.store.logs.impression(answer["id"])
    assert logged.trial is None, "the experiment keeps it"
    assert list(tribrid.store.experiments.teams("notes", answer["id"])) == [doc.doc_id for doc in logged.shown]
    named = ok(client.post("/rerank", json={"model": challenger, "query": QUERY, "documents": GIVEN}))
    assert (named["model_id"], named["experiment"]) == (challenger, None), "who asks for a version gets it"


def test_the_order_that_came_is_compared_on_reranks_alone_and_cannot_be_promoted(
    client: httpx.Client, tribrid: Tribrid
) -> None:
    champion = promoted(client, tribrid, -1.0)
    switch_on(client, experiment_challenger="given", experiment_on_win="promote")
    search = ok(client.post("/search", json={"corpus_id": "notes", "query": QUERY}))
    assert (search["model_id"], search["experiment"]) == (champion, None)
    query_id, shown = reranked(client, "first")
    own = [doc_id for doc_id, team in tribrid.store.experiments.teams("notes", query_id).items() if team != "champion"]
    assert own == sorted(own, key=[d["id"] for d in GIVEN].index), "its picks stand as they came"
    assert GIVEN[0]["id"] in shown[:2]
    assert tribrid.store.logs.impression(query_id).model_id == f"{champion}+given"
    clicks_for_the_challenger(client, tribrid, *CLIENTS[:20])
    state = standing(client)
    assert (state["verdict"], state["promoted"]) == ("challenger_better", False)
    assert "nothing to promote" in state["reason"]
    assert f"{champion} makes these lists worse" in state["reason"]
    assert "nothing to promote: the order in which the documents came is no model" in state["not_promoted"]
    assert ok(client.get("/reranker/models?corpus_id=notes"))["champion"] == champion


def test_no_model_is_compared_on_searches_and_reranks(client: httpx.Client, tribrid: Tribrid) -> None:
    switch_on(client, experiment_challenger="retrieval")
    assert "retrieval is what serves now: it cannot challenge itself" in standing(client)["reason"]
    champion = promoted(client, tribrid, -1.0)
    search = ok(client.post("/search", json={"corpus_id": "notes", "query": QUERY}))
    assert search["model_id"] == f"{champion}+retrieval"
    clicks_for_the_challenger(client, tribrid, *CLIENTS[:20])
    state = standing(client)
    assert state["verdict"] == "challenger_better"
    assert "set reranking.reranker_mode to none" in state["reason"]
    assert state["challenger"]["loaded"] is None
    assert "were compared already" in state["waiting"]


def test_an_ab_shows_each_client_one_ranking_and_decides(client: httpx.Client, tribrid: Tribrid) -> None:
    """What the challenger's clients want is on top of its list, and at the end of the champion's."""
    challenger = model(tribrid.folder, "notes", -1.0)
    switch_on(client, "ab")
    sides: dict[str, str] = {}
    wanted: str | None = None
    for name in [*CLIENTS, *CLIENTS[:5]]:
        answer = ok(
            client.post("/rerank", json={"model": "notes", "query": QUERY, "documents": GIVEN, "client_id": name})
        )
        if answer["experiment"] is None:
            break
        assert answer["experiment"] == {**answer["experiment"], "interleaved": False, "excluded": None}
        assert answer["model_id"] in (challenger, "retrieval")
        assert answer["reranked"] is (answer["model_id"] == challenger)
        assert sides.setdefault(name, answer["model_id"]) == answer["model_id"], "a client sees the same one always"
        ids = [row["id"] for row in answer["results"]]
        wanted = wanted or (ids[0] if answer["model_id"] == challenger else ids[-1])
        click(client, answer["id"], wanted)
    assert 8 <= list(sides.values()).count(challenger) <= 22
    half_an_hour_passes(tribrid)
    state = standing(client)
    assert (state["design"], state["verdict"]) == ("ab", "challenger_better")
    seen = state["impressions"]
    assert (seen["losses"], seen["clients"]) == (0, seen["wins"])
    assert seen["wins"] >= 20
    assert state["challenger"]["clients"] + state["champion"]["clients"] == seen["counted"]
    assert "outcomes (one a client)" in state["reason"]


def test_an_ab_needs_a_client_id_and_one_client_is_one_outcome(client: httpx.Client, tribrid: Tribrid) -> None:
    model(tribrid.folder, "notes", -1.0)
    switch_on(client, "ab")
    answer = ok(client.post("/rerank", json={"model": "notes", "query": QUERY, "documents": GIVEN}))
    assert "without a client_id" in answer["experiment"]["excluded"]
    assert answer["model_id"] == "retrieval"
    for day in range(25):
        query_id, shown = reranked(client, "eve")
        click(client, query_id, shown[0])
        half_an_hour_passes(tribrid)
        with tribrid.store.database.begin() as connection:
            connection.execute(sa.update(trials).values(day=trials.c.day - 1))
        assert standing(client)["impressions"]["counted"] == 1, day
    state = standing(client)
    assert (state["verdict"], state["impressions"]["repeated"], state["impressions"]["excluded"]) == (None, 24, 1)
    switch_on(client, "interleave")
    state = standing(client)
    assert (state["design"], state["state"]) == ("interleave", "running"), "another design is another experiment"
