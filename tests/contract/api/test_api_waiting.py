"""Answers that take long: a client that gives up after seconds without a byte gets them all the same."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from pydantic import JsonValue
from starlette.responses import Response

from serving import Running, Serve
from tribrid.answers.jobs import TrainingResult
from tribrid.api import waiting
from tribrid.api.answers import Json
from tribrid.api.problems import handle_problems
from tribrid.api.waiting import FIRST_BYTE_S, MAX_LONG_WORK, job_response, work_response
from tribrid.app import Tribrid
from tribrid.errors import NoTriplets, TrainingFailed
from tribrid.jobs import cancel
from tribrid.jobs.story import finish
from tribrid.types import Job, State
from waiting import until

PATIENT_S = 60.0  # for what would otherwise not come at all


@pytest.fixture
def app(bare_app: FastAPI, idle_tribrid: Tribrid) -> FastAPI:
    handle_problems(bare_app)
    bare_app.state.release = threading.Event()
    bare_app.state.done = []

    @bare_app.post("/wait/{job_id}")
    def wait(job_id: str, request: Request, wait: bool = True) -> Response:
        return job_response(request, idle_tribrid, idle_tribrid.store.jobs.get(job_id), wait=wait)

    @bare_app.post("/work")
    async def work(request: Request, seconds: float = 60, fail: bool = False, blunder: bool = False) -> Response:
        def do() -> dict[str, Any]:
            bare_app.state.release.wait(seconds)
            bare_app.state.done.append(seconds)
            if fail:
                raise NoTriplets("Mine some.", corpus_id="a")
            return {"seconds": 1 / (not blunder)}

        return await work_response(request, do)

    @bare_app.get("/quick")
    def quick() -> Json:
        return Json({})

    return bare_app


@pytest.fixture
def server(app: FastAPI, serve: Serve) -> Iterator[Running]:
    yield serve(app)
    app.state.release.set()


@pytest.fixture
def client(server: Running) -> httpx.Client:
    return server.client()


def later(seconds: float, act: Callable[[], object]) -> None:
    timer = threading.Timer(seconds, act)
    timer.daemon = True
    timer.start()


def made(job: Job) -> dict[str, Any]:
    metrics: dict[str, JsonValue] = {"text": "ü\n"}
    made = TrainingResult(job_id=job.job_id, run_id=job.job_id, model_id="m", metrics=metrics)
    return made.model_dump(mode="json")


def succeed(tribrid: Tribrid, job: Job) -> None:
    finish(tribrid.store, job.job_id, State.SUCCEEDED, result=made(job))


def test_white_space_until_the_answer(client: httpx.Client, queued: Job, idle_tribrid: Tribrid) -> None:
    """The job ends only after four beats, none of which the client waits for longer than httpx does."""
    with client.stream("POST", f"/wait/{queued.job_id}") as response:
        assert response.status_code == 200
        assert response.headers["content-type"] == "application/json"
        assert response.headers["x-accel-buffering"] == "no"
        pieces = response.iter_raw()
        beats = [next(pieces) for _ in range(4)]
        assert b"".join(beats).strip(b" ") == b""
        succeed(idle_tribrid, queued)
        body = b"".join(pieces)
    answer = body.lstrip(b" ")
    assert len(body) - len(answer) < 10, "the answer comes as soon as it is there"
    assert answer[:1] == b"{"
    assert json.loads(answer) == made(queued)


@pytest.mark.timeout(60, func_only=True)
def test_the_answer_does_not_wait_for_a_beat(
    client: httpx.Client, queued: Job, idle_tribrid: Tribrid, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "BEAT_S", 300.0)
    with client.stream("POST", f"/wait/{queued.job_id}", timeout=PATIENT_S) as response:
        pieces = response.iter_raw()
        assert next(pieces) == b" "
        succeed(idle_tribrid, queued)
        assert json.loads(b"".join(pieces)) == made(queued)


def test_an_impatient_client_waits_for_a_long_job(
    client: httpx.Client, queued: Job, idle_tribrid: Tribrid, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "BEAT_S", 0.1)
    later(3.2, lambda: succeed(idle_tribrid, queued))
    assert client.post(f"/wait/{queued.job_id}", timeout=2).json() == made(queued)


def test_a_job_that_has_ended_is_answered_at_once(
    client: httpx.Client, queued: Job, idle_tribrid: Tribrid, monkeypatch: pytest.MonkeyPatch
) -> None:
    for pause in ("BEAT_S", "SHORTEST_POLL_S", "LONGEST_POLL_S"):
        monkeypatch.setattr(waiting, pause, 300.0)
    succeed(idle_tribrid, queued)
    assert client.post(f"/wait/{queued.job_id}", timeout=PATIENT_S).json() == made(queued)


def test_a_job_that_fails_says_so(client: httpx.Client, queued: Job, idle_tribrid: Tribrid) -> None:
    problem = TrainingFailed("The loss is not a number.").problem()
    later(0.3, lambda: finish(idle_tribrid.store, queued.job_id, State.FAILED, problem=problem))
    response = client.post(f"/wait/{queued.job_id}")
    assert response.status_code == 200
    assert response.json()["status"] == "failed"
    assert response.json()["problem"]["code"] == "training_failed"


def test_a_job_that_is_cancelled_says_so(client: httpx.Client, queued: Job, idle_tribrid: Tribrid) -> None:
    later(0.3, lambda: cancel(idle_tribrid.store, queued.job_id))
    answer = client.post(f"/wait/{queued.job_id}").json()
    assert answer["status"] == "cancelled"
    assert answer["problem"]["code"] == "cancelled"
    problem = idle_tribrid.jobs.get(queued.job_id).problem
    assert problem is not None
    assert problem.model_dump() == answer["problem"]


def test_a_job_that_goes_with_its_corpus(client: httpx.Client, queued: Job, idle_tribrid: Tribrid) -> None:
    later(0.3, lambda: idle_tribrid.store.corpora.delete("a"))
    body = client.post(f"/wait/{queued.job_id}").json()
    assert body["status"] == "failed"
    assert body["problem"]["code"] == "job_not_found"
    assert body["job_id"] == queued.job_id


@pytest.mark.parametrize(
    ("query", "headers"),
    [("?wait=false", {}), ("", {"Prefer": "respond-async"}), ("", {"Prefer": "a=1, Respond-Async"})],
)
def test_who_does_not_want_to_wait(query: str, headers: dict[str, str], client: httpx.Client, queued: Job) -> None:
    response = client.post(f"/wait/{queued.job_id}{query}", headers=headers)
    assert response.status_code == 202
    body = response.json()
    assert body["job_id"] == queued.job_id
    assert body["state"] == "queued"
    assert body["status_url"] == response.headers["location"] == f"/jobs/{queued.job_id}"


def test_a_client_that_goes_away_leaves_its_job(client: httpx.Client, queued: Job, idle_tribrid: Tribrid) -> None:
    with client.stream("POST", f"/wait/{queued.job_id}") as response:
        next(response.iter_raw())
    time.sleep(0.5)
    assert idle_tribrid.store.jobs.get(queued.job_id).state is State.QUEUED
    later(0.2, lambda: succeed(idle_tribrid, queued))
    assert client.post(f"/wait/{queued.job_id}").json() == made(queued)


def test_many_who_wait_hold_up_nobody(client: httpx.Client, queued: Job, idle_tribrid: Tribrid) -> None:
    begun: list[int] = []
    answers: list[Any] = []

    def wait() -> None:
        with client.stream("POST", f"/wait/{queued.job_id}", timeout=PATIENT_S) as response:
            begun.append(response.status_code)
            answers.append(json.loads(response.read()))

    threads = [threading.Thread(target=wait) for _ in range(60)]
    for thread in threads:
        thread.start()
    until(lambda: len(begun) == 60)
    assert client.get("/quick", timeout=PATIENT_S).status_code == 200
    assert answers == [], "the others wait still"
    succeed(idle_tribrid, queued)
    for thread in threads:
        thread.join()
    assert answers == [made(queued)] * 60


def test_a_server_that_stops_says_so(server: Running, queued: Job) -> None:
    client = httpx.Client(base_url=server.url, timeout=5)
    later(0.5, server.begin_stop)
    body = client.post(f"/wait/{queued.job_id}").json()
    client.close()
    assert body["status"] == "interrupted"
    assert body["job_id"] == queued.job_id
    assert "goes on" in body["problem"]["detail"]


def test_short_work_has_a_status_of_its_own(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "FIRST_BYTE_S", PATIENT_S)
    response = client.post("/work?seconds=0")
    assert response.json() == {"seconds": 1}
    assert int(response.headers["content-length"]) > 0


def test_short_work_that_fails_is_a_problem(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "FIRST_BYTE_S", PATIENT_S)
    response = client.post("/work?seconds=0&fail=true")
    assert response.status_code == 409
    assert response.json()["code"] == "no_triplets"


@pytest.mark.parametrize(("how", "code"), [("fail", "no_triplets"), ("blunder", "internal")])
def test_long_work_that_fails_says_so(how: str, code: str, client: httpx.Client) -> None:
    response = client.post(f"/work?seconds={FIRST_BYTE_S + 0.5}&{how}=true")
    assert response.status_code == 200
    assert response.json()["status"] == "failed"
    assert response.json()["problem"]["code"] == code
    assert "division" not in response.text


def test_long_work_is_waited_for(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "BEAT_S", 0.1)
    assert client.post("/work?seconds=3", timeout=2).json() == {"seconds": 1}


def test_long_work_goes_on_without_its_client(app: FastAPI, client: httpx.Client) -> None:
    with client.stream("POST", "/work?seconds=2") as response:
        next(response.iter_raw())
    assert app.state.done == []
    until(lambda: app.state.done == [2])


def test_long_work_leaves_threads_to_others(app: FastAPI, server: Running) -> None:
    posted = [threading.Thread(target=httpx.post, args=(f"{server.url}/work",)) for _ in range(50)]
    for thread in posted:
        thread.start()
    time.sleep(1)
    assert httpx.get(f"{server.url}/quick", timeout=PATIENT_S).status_code == 200
    app.state.release.set()
    for thread in posted:
        thread.join()
    assert len(app.state.done) == 50 > MAX_LONG_WORK
