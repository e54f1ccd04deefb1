"""Who may call, from where, and where the server listens."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request

from serving import Running, Serve
from tribrid.api import auth, create_app, serve
from tribrid.api.auth import Guard
from tribrid.api.server import listen
from tribrid.app import Tribrid
from tribrid.app.keys import AccessRules
from tribrid.cloud.line import is_loopback
from tribrid.config import read_environment
from tribrid.errors import InvalidInput, Unauthorized, Unavailable
from waiting import awaited

KEY = "a key with ü and : in it"
KEY_ASCII = "a key"


@pytest.fixture(scope="module")
def keyed(serve_all: Serve, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    environment = read_environment().model_copy(update={"api_key": KEY})
    with Tribrid(tmp_path_factory.mktemp("keyed"), environment=environment) as tribrid:
        yield serve_all(create_app(tribrid)).client()


@pytest.fixture(scope="module")
def open_server(serve_all: Serve, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with Tribrid(tmp_path_factory.mktemp("open")) as tribrid:
        yield serve_all(create_app(tribrid))


@pytest.fixture(scope="module")
def open_client(open_server: Running) -> httpx.Client:
    return open_server.client()


def bearer(key: str, scheme: str = "Bearer") -> dict[bytes, bytes]:
    return {b"Authorization": f"{scheme} {key}".encode()}


PATHS = ["/corpora", "/ready", "/metrics", "/docs", "/openapi.json", "/nowhere", "/health/", "//health"]
STRANGERS = ["evil.example", "evil.example:8000", "localhost.evil.example", "tribrid.localhost", "[::1", "", "10.0.0.1"]


STRANGE_KEYS = [{}, bearer("wrong"), bearer(KEY, "Basic"), bearer(KEY + "x"), {b"Authorization": b"Bearer"}]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("headers", STRANGE_KEYS)
def test_nothing_without_the_key(path: str, headers: dict[bytes, bytes], keyed: httpx.Client) -> None:
    response = keyed.get(path, headers=headers)
    assert response.status_code == 401, response.text
    assert response.json()["code"] == "unauthorized"
    assert "Authorization: Bearer" in response.json()["detail"]
    assert response.headers["www-authenticate"] == "Bearer"


def test_the_key_opens(keyed: httpx.Client) -> None:
    assert keyed.get("/corpora", headers=bearer(KEY)).status_code == 200
    assert keyed.get("/corpora", headers=bearer(KEY, "bearer")).status_code == 200


def test_the_body_of_a_stranger_is_not_read(keyed: httpx.Client) -> None:
    assert keyed.post("/corpora/a/documents", content=b"x" * 1_000_000).status_code == 401


def test_health_is_everybodys(keyed: httpx.Client) -> None:
    assert keyed.get("/health").json()["status"] == "ok"


def test_with_a_key_any_host_will_do(keyed: httpx.Client) -> None:
    headers = {**bearer(KEY), b"Host": b"search.example.com", b"Origin": b"https://app.example.com"}
    assert keyed.get("/corpora", headers=headers).status_code == 200


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:1", "127.9.9.9", "[::1]:80", "LOCALHOST"])
def test_without_a_key_this_machine_may_call(host: str, open_client: httpx.Client) -> None:
    assert open_client.get("/corpora", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", STRANGERS)
def test_a_name_pointed_at_this_machine_may_not(host: str, open_client: httpx.Client) -> None:
    """DNS rebinding: a page's own name that resolves to 127.0.0.1."""
    assert open_client.get("/corpora", headers={"Host": host}).status_code == 401


@pytest.mark.parametrize("origin", ["https://evil.example", "http://evil.example:8000", "null", "http://[::1"])
def test_a_page_from_elsewhere_may_not_write(origin: str, open_client: httpx.Client) -> None:
    response = open_client.post("/corpora", json={"corpus_id": "pwned"}, headers={"Origin": origin})
    assert response.status_code == 401
    assert open_client.get("/corpora").json() == {"corpora": []}


def test_a_page_of_this_machine_may(open_client: httpx.Client) -> None:
    assert open_client.get("/corpora", headers={"Origin": "http://localhost:3000"}).status_code == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost", "LocalHost"])
def test_a_host_of_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "example.com", "127.0.0.1.example.com", "a.localhost"])
def test_a_host_that_others_reach(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])
def test_a_network_wants_a_key(host: str, tmp_path: Path) -> None:
    with Tribrid(tmp_path) as tribrid, pytest.raises(InvalidInput, match="TRIBRID_API_KEY"):
        serve(tribrid, host, 0)


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, Tribrid(tmp_path) as tribrid:
        port = taken.getsockname()[1]
        with pytest.raises(Unavailable, match=f"port {port}"):
            serve(tribrid, "127.0.0.1", port)


def test_an_address_of_another_machine() -> None:
    with pytest.raises(Unavailable, match=r"192\.0\.2\.1"):
        listen("192.0.2.1", 0)


def test_an_answer_does_not_wait_for_an_acknowledgement(open_server: Running, open_client: httpx.Client) -> None:
    """Nagle's algorithm on one side and delayed acknowledgements on the other would make every answer take 40 ms.

    On a busy machine every answer does, so the sockets themselves are asked whether it is off.
    """
    assert open_client.get("/health").status_code == 200
    connections = list(open_server.server.server_state.connections)
    assert connections, "the client's is kept alive"
    for connection in connections:
        answering = connection.transport.get_extra_info("socket")
        assert answering.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_the_last_rules_hold_while_the_store_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """GET /metrics needs no store, and is wanted most when it is gone."""
    monkeypatch.setattr(auth, "FRESH_S", 0.0)
    away = False

    def read() -> AccessRules:
        if away:
            raise Unavailable("The database cannot be used.")
        return AccessRules(closed=True)

    def ask(guard: Guard, key: str) -> str:
        headers = [(b"authorization", f"Bearer {key}".encode())]
        scope: dict[str, Any] = {"type": "http", "path": "/metrics", "headers": headers, "client": ("127.0.0.1", 1)}
        return awaited(guard.admit(Request(scope))).name

    guard = Guard(KEY_ASCII, read)
    assert ask(guard, KEY_ASCII) == "environment"
    away = True
    assert ask(guard, KEY_ASCII) == "environment"
    with pytest.raises(Unauthorized):
        ask(guard, "wrong")
    with pytest.raises(Unavailable):
        ask(Guard(KEY_ASCII, read), KEY_ASCII)
