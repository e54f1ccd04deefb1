"""Whatever the OpenAPI document allows or forbids is sent to a real server, made up by schemathesis: it never breaks.

The same calls every time, a few for each operation. `FUZZ_EXAMPLES=500 pytest tests/contract/api/test_api_fuzz.py`
makes it many.
"""

from __future__ import annotations

import itertools
import json
import os
import unittest
from contextlib import suppress
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable

schemathesis: Any = pytest.importorskip("schemathesis")

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "8"))
# They start minutes of work for a corpus that there is; what they refuse is tried all the same.
LONG = {"/reranker/mine", "/reranker/train", "/reranker/evaluate"}
DESTROYS = {("DELETE", "/corpora/{corpus_id}")}
LIVES_WITH = {"Content-Length", "Transfer-Encoding", "Content-Encoding", "Host", "Connection", "Expect"}

pytestmark = [
    pytest.mark.timeout(600 + EXAMPLES * 60),
    # Its own, of a library it uses.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module")
def operations(client: httpx.Client, corpus: str) -> list[Any]:
    """Every operation of the document as the server gives it out."""
    document = client.get("/openapi.json").json()
    found = [result.ok() for result in schemathesis.openapi.from_dict(document).get_all_operations()]
    assert len(found) > 40
    return found


def sent(case: Any, corpus: str, number: int) -> tuple[str, str, dict[str, Any]]:
    """A made-up call as httpx takes it; every other one of them names the corpus that there is."""
    path_parameters, body = dict(case.path_parameters or {}), case.body
    method, path = case.method.upper(), case.operation.path
    if number % 2 and (method, path) not in DESTROYS:
        path_parameters = {name: corpus if name == "corpus_id" else v for name, v in path_parameters.items()}
        if isinstance(body, dict) and "corpus_id" in body and path not in LONG:
            body = {**body, "corpus_id": corpus}
    for name, value in path_parameters.items():
        path = path.replace("{" + name + "}", str(value)).replace("{" + name + ":path}", str(value))
    raw = body if isinstance(body, bytes) else json.dumps(body, default=repr).encode() if has(body) else b""
    query = {name: value for name, value in (case.query or {}).items() if value is not None}
    headers = {name: value for name, value in (case.headers or {}).items() if plain(str(value)) and plain(name)}
    headers = {name: str(value) for name, value in headers.items() if name.title() not in LIVES_WITH}
    if has(body) and case.media_type:
        headers["Content-Type"] = case.media_type
    return method, path, {"content": raw, "params": query, "headers": headers}


def has(body: Any) -> bool:
    return type(body).__name__ != "NotSet"


def plain(text: str) -> bool:
    """Whether a header may hold it."""
    return text.isascii() and text.isprintable() and text == text.strip() and text != ""


def check(response: httpx.Response, what: str) -> None:
    assert response.status_code < 500, f"{what}: {response.text[:2000]}"
    if response.headers.get("content-type") != "application/zip":
        response.content.decode("utf-8")
    if response.status_code >= 400:
        assert response.headers["content-type"] == "application/problem+json", what
        problem = response.json()
        assert isinstance(problem["detail"], str), what
        assert problem["code"], what


def fuzz(operation: Any, mode: str, client: httpx.Client, corpus: str) -> int:
    """Call one operation in many ways; how many it were. Some cannot be called wrongly: then none."""
    count = itertools.count()

    @seed(1)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=schemathesis.GenerationMode[mode]))
    def call(case: Any) -> None:
        method, path, options = sent(case, corpus, next(count))
        try:
            response = client.request(method, path, **options)
        except (httpx.InvalidURL, UnicodeEncodeError):
            return  # no client could send it
        check(response, f"{method} {path} {options}")

    with suppress(Unsatisfiable, unittest.SkipTest):
        call()
    return next(count)


@pytest.mark.parametrize("mode", ["POSITIVE", "NEGATIVE"])
def test_nothing_that_can_be_sent_breaks_the_server(
    mode: str, operations: list[Any], client: httpx.Client, corpus: str
) -> None:
    tried = [fuzz(operation, mode, client, corpus) for operation in operations]
    called = sum(count > 0 for count in tried)
    assert called >= (len(operations) if mode == "POSITIVE" else 0.7 * len(operations)), tried
