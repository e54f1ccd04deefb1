"""Who may see and do what in the studio: sessions made with keys, forms that no other page can send, scopes, bounds."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from fastapi.routing import APIRoute, iter_route_contexts

from serving import Running, Serve, running
from tribrid import studio
from tribrid.api.pages import SIGN_IN, STATIC
from tribrid.api.sessions import COOKIE, LIFE_S, MOST, Sessions
from tribrid.app import Tribrid
from tribrid.studio.site import OF_ALL, PAGES, SCOPES
from waiting import until

OTHER = "b"


class Closed(NamedTuple):
    """A server that wants keys, and what makes them."""

    server: Running
    tribrid: Tribrid


@pytest.fixture
def tribrid(tmp_path: Path) -> Iterator[Tribrid]:
    with Tribrid(tmp_path / "data") as opened:
        opened.create_corpus("a", "Corpus A")
        opened.create_corpus(OTHER, "Corpus B")
        yield opened


@pytest.fixture
def server(serve: Serve, tribrid: Tribrid) -> Running:
    return serve(studio.create_app(tribrid))


@pytest.fixture(scope="module")
def free(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server without keys, for tests that make none."""
    with Tribrid(tmp_path_factory.mktemp("free")) as tribrid:
        tribrid.create_corpus("a")
        with running(studio.create_app(tribrid)) as up:
            yield up


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Closed]:
    """A server with keys."""
    with Tribrid(tmp_path_factory.mktemp("closed")) as tribrid:
        tribrid.create_corpus("a", "Corpus A")
        tribrid.create_corpus(OTHER, "Corpus B")
        tribrid.keys.create("the first", ["admin"])
        with running(studio.create_app(tribrid)) as up:
            yield Closed(up, tribrid)


def token_of(page: httpx.Response) -> str:
    found = re.search(r'name="form_token" value="([0-9a-f]{64})"', page.text)
    assert found, page.text[:500]
    return found[1]


def signed_in(server: Running, key: str) -> httpx.Client:
    client = server.client()
    until(lambda: client.get(SIGN_IN).status_code == 200)  # the server reads keys again within a second
    form = {"form_token": token_of(client.get(SIGN_IN)), "key": key}
    until(lambda: client.post(SIGN_IN, data=form).status_code == 303)
    return client


def routes() -> list[tuple[str, str]]:
    """Method and path of every page and form that needs a session."""
    found = [context.original_route for context in iter_route_contexts(getattr(PAGES.app, "routes", []))]
    every = [(method, route.path) for route in found if isinstance(route, APIRoute) for method in route.methods or ()]
    return [(method, path) for method, path in every if path != SIGN_IN and not path.startswith(STATIC)]


def test_the_table_of_scopes_names_every_page_and_no_other() -> None:
    assert {f"{method} {path}" for method, path in routes()} == SCOPES.keys()
    assert SCOPES.keys() > OF_ALL


def test_no_form_is_taken_without_the_token_of_its_page(free: Running) -> None:
    client = free.client()
    client.get("/").raise_for_status()
    forms = [path.replace("{corpus_id}", "a") for method, path in routes() if method == "POST"]
    forms = [re.sub(r"{\w+}", "x", path) for path in forms]
    assert len(forms) > 15
    for given in ({}, {"form_token": "0" * 64}):
        taken = [path for path in forms if client.post(path, data=given).status_code != 403]
        assert not taken, f"with {given}"


def test_a_form_of_another_site_is_refused_although_it_has_the_token(server: Running, tribrid: Tribrid) -> None:
    client = server.client()
    form = {"form_token": token_of(client.get("/")), "corpus_id": "new"}
    foreign = client.post("/studio/corpora", data=form, headers={"Sec-Fetch-Site": "cross-site"})
    assert foreign.status_code == 403
    assert client.post("/studio/corpora", data=form, headers={"Origin": "https://example.org"}).status_code == 401
    assert client.post("/studio/corpora", data=form, headers={"Host": "example.org"}).status_code == 401
    own = client.post("/studio/corpora", data=form, headers={"Sec-Fetch-Site": "same-origin"})
    assert (own.status_code, own.headers["location"]) == (303, "/studio/c/new?done=created")
    assert "new" in {corpus.corpus_id for corpus in tribrid.corpora()}


def test_a_token_is_of_one_cookie(free: Running) -> None:
    first, second = free.client(), free.client()
    token = token_of(first.get("/"))
    second.get("/").raise_for_status()
    assert second.post("/studio/corpora", data={"form_token": token, "corpus_id": "new"}).status_code == 403


def test_with_a_key_every_page_wants_a_session(server: Running, tribrid: Tribrid) -> None:
    key = tribrid.keys.create("all", ["admin"]).key
    client = server.client()
    until(lambda: client.get("/").status_code == 303)
    asked = client.get("/studio/c/a/judge?q=x")
    assert (asked.status_code, asked.headers["location"]) == (303, f"{SIGN_IN}?next=%2Fstudio%2Fc%2Fa%2Fjudge%3Fq%3Dx")
    form = client.get(asked.headers["location"])
    assert form.status_code == 200
    wrong = client.post(SIGN_IN, data={"form_token": token_of(form), "key": key + "x"})
    assert wrong.status_code == 401
    assert "Nobody has this key" in wrong.text
    assert client.get("/").status_code == 303
    right = client.post(SIGN_IN, data={"form_token": token_of(form), "key": key, "next": "/studio/c/a/judge?q=x"})
    assert (right.status_code, right.headers["location"]) == (303, "/studio/c/a/judge?q=x")
    cookie = right.headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    assert {"HttpOnly", "Path=/", "SameSite=strict"} <= set(cookie.split("; "))
    assert "Secure" not in cookie, "this server speaks http"
    home = client.get("/")
    assert home.status_code == 200
    assert "Corpus A" in home.text
    out = client.post("/studio/sign-out", data={"form_token": token_of(home)})
    assert (out.status_code, out.headers["location"]) == (303, f"{SIGN_IN}?done=signed-out")
    assert client.get("/").status_code == 303


def test_behind_https_the_cookie_is_for_https_alone(free: Running) -> None:
    made = free.client(**{"X-Forwarded-Proto": "https"}).get("/")
    assert "Secure" in made.headers["set-cookie"].split("; ")


def test_a_session_opens_pages_and_no_route_for_programs(closed: Closed) -> None:
    """Else another program on localhost could send its forms there, which have no token."""
    server, tribrid = closed
    client = signed_in(server, tribrid.keys.create("all", ["admin"]).key)
    assert client.get("/").status_code == 200
    assert client.get("/corpora").status_code == 401
    assert client.post("/corpora", json={"corpus_id": "c"}).status_code == 401


def test_a_session_ends_with_its_key(closed: Closed) -> None:
    server, tribrid = closed
    key = tribrid.keys.create("all", ["admin"])
    client = signed_in(server, key.key)
    assert client.get("/").status_code == 200
    tribrid.keys.revoke(key.key_id)
    until(lambda: client.get("/").status_code == 303)


def test_nobody_is_led_elsewhere_after_signing_in(closed: Closed) -> None:
    key = closed.tribrid.keys.create("all", ["admin"]).key
    signed_in(closed.server, key)
    for wanted in ("https://example.org/", "//example.org", "/\\example.org", "/corpora", "javascript:x"):
        client = closed.server.client()
        form = {"form_token": token_of(client.get(SIGN_IN)), "key": key, "next": wanted}
        assert client.post(SIGN_IN, data=form).headers["location"] == "/", wanted


def test_a_key_may_do_in_the_studio_what_it_may_do_elsewhere(closed: Closed) -> None:
    server, tribrid = closed
    admin, train, search, feedback = (
        signed_in(server, tribrid.keys.create(scope, [scope]).key) for scope in ("admin", "train", "search", "feedback")
    )
    pages = {
        "/studio/c/a": {admin, train, search},
        "/studio/c/a/search": {admin, search},
        "/studio/c/a/documents": {admin, train},
        "/studio/c/a/models": {admin, train},
        "/studio/c/a/settings": {admin, train},
        "/studio/keys": {admin},
    }
    for path, may in pages.items():
        for client in (admin, train, search, feedback):
            assert client.get(path).status_code == (200 if client in may else 403), path
    assert "scopes feedback" in feedback.get("/").text
    assert "/studio/c/a/runs" not in search.get("/studio/c/a").text
    for client, status in ((train, 403), (admin, 303)):
        form = {"form_token": token_of(client.get("/studio/c/a/runs")), "corpus_id": "new"}
        assert client.post("/studio/corpora", data=form).status_code == status
    form = {"form_token": token_of(train.get("/studio/c/a/runs")), "model_id": "", "reason": "r", "force": "yes"}
    refused = train.post("/studio/c/a/models/promote", data=form)
    assert refused.status_code == 403
    assert "wants one of: admin" in refused.text


def test_a_bound_key_hears_of_no_other_corpus(closed: Closed) -> None:
    server, tribrid = closed
    client = signed_in(server, tribrid.keys.create("bound", ["admin"], ["a"]).key)
    home = client.get("/")
    assert "Corpus A" in home.text
    assert "Corpus B" not in home.text
    assert client.get("/studio/c/a").status_code == 200
    for path in (
        f"/studio/c/{OTHER}",
        f"/studio/c/{OTHER}/documents",
        "/studio/c/none",
        "/studio/keys",
        "/studio/settings",
    ):
        assert client.get(path).status_code == 403, path
    form = {"form_token": token_of(client.get("/studio/c/a")), "corpus_id": "c"}
    assert client.post("/studio/corpora", data=form).status_code == 403


def test_a_new_key_is_shown_once_and_in_no_address_or_log(
    server: Running, tribrid: Tribrid, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client = server.client()
    form = {"form_token": token_of(client.get("/studio/keys")), "name": "first", "scope": "admin"}
    assert client.post("/studio/keys", data={**form, "scope": "search"}).status_code == 422, (
        "nobody could come in again"
    )
    made = client.post("/studio/keys", data=form)
    key = re.search(r"tribrid_[0-9a-f]+_[\w-]+", made.text)
    assert key
    assert made.headers["cache-control"] == "no-store"
    inside = signed_in(server, key[0])
    assert key[0] not in inside.get("/studio/keys").text
    assert key[0] not in caplog.text
    assert "tribrid.api.edge" in {record.name for record in caplog.records}


def test_an_error_is_a_page_in_words(free: Running) -> None:
    client = free.client()
    for path, status, words in (
        ("/studio/none", 404, "There is no page at this address."),
        ("/studio/c/none", 404, "There is no corpus"),
        ("/studio/c/a/runs/none", 404, "There is no job"),
        ("/studio/c/a/review?offset=x", 422, "offset"),
    ):
        made = client.get(path)
        assert made.status_code == status, path
        assert made.headers["content-type"] == "text/html; charset=utf-8"
        assert words in made.text
    form = {"form_token": token_of(client.get("/")), "corpus_id": "a"}
    taken = client.post("/studio/corpora", data=form)
    assert taken.status_code == 409
    assert "Corpus exists" in taken.text
    assert client.get("/none").headers["content-type"] == "application/problem+json"


def test_sessions_end_and_are_bounded() -> None:
    now = 0.0
    sessions = Sessions(clock=lambda: now)
    first = sessions.open("k")
    assert sessions.holder(first) == "k"
    for _ in range(MOST):
        sessions.open("other")
    assert sessions.holder(first) is None
    last = sessions.open("k")
    now = LIFE_S
    assert sessions.holder(last) is None
    assert sessions.holder("") is None
