"""Filters over HTTP: what a search takes and answers, and the way of a key that is pinned to one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from http_examples import ndjson, ok, refused
from serving import Serve
from tribrid.api.scopes import FILTERED, ROUTES
from tribrid.app import Tribrid
from tribrid.errors import InvalidInput
from tribrid.studio.site import create_app
from tribrid_client import TribridClient
from tribrid_client import TribridError as ClientError

COUNT = 40
PIN = {"team": "a"}


@pytest.fixture(scope="module")
def tribrid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tribrid]:
    with Tribrid(tmp_path_factory.mktemp("filters")) as opened:
        yield opened


@pytest.fixture(scope="module")
def keys(tribrid: Tribrid) -> dict[str, str]:
    return {
        "admin": tribrid.keys.create("", ["admin"]).key,
        "pinned": tribrid.keys.create("team a", ["search", "feedback"], filter=PIN).key,
    }


@pytest.fixture(scope="module")
def address(serve_all: Serve, tribrid: Tribrid, keys: dict[str, str]) -> str:
    url = serve_all(create_app(tribrid)).url
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {keys['admin']}"}, timeout=60) as admin:
        ok(admin.post("/corpora", json={"corpus_id": "c"}), 201)
        documents = [
            {
                "doc_id": f"d{n}",
                "title": f"Proxy {n}",
                "text": f"How to renew the certificate of proxy {n}. Secret of team {'ab'[n % 2]}.",
                "metadata": {"n": n, "team": "ab"[n % 2], "lang": ["de", "en"][n % 4 < 2]},
            }
            for n in range(COUNT)
        ]
        ok(admin.post("/corpora/c/documents", content=ndjson(documents)))
    return url


def bearing(address: str, key: str) -> httpx.Client:
    return httpx.Client(base_url=address, headers={"Authorization": f"Bearer {key}"}, timeout=60)


@pytest.fixture(scope="module")
def admin(address: str, keys: dict[str, str]) -> Iterator[httpx.Client]:
    with bearing(address, keys["admin"]) as client:
        yield client


@pytest.fixture(scope="module")
def pinned(address: str, keys: dict[str, str]) -> Iterator[httpx.Client]:
    with bearing(address, keys["pinned"]) as client:
        yield client


def search(client: httpx.Client, **how: Any) -> Any:
    return ok(client.post("/search", json={"corpus_id": "c", "query": "renew the certificate", "top_k": 100, **how}))


def test_a_search_takes_a_filter_a_page_and_facets(admin: httpx.Client) -> None:
    found = search(admin, filter={"n": {"$gte": 30, "$lt": 36}, "team": "b"}, facets=["lang"], offset=1)
    assert {row["doc_id"] for row in found["results"]} < {"d31", "d33", "d35"}
    assert [row["rank"] for row in found["results"]] == [2, 3]
    assert found["matching"] == 3
    assert found["facets"] == {"lang": [{"value": "de", "documents": 2}, {"value": "en", "documents": 1}]}
    assert search(admin, filter=None)["matching"] is None


@pytest.mark.parametrize(
    ("how", "field"),
    [
        ({"filter": {"price": {"gte": 5}}}, "filter.price: there is no operator 'gte'"),
        ({"filter": {"lang": None}}, "filter.lang: null equals nothing"),
        ({"filter": {}}, "filter: must be an object with a condition"),
        ({"filter": "lang=de"}, "filter: "),
        ({"offset": 1000}, "offset: "),
        ({"facets": "lang"}, "facets: "),
    ],
)
def test_a_bad_filter_is_refused_in_words_that_name_the_field(admin: httpx.Client, how: Any, field: str) -> None:
    body = {"corpus_id": "c", "query": "renew", **how}
    assert field in refused(admin.post("/search", json=body), 422, "invalid_input")["detail"]


def test_passages(admin: httpx.Client) -> None:
    found = search(admin, per="passage", top_k=3, filter={"n": {"$in": [4, 5]}})
    assert [row["rank"] for row in found["results"]] == [1, 2]
    for row in found["results"]:
        assert row["lines"] == {"first": 1, "last": 1}
        assert (row["headings"], row["page"]) == ([], None)
        assert [row["text"][start:end] for start, end in row["highlights"]] == ["renew", "certificate"]
    refused(admin.post("/search", json={"corpus_id": "c", "query": "x", "per": "chunk"}), 422, "invalid_input")


def test_the_client_sends_filters(address: str, keys: dict[str, str]) -> None:
    with TribridClient(address, api_key=keys["pinned"], timeout_s=60) as client:
        found = client.search("c", "renew", 5, filter={"lang": {"$in": ["de"]}}, facets=["team"], offset=2)
        assert found.matching == COUNT // 4
        assert [(value.value, value.documents) for value in found.facets["team"]] == [("a", COUNT // 4)]
        assert [row.rank for row in found.results] == [3, 4, 5, 6, 7]
        with pytest.raises(ClientError, match="there is no operator"):
            client.search("c", "renew", filter={"n": {"$near": 5}})


def test_the_way_of_a_pinned_key(admin: httpx.Client, pinned: httpx.Client) -> None:
    mine = {f"d{n}" for n in range(0, COUNT, 2)}
    found = search(pinned, facets=["team"])
    assert {row["doc_id"] for row in found["results"]} == mine
    assert found["facets"]["team"] == [{"value": "a", "documents": len(mine)}]
    assert search(pinned, filter={"team": "b"})["results"] == []
    assert search(pinned, filter={"$or": [{"team": "b"}, {"team": "a"}]})["matching"] == len(mine)

    doc_id = found["results"][3]["doc_id"]
    ok(pinned.post("/feedback", json={"query_id": found["query_id"], "signal": "click", "doc_id": doc_id}))
    shown_to_others = search(admin)["query_id"]
    refused(pinned.post("/feedback", json={"query_id": shown_to_others, "signal": "click"}), 404, "query_not_found")

    assert ok(pinned.get(f"/corpora/c/documents/{doc_id}"))["doc_id"] == doc_id
    there, gone = (pinned.get(f"/corpora/c/documents/{other}") for other in ("d1", "nothing"))
    assert refused(there, 404, "document_not_found")["detail"].replace("d1", "nothing") == gone.json()["detail"]
    # A document that changes hands is theirs from the next call on, and mine no longer.
    moved = ok(admin.get("/corpora/c/documents/d2")) | {"metadata": {"team": "b"}}
    ok(admin.post("/corpora/c/documents", content=ndjson([moved])))
    assert "d2" not in {row["doc_id"] for row in search(pinned)["results"]}
    refused(pinned.get("/corpora/c/documents/d2"), 404, "document_not_found")


def test_what_cannot_be_filtered_is_refused_to_a_pinned_key(pinned: httpx.Client) -> None:
    """Each route that its scopes would do for."""
    tried = 0
    for route in sorted(ROUTES.keys() - FILTERED):
        method, path = route.split(" ", 1)
        answer = pinned.request(method, re.sub(r"{\w+(:path)?}", "c", path), json={})
        assert (route, answer.status_code) == (route, 403)
        tried += "pinned to a filter" in answer.json()["detail"]
    assert tried >= 9
    for page in ("/", "/studio/c/c/search?q=renew", "/studio/c/c/documents"):
        assert "Secret" not in pinned.get(page).text
        assert pinned.get(page).status_code == 403


def test_a_key_with_a_filter_may_not_do_more_than_search(tribrid: Tribrid) -> None:
    for scopes in (["admin"], ["search", "train"], ["metrics"]):
        with pytest.raises(InvalidInput, match="search and feedback"):
            tribrid.keys.create("", scopes, filter=PIN)
    with pytest.raises(InvalidInput, match=r"filter\.team: there is no operator"):
        tribrid.keys.create("", ["search"], filter={"team": {"is": "a"}})
    assert {key.name: key.filter for key in tribrid.keys.list()}["team a"] == PIN
