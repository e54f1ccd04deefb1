"""The client of OpenAI-compatible servers, against a real one on loopback."""

from __future__ import annotations

import json
import logging
import socket
import time
from email.utils import formatdate
from typing import Any

import pytest

from chat_server import Reply, Says, Seen, chat_server, completion
from tribrid.cloud import asker as asker_module
from tribrid.cloud.asker import Answer, key_for, on_this_machine
from tribrid.cloud.generator import Generator
from tribrid.config import check_overrides
from tribrid.config.asked import GenerationConfig
from tribrid.errors import GenerationFailed, GeneratorUnavailable, InvalidInput

KEY = "sk-very-secret-0123456789"
ASK = [{"role": "user", "content": "hello"}]


def settings(url: str, **more: Any) -> GenerationConfig:
    return GenerationConfig.model_validate({"base_url": url, "model": "m", "timeout_s": 5, "retries": 2, **more})


def ask(says: Says, key: str | None = None, path: str = "", **more: Any) -> tuple[Answer, list[Seen]]:
    with chat_server(says) as server, Generator(settings(server.url + path, **more), key) as client:
        return client.ask(ASK), server.seen


def then(*replies: Reply) -> Says:
    return lambda _seen, before: replies[min(before, len(replies) - 1)]


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asker_module, "FIRST_WAIT_S", 0.01)


def test_an_answer_and_its_tokens() -> None:
    answer, seen = ask(then(completion("a query", {"prompt_tokens": 7, "completion_tokens": 3})))
    assert answer == Answer("a query", 7, 3)
    assert seen[0].path == "/v1/chat/completions"
    assert seen[0].body == {"model": "m", "messages": ASK, "max_tokens": 512}
    assert "authorization" not in seen[0].headers


def test_a_path_of_the_address_is_kept_and_fields_are_as_set() -> None:
    more: dict[str, Any] = {"temperature": 0.5, "output_limit_field": "max_completion_tokens", "max_output_tokens": 99}
    _, seen = ask(then(completion("q")), path="/api/openai/", **more)
    assert seen[0].path == "/api/openai/chat/completions"
    assert seen[0].body == {"model": "m", "messages": ASK, "max_completion_tokens": 99, "temperature": 0.5}


@pytest.mark.usefixtures("_quick")
@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_what_passes_is_asked_again(status: int) -> None:
    answer, seen = ask(then(Reply(b"", status), Reply(b"", status), completion("q")))
    assert (answer.text, len(seen)) == ("q", 3)


@pytest.mark.usefixtures("_quick")
def test_after_the_last_retry_the_question_has_failed() -> None:
    with pytest.raises(GenerationFailed, match="status 500, 3 times"):
        ask(then(Reply(b"no", 500)))


@pytest.mark.parametrize("wait", [1, "date"])
@pytest.mark.timeout(45, func_only=True)  # less than LONGEST_WAIT_S
def test_the_wait_that_the_server_asks_for_is_kept(wait: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asker_module, "FIRST_WAIT_S", 300.0)  # its own wait, which the server's replaces
    asked_at: list[float] = []

    def busy_once(_seen: Seen, before: int) -> Reply:
        asked_at.append(time.monotonic())
        value = str(wait) if wait == 1 else formatdate(time.time() + 2, usegmt=True)
        return completion("q") if before else Reply(b"", 429, {"Retry-After": value})

    ask(busy_once)
    assert len(asked_at) == 2
    assert asked_at[1] - asked_at[0] >= 0.9


@pytest.mark.timeout(45, func_only=True)  # less than LONGEST_WAIT_S
def test_a_server_that_asks_for_an_hour_is_not_waited_for() -> None:
    with pytest.raises(GenerationFailed, match="429, 1 times asked"):
        ask(then(Reply(b"", 429, {"Retry-After": "3600"}), completion("q")))


@pytest.mark.parametrize("status", [401, 403, 404, 405])
def test_a_refusal_names_the_setting_and_is_not_asked_again(status: int) -> None:
    said = {"error": {"message": f"no {KEY}"}}
    with chat_server(then(Reply(json.dumps(said).encode(), status))) as server:
        refused = pytest.raises(GeneratorUnavailable, match=r"generation\.base_url")
        with Generator(settings(server.url), KEY) as client, refused as caught:
            client.ask(ASK)
        assert len(server.seen) == 1
    assert caught.value.facts == {"setting": "generation.base_url"}
    assert KEY not in json.dumps(caught.value.problem())


def test_a_redirect_is_not_followed() -> None:
    with chat_server() as elsewhere:
        redirect = Reply(b"", 307, {"Location": f"{elsewhere.url}/v1/chat/completions"})
        with pytest.raises(GeneratorUnavailable, match="redirect"):
            ask(then(redirect), KEY)
        assert elsewhere.seen == []


@pytest.mark.timeout(30, func_only=True)
def test_nobody_there_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asker_module, "FIRST_WAIT_S", asker_module.LONGEST_WAIT_S)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with Generator(settings(url), None) as client, pytest.raises(GeneratorUnavailable, match="cannot be reached"):
        client.ask(ASK)


@pytest.mark.usefixtures("_quick")
def test_a_server_that_goes_away_in_the_middle_fails_that_question_only() -> None:
    with chat_server() as server:
        client = Generator(settings(server.url, timeout_s=1), None)
        client.ask(ASK)
    with client, pytest.raises(GenerationFailed):
        client.ask(ASK)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"\xff\xfe\x00",
        b'"text"',
        b'{"choices": []}',
        b'{"choices": {"0": 1}}',
        b'{"choices": [{"message": {"content": [1]}}]}',
        b"[" * 100_000,
        b'{"choices": [{"message": {"content": "' + b"x" * asker_module.MAX_ANSWER_BYTES + b'"}}]}',
    ],
)
def test_what_is_no_chat_completion_fails_the_question(body: bytes) -> None:
    with pytest.raises(GenerationFailed):
        ask(then(Reply(body)))


@pytest.mark.parametrize("count", [-1, 1.5, "9", True, None, [], 10**30])
def test_a_count_of_tokens_that_is_none_is_not_believed(count: Any) -> None:
    usage = {"prompt_tokens": count, "completion_tokens": 2}
    assert ask(then(completion(None, usage)))[0] == Answer("", None, 2)


def test_the_key_is_sent_and_never_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        _, seen = ask(then(completion("q")), KEY)
    assert seen[0].headers["authorization"] == f"Bearer {KEY}"
    assert caplog.text
    assert KEY not in caplog.text


@pytest.mark.parametrize("key", ["sk-1\n", "sk 1", "sk-ü"])
def test_a_key_that_no_header_can_hold_is_refused_unseen(key: str) -> None:
    with pytest.raises(GeneratorUnavailable) as caught:
        Generator(settings("http://localhost:1"), key)
    assert key.strip() not in caught.value.detail


def test_a_key_goes_only_where_the_environment_sends_it() -> None:
    keys = {"generation": "g", "openai": "o"}
    assert key_for("http://box:8080/v1", keys, "http://box:8080") == "g"
    assert key_for("http://box:8081/v1", keys, "http://box:8080") is None
    assert key_for("https://box/v1", keys, "http://box/v1") is None
    assert key_for("http://evil.example/v1", keys, None) is None
    assert key_for("https://api.openai.com/v1", keys, None) == "o"
    assert key_for("https://api.openai.com.evil.example/v1", keys, None) is None
    assert key_for("http://api.openai.com/v1", keys, None) is None


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://127.0.0.1:8080/v1", True),
        ("http://[::1]:8080", True),
        ("http://localhost", True),
        ("http://LOCALHOST.:1", True),
        ("http://127.0.0.1.evil.example", False),
        ("http://192.168.1.2", False),
        ("https://api.openai.com/v1", False),
    ],
)
def test_this_machine(url: str, here: bool) -> None:
    assert on_this_machine(url) is here


@pytest.mark.parametrize(
    "url", ["ftp://x", "http://", "x", "http://me:secret@host", "http://h?key=1", "http://h#x", "http://h /"]
)
def test_an_address_that_is_none_or_hides_a_key_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match=r"generation\.base_url"):
        check_overrides({"generation": {"base_url": url}})
