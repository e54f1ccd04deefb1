"""What a process tells of its work: how long each stage took, what should be counted, and log lines that name the
request they belong to.

Work says `stage("retrieve")` and knows nothing of who listens. Nobody does, unless the process put a watch around it.

A log line never holds what was searched for. Messages are written by us and name ids; the message of an exception is
anybody's, and may quote its input, so of an exception a line has its type and where it happened, and no more.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import wraps
from typing import ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
MOST_FRAMES = 40
FIELDS = "fields"
"""The `extra` of a log call that holds further facts: `log.info("...", extra={FIELDS: {"status": 200}})`."""

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""Of the request that is being answered."""


class Watch(Protocol):
    """Who listens."""

    def stage(self, name: str) -> AbstractContextManager[None]:
        """Around a stage of the work."""

    def note(self, name: str, value: str) -> None:
        """Something that should be counted happened; `value` is one of few."""


_watch: ContextVar[Watch | None] = ContextVar("watch", default=None)


@contextmanager
def watched(watch: Watch) -> Iterator[None]:
    """Let this watch hear what happens in the block, and in the threads that are started for it with its context."""
    token = _watch.set(watch)
    try:
        yield
    finally:
        _watch.reset(token)


@contextmanager
def stage(name: str) -> Iterator[None]:
    """A stage of the work."""
    watch = _watch.get()
    if watch is None:
        yield
        return
    with watch.stage(name):
        yield


def timed(name: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Make every call of a function a stage."""

    def wrap(function: Callable[P, T]) -> Callable[P, T]:
        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            with stage(name):
                return function(*args, **kwargs)

        return call

    return wrap


def note(name: str, value: str) -> None:
    """Say that something happened that should be counted.

    Args:
        value: its kind, one of few: it becomes a label.
    """
    watch = _watch.get()
    if watch is not None:
        watch.note(name, value)


class Lines(logging.Formatter):
    """Log records as lines: JSON objects for programs, or text for people."""

    def __init__(self, *, as_json: bool = False) -> None:
        super().__init__()
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        fields = dict(getattr(record, FIELDS, {}))
        if (current := request_id.get()) is not None:
            fields.setdefault("request_id", current)
        message = record.getMessage()
        trace = where(record.exc_info[1]) if record.exc_info and record.exc_info[1] else None
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        if self._as_json:
            line = {"at": at, "level": record.levelname.lower(), "logger": record.name, "message": message, **fields}
            return json.dumps(line | ({"trace": trace} if trace else {}), ensure_ascii=False, default=str)
        said = " ".join([f"{at} {record.levelname} {record.name}: {message}", *(f"{k}={v}" for k, v in fields.items())])
        return "\n".join([said, *(trace or [])])


def where(error: BaseException) -> list[str]:
    """An exception, and what caused it, as lines: types and places, never messages."""
    told: list[str] = []
    current: BaseException | None = error
    seen: set[int] = set()
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        kind = type(current)
        # The system's own words for its own errors hold nothing of ours.
        reason = f": {os.strerror(current.errno)}" if isinstance(current, OSError) and current.errno else ""
        told.append(f"{'caused by ' if told else ''}{kind.__module__}.{kind.__qualname__}{reason}")
        frames = traceback.extract_tb(current.__traceback__)[-MOST_FRAMES:]
        told += [f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}' for frame in frames]
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return told


def log_to_stderr(log_format: str, log_level: str) -> None:
    """Let every line of this process go to stderr in one form, those of libraries (from warnings on) too.

    Args:
        log_format: "text" or "json".
        log_level: of Tribrid's own lines.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines(as_json=log_format == "json"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.captureWarnings(True)
    logging.getLogger("tribrid").setLevel(log_level.upper())
    logging.getLogger("uvicorn").setLevel(logging.INFO)
