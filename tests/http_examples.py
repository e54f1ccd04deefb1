"""What the tests of the HTTP surface send, and how they read an answer."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import httpx

_KITCHEN = "certificate proxy backup night soup pasta kitchen file"
_CODE = "line list json string number key error function"
WORDS = f"{_KITCHEN} {_CODE}".split()
DOCUMENTS = [
    {"_id": f"notes/{word}.md", "title": f"The {word}", "text": f"How to read and write a {word} by night."}
    for word in WORDS
]
TRAINING = [
    {"query_id": word, "text": f"how do i open the {word}", "judgments": {f"notes/{word}.md": 1}} for word in WORDS[:10]
]
EVALUATION = [
    {"query_id": f"e-{word}", "text": f"what is a {word} for", "judgments": {f"notes/{word}.md": 1, "gone": 1}}
    for word in WORDS[10:]
]
FAST_TRAINING = {"epochs": 1, "cross_encoder": False}


def ndjson(records: Iterable[Any]) -> bytes:
    return "\n".join(map(json.dumps, records)).encode()


def ok(response: httpx.Response, status: int = 200) -> Any:
    """The body of an answer that had better be one."""
    assert response.status_code == status, response.text
    return response.json()


def refused(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem that a request was answered with."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["code"] == code
    assert body["status"] == status
    assert isinstance(body["detail"], str)
    return body
