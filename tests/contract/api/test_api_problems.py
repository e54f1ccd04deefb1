"""Whatever goes wrong, the answer is a problem (RFC 9457) that a program can tell apart and a person can act on."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI
from starlette.responses import StreamingResponse

from serving import Serve
from tribrid import errors
from tribrid.api.answers import Json
from tribrid.api.auth import Guard
from tribrid.api.edge import Edge
from tribrid.api.limits import JsonRoute
from tribrid.api.problems import handle_problems
from tribrid.api.schemas import SearchBody, TrainBody
from tribrid.api.telemetry import Telemetry
from tribrid.api.waiting import LongWork

SECRET = "what only the log may know"


def tree(root: type[errors.TribridError]) -> Iterator[type[errors.TribridError]]:
    yield root
    for child in root.__subclasses__():
        yield from tree(child)


KINDS = {error.code: error for error in tree(errors.TribridError)}


def made(kind: type[errors.TribridError]) -> errors.TribridError:
    """An error of this kind; two have words of their own."""
    if kind is errors.CorpusNotFound:
        return errors.CorpusNotFound("a")
    if kind is errors.MissingExtra:
        return errors.MissingExtra("torch", "train", "Training")
    return kind("What happened and what to do.", corpus_id="a")


def problem_app() -> FastAPI:
    app = FastAPI(redirect_slashes=False)
    app.state.long_work = LongWork()
    handle_problems(app)
    app.add_middleware(Edge, guard=Guard(None), telemetry=Telemetry())
    app.router.route_class = JsonRoute

    @app.get("/raise/{code}")
    def fail(code: str) -> Json:
        raise made(KINDS[code])

    @app.get("/blunder")
    def blunder() -> Json:
        raise ZeroDivisionError(SECRET)

    @app.get("/half")
    def half() -> StreamingResponse:
        def body() -> Iterator[bytes]:
            yield b"half"
            raise ZeroDivisionError(SECRET)

        return StreamingResponse(body())

    @app.get("/thing")
    def thing(limit: int = 1) -> Json:
        return Json({"limit": limit})

    @app.post("/thing")
    def search(body: SearchBody) -> Json:
        return Json(body.model_dump())

    @app.post("/train")
    def train(body: TrainBody) -> Json:  # type: ignore[valid-type]
        return Json(body.hyperparameters())  # type: ignore[attr-defined]

    return app


@pytest.fixture(scope="module")
def client(serve_all: Serve) -> httpx.Client:
    return serve_all(problem_app()).client()


def problem(response: httpx.Response, status: int, code: str) -> dict[str, object]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, object] = response.json()
    assert body["status"] == status
    assert body["code"] == code
    assert body["type"] == f"urn:tribrid:problem:{code}"
    assert body["title"]
    assert isinstance(body["detail"], str)
    assert body["detail"]
    assert body["request_id"] == response.headers["x-request-id"]
    return body


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_error_of_the_tree(kind: type[errors.TribridError], client: httpx.Client) -> None:
    body = problem(client.get(f"/raise/{kind.code}"), kind.status, kind.code)
    assert body["detail"] == made(kind).detail
    assert body.items() >= made(kind).facts.items()


def test_who_is_busy_says_when_to_come_again(client: httpx.Client) -> None:
    assert int(client.get("/raise/unavailable").headers["retry-after"]) > 0


def test_what_is_forbidden_says_how_it_is_allowed(client: httpx.Client) -> None:
    assert client.get("/raise/unauthorized").headers["www-authenticate"] == "Bearer"


def test_the_unexpected_is_logged_and_not_told(client: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, logger="tribrid"):
        response = client.get("/blunder")
    body = problem(response, 500, "internal")
    assert SECRET not in response.text
    (record,) = [record for record in caplog.records if record.name.startswith("tribrid")]
    assert str(body["request_id"]) in record.getMessage()
    assert record.exc_info is not None
    assert SECRET in str(record.exc_info[1])


def test_an_answer_that_breaks_off_is_not_taken_for_whole(client: httpx.Client) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        client.get("/half")


def test_a_request_keeps_the_id_it_came_with(client: httpx.Client) -> None:
    assert client.get("/thing", headers={"X-Request-ID": "abc-1"}).headers["x-request-id"] == "abc-1"


@pytest.mark.parametrize("given", ["", "a" * 129, "a b", '"><script>'])
def test_an_id_that_could_do_harm_is_replaced(given: str, client: httpx.Client) -> None:
    answered = client.get("/thing", headers={"X-Request-ID": given}).headers["x-request-id"]
    assert answered != given
    assert answered.isalnum()


def test_no_such_route(client: httpx.Client) -> None:
    assert "/nowhere" in str(problem(client.get("/nowhere"), 404, "not_found")["detail"])
    problem(client.get("/thing/"), 404, "not_found")


def test_wrong_method_names_the_right_ones(client: httpx.Client) -> None:
    response = client.delete("/thing")
    body = problem(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "GET, POST"
    assert "GET, POST" in str(body["detail"])


@pytest.mark.parametrize(
    ("sent", "field", "says"),
    [
        ({"query": "x"}, "corpus_id", "required"),
        ({"corpus_id": "a", "query": "x", "topk": 3}, "topk", "top_k"),
        ({"corpus_id": "a", "query": "x", "top_k": 0}, "top_k", "greater than or equal to 1"),
        ({"corpus_id": "a", "query": "x", "top_k": "many"}, "top_k", "integer"),
        ({"corpus_id": "a", "query": "x", "top_k": "5"}, "top_k", "integer"),
        ({"corpus_id": "a", "query": "x", "top_k": True}, "top_k", "integer"),
        ({"corpus_id": "a", "query": ""}, "query", "at least 1"),
        ({"corpus_id": "a", "query": 5}, "query", "string"),
        ([], "body", "object"),
        ("x", "body", "object"),
        (None, "body", "object"),
    ],
)
def test_what_is_wrong_is_named(sent: object, field: str, says: str, client: httpx.Client) -> None:
    response = client.post("/thing", json=sent)
    body = problem(response, 422, "unknown_setting" if field == "topk" else "invalid_input")
    assert body["field"] == field
    assert str(body["detail"]).startswith(f"{field}: ")
    assert says in str(body["detail"])


def test_every_fault_is_told_at_once(client: httpx.Client) -> None:
    body = problem(client.post("/thing", json={"top_k": 0, "extra": 1}), 422, "invalid_input")
    faults = body["errors"]
    assert isinstance(faults, list)
    assert {fault["field"] for fault in faults} == {"corpus_id", "query", "top_k", "extra"}


def test_a_wrong_query_parameter_is_named(client: httpx.Client) -> None:
    assert problem(client.get("/thing?limit=all"), 422, "invalid_input")["field"] == "limit"


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_json_is_only_read_when_it_says_so(kind: str | None, client: httpx.Client) -> None:
    """A form of any web page can send these types to localhost without asking."""
    headers = {"Content-Type": kind} if kind else {}
    answer = client.post("/thing", content=b'{"corpus_id": "a", "query": "x"}', headers=headers)
    body = problem(answer, 422, "invalid_input")
    assert "Content-Type: application/json" in str(body["detail"])


def test_an_unknown_hyperparameter_is_named_and_the_nearest_offered(client: httpx.Client) -> None:
    body = problem(client.post("/train", json={"corpus_id": "a", "epoch": 2}), 422, "unknown_setting")
    assert body["field"] == "epoch"
    assert "'epochs'" in str(body["detail"])


def test_only_hyperparameters_that_were_given_are_handed_on(client: httpx.Client) -> None:
    response = client.post("/train", json={"corpus_id": "a", "wait": True, "epochs": 3, "learning_rate": 1e-4})
    assert response.json() == {"epochs": 3, "learning_rate": 1e-4}
