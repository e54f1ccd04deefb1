"""Log lines: whose request they are of, and that no exception's message is in them."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tribrid.errors import ScorerFailed
from tribrid.observing import FIELDS, Lines, note, request_id, stage, timed, watched

MARKER = "what somebody searched for"


def record(message: str = "It failed.", **extra: object) -> logging.LogRecord:
    made = logging.makeLogRecord({"name": "tribrid.x", "levelname": "ERROR", "levelno": 40, "msg": message, **extra})
    made.exc_info = sys.exc_info()
    return made


def failed() -> logging.LogRecord:
    try:
        try:
            raise ValueError(f"cannot parse {MARKER!r}")
        except ValueError as error:
            raise ScorerFailed(f"It failed on {MARKER}: {error}") from error
    except ScorerFailed:
        return record()


@pytest.mark.parametrize("as_json", [True, False])
def test_an_exceptions_words_stay_out_of_the_log(as_json: bool) -> None:
    line = Lines(as_json=as_json).format(failed())
    assert MARKER not in line
    assert "ScorerFailed" in line
    assert "caused by builtins.ValueError" in line
    assert "test_observing.py" in line


def test_the_systems_own_words_stay() -> None:
    try:
        raise FileNotFoundError(2, "x", MARKER)
    except FileNotFoundError:
        line = Lines().format(record())
    assert "No such file or directory" in line
    assert MARKER not in line


def test_an_exception_that_causes_itself_ends() -> None:
    error = ValueError()
    error.__cause__ = error
    try:
        raise error
    except ValueError:
        assert Lines().format(record())


def test_a_line_is_one_json_object_that_names_its_request() -> None:
    token = request_id.set("abc-1")
    try:
        line = Lines(as_json=True).format(record("GET\n/x", **{FIELDS: {"status": 200}}))
    finally:
        request_id.reset(token)
    assert "\n" not in line
    read = json.loads(line)
    assert read.items() >= {"message": "GET\n/x", "level": "error", "status": 200, "request_id": "abc-1"}.items()
    assert "request_id" not in json.loads(Lines(as_json=True).format(record()))


class Heard:
    def __init__(self) -> None:
        self.said: list[str] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self.said.append(name)
        yield

    def note(self, name: str, value: str) -> None:
        self.said.append(f"{name}={value}")


def test_work_is_heard_by_who_watches_and_by_nobody_else() -> None:
    @timed("score")
    def work() -> int:
        with stage("read"):
            note("fallback", "x")
        return 1

    heard = Heard()
    with watched(heard):
        assert work() == 1
    work()
    assert heard.said == ["score", "read", "fallback=x"]
