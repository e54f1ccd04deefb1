"""What each key may do, how often, and that a key which ended opens nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi.routing import APIRoute, iter_route_contexts

from http_examples import refused
from serving import Serve
from tribrid.api import create_app
from tribrid.api.rate import MOST_CALLERS, Rates
from tribrid.api.scopes import ROUTES
from tribrid.app import Tribrid
from tribrid.config import read_environment
from tribrid.errors import InvalidInput, KeyNotFound
from tribrid.types import Scope
from waiting import until


@pytest.fixture(scope="module")
def tribrid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tribrid]:
    with Tribrid(tmp_path_factory.mktemp("scopes")) as opened:
        opened.create_corpus("a")
        yield opened


@pytest.fixture(scope="module")
def keys(tribrid: Tribrid) -> dict[str, str]:
    """A key of each scope, and one with two."""
    made = {scope.value: tribrid.keys.create(f"for {scope}", [scope]).key for scope in Scope}
    return made | {"both": tribrid.keys.create("", ["feedback", "search"]).key}


@pytest.fixture(scope="module")
def client(serve_all: Serve, tribrid: Tribrid, keys: dict[str, str]) -> httpx.Client:
    return serve_all(create_app(tribrid)).client()


def bearing(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_the_table_of_scopes_names_every_route_and_no_other(tribrid: Tribrid) -> None:
    """A route that no line speaks of would be the administrator's alone, by accident."""
    routes = [context.original_route for context in iter_route_contexts(create_app(tribrid).routes)]
    found = {f"{m} {route.path}" for route in routes if isinstance(route, APIRoute) for m in route.methods or ()}
    assert found == ROUTES.keys()


SEARCHER = {"search", "both"}
FEEDER = {"feedback", "both"}
READER = {"search", "both", "train"}
CALLS: list[tuple[str, str, object, set[str]]] = [
    ("POST", "/search", {"corpus_id": "none", "query": "x"}, SEARCHER),
    ("POST", "/feedback", {"query_id": "none", "signal": "click"}, FEEDER),
    ("GET", "/corpora", None, READER),
    ("GET", "/reranker/status", None, READER),
    ("GET", "/corpora/a/documents/x", None, READER),
    ("GET", "/corpora/a/judgments", None, {"train"}),
    ("GET", "/corpora/a/logs/stats", None, {"train"}),
    ("GET", "/corpora/a/erasures", None, set()),
    ("GET", "/reranker/triplets?corpus_id=a", None, {"train"}),
    ("GET", "/config", None, {"train"}),
    ("GET", "/jobs/none", None, {"train"}),
    ("POST", "/corpora/a/documents/delete", {"doc_ids": ["x"]}, {"train"}),
    ("POST", "/reranker/train", {"corpus_id": "none"}, {"train"}),
    ("POST", "/reranker/mine", {"corpus_id": "none"}, {"train"}),
    ("PUT", "/corpora/none/eval_dataset", {"queries": []}, set()),
    ("POST", "/corpora", {"corpus_id": "a"}, set()),
    ("DELETE", "/corpora/none", None, set()),
    ("PATCH", "/config", {}, set()),
    ("PATCH", "/corpora/none/config", {}, set()),
    ("POST", "/reranker/promote", {"corpus_id": "none", "reason": "r"}, set()),
    ("POST", "/reranker/rollback", {"corpus_id": "none"}, set()),
    ("GET", "/metrics", None, {"metrics"}),
    ("GET", "/docs", None, {"search", "feedback", "train", "metrics", "both"}),
]


@pytest.mark.parametrize(("method", "path", "body", "who"), CALLS, ids=[f"{call[0]} {call[1]}" for call in CALLS])
def test_who_may_what(
    method: str, path: str, body: object, who: set[str], keys: dict[str, str], client: httpx.Client
) -> None:
    for name, key in keys.items():
        response = client.request(method, path, json=body, headers=bearing(key))
        if name in who | {"admin"}:
            assert response.status_code not in (401, 403), f"{name}: {response.text}"
        else:
            problem = refused(response, 403, "forbidden")
            assert "admin" in problem["wanted"], name
            assert 'error="insufficient_scope"' in response.headers["www-authenticate"]
    assert client.request(method, path, json=body).status_code == 401


def test_half_a_key_is_none(keys: dict[str, str], client: httpx.Client) -> None:
    prefix, key_id, secret = keys["admin"].split("_", 2)
    other = keys["search"].split("_", 2)
    forged = [f"{prefix}_{key_id}_", f"{prefix}_{key_id}_{other[2]}", f"{prefix}_{other[1]}_{secret}", secret, key_id]
    for sent in [*forged, f"{prefix}__", "_", "__", f"{keys['admin']}x"]:
        assert client.get("/corpora", headers=bearing(sent)).status_code == 401, sent
    assert client.get("/corpora", headers={"Authorization": f"Basic {keys['admin']}"}).status_code == 401


def test_a_secret_is_stored_nowhere(tribrid: Tribrid, keys: dict[str, str]) -> None:
    secrets = [key.split("_", 2)[2].encode() for key in keys.values()]
    kept = b"".join(path.read_bytes() for path in tribrid.environment.data_dir.glob("tribrid.db*"))
    assert not [secret for secret in secrets if secret in kept]
    assert "digest" not in str(tribrid.keys.list())


def test_a_revoked_key_ends_and_the_door_stays_shut(serve: Serve, tmp_path: Path) -> None:
    with Tribrid(tmp_path) as tribrid:
        client = serve(create_app(tribrid)).client()
        assert client.get("/corpora").status_code == 200
        made = tribrid.keys.create("the only one", ["search"])
        until(lambda: client.get("/corpora").status_code == 401)
        assert client.get("/corpora", headers=bearing(made.key)).status_code == 200
        tribrid.keys.revoke(made.key_id)
        until(lambda: client.get("/corpora", headers=bearing(made.key)).status_code == 401)
        assert client.get("/corpora").status_code == 401
        assert tribrid.keys.list()[0].revoked_at
        with pytest.raises(KeyNotFound):
            tribrid.keys.revoke("none")


def test_the_key_of_the_environment_stays_the_administrators(serve: Serve, tmp_path: Path) -> None:
    environment = read_environment({}).model_copy(update={"api_key": "of the operator", "data_dir": tmp_path})
    with Tribrid(environment=environment) as tribrid:
        tribrid.keys.create("", ["search"])
        client = serve(create_app(tribrid)).client(**bearing("of the operator"))
        assert client.patch("/config", json={}).status_code == 200


@pytest.mark.parametrize("scopes", [[], ["root"], ["search", "*"]])
def test_a_scope_that_there_is_not(scopes: list[str], tribrid: Tribrid) -> None:
    with pytest.raises(InvalidInput, match="scope"):
        tribrid.keys.create("", scopes)


def test_who_may_train_may_not_name_any_model(keys: dict[str, str], client: httpx.Client) -> None:
    """A name may be an id to fetch from a hub, or any folder of the server."""
    body = {"corpus_id": "none", "base_model": "/etc"}
    refused(client.post("/reranker/train", json=body, headers=bearing(keys["train"])), 403, "forbidden")
    refused(client.post("/reranker/train", json=body, headers=bearing(keys["admin"])), 404, "corpus_not_found")


@pytest.mark.parametrize(
    "address", ["http://169.254.169.254/v1", "http://[fe80::1]/v1", "http://[::ffff:169.254.169.254]/v1",
                "http://metadata.google.internal./v1", "http://2852039166/v1", "http://0xa9fea9fe/v1",
                "http://169.254.43518/v1", "http://[fd00:ec2::254]/v1",
                "http://[64:ff9b::a9fe:a9fe]/v1", "http://[2002:a9fe:a9fe::1]/v1", "http://[::a9fe:a9fe]/v1",
                "http://100.100.100.200/v1", "http://168.63.129.16/v1"]
)  # fmt: skip
def test_no_setting_names_the_machines_metadata(address: str, keys: dict[str, str], client: httpx.Client) -> None:
    response = client.patch("/config", json={"generation": {"base_url": address}}, headers=bearing(keys["admin"]))
    assert "generation.base_url" in refused(response, 422, "invalid_input")["detail"]


def test_the_operator_says_which_hosts_settings_may_name(tmp_path: Path) -> None:
    environ = {"TRIBRID_OUTBOUND_HOSTS": "api.example.com, 127.0.0.1", "TRIBRID_DATA_DIR": str(tmp_path)}
    environ["TRIBRID_GENERATION__BASE_URL"] = "http://mine.example.com/v1"
    with Tribrid(environment=read_environment(environ)) as tribrid:
        for fine in ("https://API.example.com/v1", "http://127.0.0.1:8080", "http://mine.example.com/v2"):
            tribrid.patch_settings({"generation": {"base_url": fine}})
        with pytest.raises(InvalidInput, match="TRIBRID_OUTBOUND_HOSTS"):
            tribrid.patch_settings({"generation": {"base_url": "http://127.0.0.2:8080"}})
        tribrid.patch_settings({"generation": {"base_url": None}})


def test_too_many_requests_are_told_when_to_come_again(serve: Serve, tmp_path: Path) -> None:
    with Tribrid(tmp_path) as tribrid:
        tribrid.patch_settings({"serving": {"requests_per_minute": 6}})
        one, two = (tribrid.keys.create("", ["search"]).key for _ in range(2))
        client = serve(create_app(tribrid)).client()
        assert client.get("/corpora", headers=bearing(one)).status_code == 200
        late = client.get("/corpora", headers=bearing(one))
        assert refused(late, 429, "rate_limited")["requests_per_minute"] == 6
        assert 1 <= int(late.headers["retry-after"]) <= 10
        assert client.get("/corpora", headers=bearing(two)).status_code == 200
        assert client.get("/health").status_code == 200
        # Guessing is limited as well, by address.
        assert [client.get("/corpora", headers=bearing("guess")).status_code for _ in range(2)] == [401, 429]


def test_a_bucket_fills_again_and_memory_is_bounded() -> None:
    rates = Rates()
    assert [rates.take("a", 6, 0.0) for _ in range(2)] == [0.0, 10.0]
    assert rates.take("a", 6, 5.0) == 5.0
    assert rates.take("a", 6, 10.0) == 0.0
    for number in range(MOST_CALLERS + 10):
        rates.take(str(number), 60, 20.0)
    assert len(rates._buckets) == MOST_CALLERS
