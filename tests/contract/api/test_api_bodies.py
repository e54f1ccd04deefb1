"""Bodies as they should not be: nothing of them gets in, nothing of them breaks anything, and each is told why."""

from __future__ import annotations

import io
import json
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Request

from serving import Running, Serve
from tribrid.api import limits
from tribrid.api.answers import Json, json_bytes
from tribrid.api.auth import Guard
from tribrid.api.edge import Edge
from tribrid.api.limits import MAX_JSON_BYTES, MIB, JsonRoute, upload, whole_body
from tribrid.api.problems import handle_problems
from tribrid.api.schemas import SearchBody
from tribrid.api.strictjson import parse_json
from tribrid.api.telemetry import Telemetry
from tribrid.api.waiting import LongWork

JSON = {"Content-Type": "application/json"}
MAX_UPLOAD = 32 * MIB


def body_app(folder: Path) -> FastAPI:
    app = FastAPI()
    app.state.long_work = LongWork()
    app.state.uploads = []
    handle_problems(app)
    app.add_middleware(Edge, guard=Guard(None), telemetry=Telemetry())
    app.router.route_class = JsonRoute

    @app.post("/json")
    def echo(body: SearchBody) -> Json:
        return Json(body.model_dump())

    @app.post("/whole")
    async def whole(request: Request) -> Json:
        return Json({"bytes": len(await whole_body(request, 1000))})

    @app.post("/upload")
    async def take(request: Request) -> Json:
        with await upload(request, MAX_UPLOAD, folder) as file:
            size = file.seek(0, io.SEEK_END)
        app.state.uploads.append(size)
        return Json({"bytes": size})

    return app


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("uploads")


@pytest.fixture(scope="module")
def app(folder: Path) -> FastAPI:
    return body_app(folder)


@pytest.fixture(scope="module")
def server(app: FastAPI, serve_all: Serve) -> Running:
    return serve_all(app)


@pytest.fixture(scope="module")
def client(server: Running) -> httpx.Client:
    return server.client()


def refused(response: httpx.Response, status: int = 422, code: str = "invalid_input") -> str:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == code
    return str(response.json()["detail"])


def search(query: str) -> bytes:
    return b'{"corpus_id": "a", "query": ' + query.encode() + b"}"


HOSTILE = {
    "nothing": (b"", "object"),
    "cut": (b'{"corpus_id": "a"', "JSON"),
    "two": (b"{} {}", "JSON"),
    "not UTF-8": (b'{"corpus_id": "a", "query": "\xff"}', "UTF-8"),
    "UTF-16": ('{"corpus_id": "a", "query": "x"}'.encode("utf-16"), "UTF-8"),
    "half a character": (search('"\\ud800"'), "Unicode"),
    "half a character in a key": (b'{"\\udfff": 1}', "Unicode"),
    "NUL": (search('"a\\u0000b"'), "NUL"),
    "raw NUL": (b'{"corpus_id": "a", "query": "a\0b"}', "JSON"),
    "NaN": (search("NaN"), "NaN"),
    "Infinity": (search("-Infinity"), "Infinity"),
    "too large a float": (search("1e999"), "too large"),
    "too large an integer": (search("9" * 20), "too large"),
    "an endless integer": (search("-" + "9" * 100_000), "too large"),
    "a name twice": (b'{"corpus_id": "a", "query": "x", "corpus_id": "b"}', "'corpus_id' comes twice"),
    "a name twice within": (search('[{"a": 1, "b": {"c": 1, "c": 1}}]'), "'c' comes twice"),
    "deep": (search("[" * 51 + "]" * 51), "nested"),
    "bottomless": (b"[" * 500_000, "nested"),
}


@pytest.mark.parametrize(("raw", "says"), HOSTILE.values(), ids=HOSTILE)
def test_json_that_nothing_could_store(raw: bytes, says: str, client: httpx.Client) -> None:
    assert says in refused(client.post("/json", content=raw, headers=JSON))


def test_json_as_it_should_be(client: httpx.Client) -> None:
    text = "ü \U0001f600 \u2028 " + "x" * 9000
    assert client.post("/json", json={"corpus_id": "a", "query": text}).json()["query"] == text
    assert client.post("/json", content=b"\xef\xbb\xbf" + search('"x"'), headers=JSON).json()["query"] == "x"


@pytest.mark.parametrize("number", [0, -1, 2**63 - 1, -(2**63) + 1, 0.1, 1e300])
def test_numbers_stay_what_they_are(number: float) -> None:
    assert parse_json(json.dumps([number]).encode()) == [number]


def test_an_answer_is_utf8_whatever_is_in_it() -> None:
    assert json_bytes({"a": "\ud800ü"}) == b'{"a":"?\xc3\xbc"}'


def test_an_answer_is_never_nan() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        json_bytes({"a": float("nan")})


def chunks(total: int, size: int = 64 * 1024) -> Iterator[bytes]:
    for _ in range(total // size):
        yield b" " * size


@pytest.mark.parametrize("path", ["/json", "/whole", "/upload"])
@pytest.mark.parametrize("declared", [True, False])
def test_too_much(path: str, declared: bool, client: httpx.Client) -> None:
    """A client that is still sending gets the 413, not a broken connection, and whoever comes next gets an answer."""
    length = {"/json": MAX_JSON_BYTES + 1, "/whole": 1001, "/upload": MAX_UPLOAD + 1}[path] if declared else None
    total = {"/json": 2 * MAX_JSON_BYTES, "/whole": 65536, "/upload": MAX_UPLOAD + MIB}[path]
    content = b" " * length if length else chunks(total)
    detail = refused(client.post(path, content=content, headers=JSON), 413, "too_large")
    assert "bytes" in detail
    assert client.post("/whole", content=b"x").json() == {"bytes": 1}


@pytest.mark.parametrize("path", ["/json", "/whole", "/upload"])
def test_compressed(path: str, client: httpx.Client) -> None:
    headers = {**JSON, "Content-Encoding": "gzip"}
    assert "gzip" in refused(client.post(path, content=b"x", headers=headers), 415, "unsupported_media_type")


@pytest.mark.parametrize("url", ["/json?a=%00", "/js%00on"])
def test_nul_in_the_url(url: str, client: httpx.Client) -> None:
    assert "NUL" in refused(client.get(url))


def test_broken_utf8_in_the_url(client: httpx.Client) -> None:
    refused(client.get("/%ff%fe"), 404, "not_found")


def test_an_upload_stays_out_of_memory(client: httpx.Client) -> None:
    tracemalloc.start()
    try:
        assert client.post("/upload", content=chunks(MAX_UPLOAD)).json() == {"bytes": MAX_UPLOAD}
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * MIB


@pytest.mark.parametrize("raw", [b"", b" \n\t", b"\xef\xbb\xbf\n"])
def test_an_empty_upload(raw: bytes, client: httpx.Client) -> None:
    assert "empty" in refused(client.post("/upload", content=raw))


def test_an_upload_as_a_form(client: httpx.Client) -> None:
    answer = client.post("/upload", files={"file": io.BytesIO(b'{"_id": "1"}')})
    assert "--data-binary" in refused(answer, 415, "unsupported_media_type")


def test_an_upload_that_the_data_folder_does_not_take(client: httpx.Client, folder: Path) -> None:
    away = folder.rename(folder.with_name("away"))
    try:
        answer = client.post("/upload", content=b'{"_id": "1"}')
        assert "See to it that the data folder can be written" in refused(answer, 503, "unavailable")
    finally:
        away.rename(folder)
    assert client.post("/upload", content=b'{"_id": "1"}').status_code == 200


def test_an_array_too_long_to_read_whole(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_ARRAY_BYTES", 10)
    assert client.post("/upload", content=b"[ 1, 2 ]").status_code == 200
    assert "NDJSON" in refused(client.post("/upload", content=b"\n [1, 2, 3, 4]"), 413, "too_large")


def test_an_upload_that_breaks_off_leaves_nothing(app: FastAPI, folder: Path, server: Running) -> None:
    before = list(app.state.uploads)
    with server.connect() as connection:
        head = "POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000000\r\n\r\n"
        connection.sendall(head.encode() + b"x" * 2_000_000)
        time.sleep(0.3)
    time.sleep(0.5)
    assert app.state.uploads == before
    assert list(folder.iterdir()) == []


def test_a_full_disk(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("r+b", buffering=0) as full:
        monkeypatch.setattr(tempfile, "TemporaryFile", lambda dir: full)
        assert "No space left" in refused(client.post("/upload", content=b"x"), 503, "unavailable")
