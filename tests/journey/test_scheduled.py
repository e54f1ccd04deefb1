"""Evaluations by themselves, on a running server with its worker: what they measure, whom they tell, and a kill."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import sqlalchemy as sa

from handmade import model
from http_examples import DOCUMENTS, EVALUATION, ndjson, ok, refused
from serving import running
from tribrid.api import create_app
from tribrid.app import Tribrid
from tribrid.store.tables_schedules import schedules
from tribrid.types import State
from waiting import until
from webhook_server import Receiver, webhook_receiver

pytestmark = [pytest.mark.slow, pytest.mark.heavy, pytest.mark.timeout(300)]
NEW_YEAR = "0 0 1 1 *"


class Watching(NamedTuple):
    tribrid: Tribrid
    client: httpx.Client
    receiver: Receiver


@pytest.fixture(scope="module")
def watching(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watching]:
    """A corpus whose champion is the retrieval order under another name, evaluated once a year."""
    with pytest.MonkeyPatch.context() as patched, webhook_receiver() as receiver:
        patched.setenv("TRIBRID_OUTBOUND_HOSTS", "127.0.0.1")
        with Tribrid(tmp_path_factory.mktemp("data")) as tribrid, running(create_app(tribrid)) as server:
            client = server.client()
            client.timeout = httpx.Timeout(60)
            until(lambda: client.get("/ready").status_code == 200)
            ok(client.post("/corpora", json={"corpus_id": "notes"}), 201)
            client.post("/corpora/notes/documents", content=ndjson(DOCUMENTS)).raise_for_status()
            ok(client.put("/corpora/notes/eval_dataset", json={"queries": EVALUATION}))
            champion = model(tribrid.folder, "notes", 1.0)
            why = {"corpus_id": "notes", "model_id": champion, "reason": "test", "force": True}
            ok(client.post("/reranker/promote", json=why))
            configure(client, evaluation={"schedule": NEW_YEAR, "alert_url": receiver.url, "resamples": 500})
            configure(client, gate={"max_latency_p95_ms": 600_000})
            yield Watching(tribrid, client, receiver)


def configure(client: httpx.Client, **settings: Any) -> None:
    ok(client.patch("/corpora/notes/config", json=settings))


def begun(tribrid: Tribrid) -> str:
    """The year turns; the job_id of what that queued."""
    before = len(tribrid.store.jobs.list("notes"))
    until(tribrid.store.schedules.list)
    with tribrid.store.database.begin() as connection:
        connection.execute(sa.update(schedules).values(seen_us=0))
    until(lambda: len(tribrid.store.jobs.list("notes")) > before)
    return tribrid.store.jobs.list("notes")[0].job_id


def ended(tribrid: Tribrid, job_id: str) -> str:
    job = tribrid.jobs.wait(job_id, timeout_s=60)
    assert job.state is State.SUCCEEDED, job.problem
    return job_id


def troubles(client: httpx.Client) -> list[dict[str, Any]]:
    return [row for row in ok(client.get("/ready"))["troubles"] if row["what"] == "evaluation"]


def test_what_serves_is_measured_and_what_fell_is_told(watching: Watching) -> None:
    tribrid, client, receiver = watching
    first = ended(tribrid, begun(tribrid))
    report = ok(client.get(f"/reranker/evaluations/{first}"))
    assert (report["scheduled"], report["promoted"], report["model_id"]) == (True, False, report["champion_id"])
    assert {"retrieval", "challenger"} <= {name for name, system in report["systems"].items() if system}
    (row,) = ok(client.get("/reranker/evaluations?corpus_id=notes"))["evaluations"]
    assert (row["scheduled"], row["measure"]) == (True, report["primary_measure"])
    assert row["systems"]["challenger"] == report["after"][row["measure"]]
    assert (receiver.heard, troubles(client)) == ([], [])

    configure(client, gate={"max_latency_p95_ms": 1e-6})
    receiver.statuses.append(503)
    second = ended(tribrid, begun(tribrid))
    refused_once, heard = receiver.heard
    assert refused_once.headers["webhook-id"] == heard.headers["webhook-id"] == f"alert_{second}"
    assert heard.body["type"] == "evaluation.alert"
    data = heard.body["data"]
    assert (data["corpus_id"], data["evaluation_id"], data["system"]) == ("notes", second, "challenger")
    (finding,) = data["findings"]
    assert (finding["what"], finding["name"], finding["since"]) == ("guard", "latency_p95", second)
    assert f"passed in evaluation {first} and fails in {second}" in heard.body["text"]
    (trouble,) = troubles(client)
    assert (trouble["corpus_id"], trouble["detail"]) == ("notes", finding["detail"])
    assert 'tribrid_troubles{what="evaluation"} 1.0' in client.get("/metrics").text

    ended(tribrid, begun(tribrid))
    assert len(receiver.heard) == 2, "it is told once"
    assert troubles(client) == [trouble], "and stays open"
    configure(client, gate={"max_latency_p95_ms": 600_000})
    ended(tribrid, begun(tribrid))
    until(lambda: not troubles(client))


def test_an_alert_that_is_not_taken_stops_nothing_and_is_seen(watching: Watching) -> None:
    tribrid, client, receiver = watching
    before = len(receiver.heard)
    configure(client, gate={"max_latency_p95_ms": 1e-6})
    receiver.statuses.append(410)
    job_id = ended(tribrid, begun(tribrid))
    (trouble,) = until(lambda: troubles(client))
    assert "The alert was not delivered: 127.0.0.1" in trouble["detail"]
    assert "refuses it with status 410" in trouble["detail"]
    assert "secret-path" not in trouble["detail"]
    told = [str(event.data.get("message")) for event in tribrid.store.events.read(job_id)]
    assert any("not delivered" in message for message in told)
    ended(tribrid, begun(tribrid))
    assert len(receiver.heard) == before + 2, "the next evaluation tells it again"
    until(lambda: "not delivered" not in troubles(client)[0]["detail"])
    configure(client, gate={"max_latency_p95_ms": 600_000})
    ended(tribrid, begun(tribrid))


def test_a_run_that_is_killed_is_neither_lost_nor_doubled(watching: Watching) -> None:
    tribrid, client, _ = watching
    before = {row["evaluation_id"] for row in ok(client.get("/reranker/evaluations?corpus_id=notes"))["evaluations"]}
    jobs = len(tribrid.store.jobs.list("notes"))
    job_id = begun(tribrid)
    until(lambda: tribrid.store.jobs.get(job_id).state is not State.QUEUED)
    worker = tribrid.supervisor.health().pid
    assert worker is not None
    os.kill(worker, signal.SIGKILL)
    ended(tribrid, job_id)
    after = {row["evaluation_id"] for row in ok(client.get("/reranker/evaluations?corpus_id=notes"))["evaluations"]}
    assert after - before == {job_id}
    assert len(tribrid.store.jobs.list("notes")) == jobs + 1


def test_what_cannot_be_asked_for_is_refused_in_words(watching: Watching) -> None:
    client = watching.client

    def patched(**evaluation: str) -> httpx.Response:
        return client.patch("/corpora/notes/config", json={"evaluation": evaluation})

    body = refused(patched(schedule="every night"), 422, "invalid_input")
    assert "'every night' is no cron expression: it has 2 fields. Five fields are: minute, hour" in body["detail"]
    body = refused(patched(alert_url="https://elsewhere.example.com/x"), 422, "invalid_input")
    assert "elsewhere.example.com is not among the hosts that the operator allows" in body["detail"]
    body = refused(patched(alert_url="http://169.254.169.254/x"), 422, "invalid_input")
    assert "never asked" in body["detail"]
    refused(patched(alert_url="ftp://127.0.0.1/x"), 422, "invalid_input")


def test_one_that_fails_is_seen(watching: Watching, tmp_path: Path) -> None:
    tribrid, client, _ = watching
    champion = tribrid.store.models.alias("notes", "champion")
    assert champion is not None
    artifact = tribrid.store.artifacts.path(tribrid.store.models.get(champion).artifact)
    artifact.rename(tmp_path / "away")
    job_id = begun(tribrid)
    assert tribrid.jobs.wait(job_id, timeout_s=60).state is State.FAILED
    (trouble,) = until(lambda: troubles(client))
    assert f"The last scheduled evaluation, {job_id}, failed: " in trouble["detail"]
    (tmp_path / "away").rename(artifact)
