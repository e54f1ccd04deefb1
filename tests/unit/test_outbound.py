"""Where the server sends requests: judged when it connects, and by what the operator allows now."""

from __future__ import annotations

import ipaddress
import socket
from pathlib import Path
from typing import Any

import pytest

from chat_server import chat_server
from tribrid.cloud.allowed import check_address, never_asked
from tribrid.cloud.line import Later, Line, Unusable
from tribrid.config import Environment, read_environment
from tribrid.config.reranking import RerankingConfig
from tribrid.errors import InvalidInput, ModelUnavailable
from tribrid.workspace.data_folder import DataFolder


def post(line: Line) -> bytes:
    return line.post({"messages": [{"content": "some words"}]}, timeout_s=5.0, max_bytes=10_000)


def lead(monkeypatch: pytest.MonkeyPatch, names: dict[str, list[str]]) -> list[str]:
    """Names of these tests' own in the resolver; what was looked up, in order."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def look_up(host: str, port: int, *rest: Any, **named: Any) -> Any:
        asked.append(host)
        found = [real(address, port, *rest, **named) for address in names.get(host, [host])]
        return [entry for entries in found for entry in entries]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return asked


@pytest.mark.parametrize(
    "addresses", [["169.254.169.254"], ["127.0.0.1", "169.254.1.1"], ["fe80::1"], ["::ffff:169.254.169.254"]]
)
def test_a_name_that_leads_to_the_metadata_is_not_asked(addresses: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    lead(monkeypatch, {"models.example.com": addresses})
    line = Line("http://models.example.com/v1", None, "setting")
    with pytest.raises(Unusable, match=r"is never asked: models\.example\.com leads to"):
        post(line)
    line.close()


def test_a_name_is_looked_up_once_and_the_request_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second look could lead elsewhere. An address that takes no connection is passed over."""
    with chat_server() as server:
        port = int(server.url.rsplit(":", 1)[1])
        asked = lead(monkeypatch, {"models.example.com": ["127.0.0.9", "127.0.0.1"]})
        line = Line(f"http://models.example.com:{port}/v1/chat/completions", None, "setting")
        assert post(line)
        line.close()
        assert asked.count("models.example.com") == 1
        assert server.seen[0].headers["host"] == f"models.example.com:{port}"


def test_a_name_that_leads_nowhere_is_a_line_that_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    line = Line("http://nowhere.example.com/v1", None, "setting")
    with pytest.raises(Later) as caught:
        post(line)
    assert caught.value.lost
    line.close()


@pytest.mark.parametrize("fine", ["127.0.0.1", "10.0.0.5", "192.168.1.1", "::1", "fd12::1", "93.184.216.34", "2606::1"])
def test_private_addresses_may_be_asked(fine: str) -> None:
    assert not never_asked(ipaddress.ip_address(fine))


@pytest.mark.parametrize(("hosts", "allowed"), [("127.0.0.2", True), ("api.example.com", False)])
def test_an_address_that_was_set_before_is_judged_when_it_is_used(hosts: str, allowed: bool, tmp_path: Path) -> None:
    set_before = {"reranker_cloud_provider": "tei", "reranker_cloud_url": "http://127.0.0.2:1"}
    reranking = RerankingConfig.model_validate({"reranker_mode": "cloud", **set_before})
    environ = {"TRIBRID_OUTBOUND_HOSTS": hosts, "TRIBRID_DATA_DIR": str(tmp_path)}
    data = DataFolder(read_environment(environ))
    if allowed:
        assert data.clouds.scorer("", reranking, reranking).client.service.url.startswith("http://127.0.0.2:1")
    else:
        with pytest.raises(ModelUnavailable, match="TRIBRID_OUTBOUND_HOSTS"):
            data.clouds.scorer("", reranking, reranking)
    data.close()


def test_the_operators_own_address_stays_allowed() -> None:
    environment = Environment.model_validate(
        {"data_dir": Path(), "outbound_hosts": "a.example.com", "overrides": {"generation": {"base_url": "http://b.c"}}}
    )
    check_address(environment, "generation", "base_url", "http://b.c/v1")
    with pytest.raises(InvalidInput):
        check_address(environment, "generation", "base_url", "http://d.c/v1")
