"""A client of models that judge, in the three shapes that there are: chat completions, `POST /v1/decisions` (OpenAI's
decision models) and `POST /v1/systemone` (TypeSafe's, and servers that speak as they do).

Decision models answer with the probability of each grade, and the grade is its mean; what chat writes is read as
JSON, whatever stands around it. A grade that cannot be read is one that was not given.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tribrid.cloud.asker import JUDGING, Answer, Asker, count_of
from tribrid.cloud.generator import COMPLETIONS, completion_body, read_completion
from tribrid.config.asked import JudgingConfig
from tribrid.errors import JudgeFailed
from tribrid.mining.judge import LEVELS, TOP_GRADE, Given, Question

REASON_CHARS = 300
_LEAST_SUM = 0.5
"""Probabilities are rounded by some servers; of less than this in all something is missing."""
_THOUGHT = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL | re.IGNORECASE)
_LONGEST_CHARS = 200_000

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Judged(Answer):
    """An answer with what it says of each document of the question, in their order; None of what it does not say."""

    given: tuple[Given | None, ...]


@dataclass(frozen=True, slots=True)
class _Shape:
    """How one kind of server is asked. `read`: what an answer says of each name; None where it is no such answer."""

    path: str
    wanted: str
    body: Callable[[JudgingConfig, Question], dict[str, object]]
    read: Callable[[bytes, Question], tuple[Answer, dict[str, Given]] | None]


class Judge:
    """See the module. Safe for threads; close it, or use it in a `with`."""

    def __init__(self, config: JudgingConfig, key: str | None) -> None:
        """As `Asker`."""
        self._shape, self._config = _SHAPES[config.protocol], config
        self._asker = Asker(JUDGING, config, self._shape.path, key)

    def __enter__(self) -> Judge:
        return self

    def __exit__(self, *_: object) -> None:
        self._asker.close()

    def ask(self, question: Question) -> Judged:
        """One answer, in which at least one document is graded.

        Raises:
            JudgeUnavailable, JudgeFailed: as `Asker.ask`; JudgeFailed also where no grade can be read.
        """
        shape = self._shape
        body = shape.body(self._config, question)
        answer, found = self._asker.ask(body, lambda content: shape.read(content, question), shape.wanted)
        if not found:
            raise JudgeFailed(f"{self._asker.host} answered without a grade that can be read.")
        given = tuple(found.get(name) for name in question.names)
        return Judged(answer.text, answer.prompt_tokens, answer.output_tokens, given)


def _chat_body(config: JudgingConfig, question: Question) -> dict[str, object]:
    return completion_body(
        config,
        [
            {"role": "system", "content": f"{question.task}{question.form}"},
            {"role": "user", "content": question.shown},
        ],
    )


def _read_chat(content: bytes, question: Question) -> tuple[Answer, dict[str, Given]] | None:
    answer = read_completion(content)
    return None if answer is None else (answer, _written(answer.text, question))


def _written(text: str, question: Question) -> dict[str, Given]:
    """The grades in what a model wrote; of a document that it graded twice, and not the same, none."""
    found: dict[str, Given | None] = {}
    for row in _rows(_THOUGHT.sub("", text[:_LONGEST_CHARS])):
        name, grade = str(row.get("document", "")).strip(), _grade(row.get("grade"))
        if name in question.names and grade is not None:
            given = Given(grade, _one_line(row.get("reason")))
            known = found.setdefault(name, given)
            found[name] = known if known is not None and known.grade == grade else None
    return {name: given for name, given in found.items() if given is not None}


def _rows(text: str) -> list[Json]:
    """The entries of the JSON in a text, from its first brace to its last."""
    parsed = _json(text[text.find("{") : text.rfind("}") + 1])
    rows = parsed.get("grades") if isinstance(parsed, dict) else None
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _decisions_body(config: JudgingConfig, question: Question) -> dict[str, object]:
    levels = [{"label": str(grade), "description": said} for grade, said in enumerate(LEVELS)]
    asked = [
        {"type": "score", "name": name, "instructions": _instructions(name), "levels": levels}
        for name in question.names
    ]
    return {"model": config.model, "input": f"{question.task}\n{question.shown}", "questions": asked}


def _read_decisions(content: bytes, question: Question) -> tuple[Answer, dict[str, Given]] | None:
    body = _json(content)
    answers = body.get("answers") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not isinstance(answers, list):
        return None
    found: dict[str, Given] = {}
    for name, given in zip(question.names, answers, strict=False):  # they come in the order of the questions
        if isinstance(given, dict) and given.get("name") in (None, name):
            found |= _scored(name, given, _by_label(given.get("probabilities")))
    return _usage(content, body), found


def _by_label(probabilities: object) -> dict[str, object]:
    rows = probabilities if isinstance(probabilities, list) else []
    return {str(row.get("label")): row.get("probability") for row in rows if isinstance(row, dict)}


def _systemone_body(config: JudgingConfig, question: Question) -> dict[str, object]:
    asked = {
        name: {"type": "score", "instructions": _instructions(name), "criteria": list(LEVELS)}
        for name in question.names
    }
    return {"model": config.model, "state": f"{question.task}\n{question.shown}", "questions": asked}


def _read_systemone(content: bytes, question: Question) -> tuple[Answer, dict[str, Given]] | None:
    body = _json(content)
    answers = body.get("answers") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not isinstance(answers, dict):
        return None
    found: dict[str, Given] = {}
    for name in question.names:
        given = answers.get(name)
        if isinstance(given, dict):
            probabilities = given.get("probabilities")
            found |= _scored(name, given, probabilities if isinstance(probabilities, dict) else {})
    return _usage(content, body), found


def _scored(name: str, given: Json, probabilities: Mapping[str, object]) -> dict[str, Given]:
    """The mean of the grades under their probabilities; nothing where these are none, or the model refuses."""
    each = [_share(probabilities.get(str(grade))) for grade in range(TOP_GRADE + 1)]
    shares = [share for share in each if share is not None]
    total = sum(shares)
    if given.get("type") != "score" or len(shares) != len(each) or total <= _LEAST_SUM:
        return {}
    mean = sum(grade * share for grade, share in enumerate(shares)) / total
    return {name: Given(mean, "probabilities " + ", ".join(f"{g}: {p:.2f}" for g, p in enumerate(shares)))}


def _share(value: object) -> float | None:
    grade = _grade(value)
    return grade if grade is not None and grade <= 1 else None


def _usage(content: bytes, body: Json) -> Answer:
    usage = body.get("usage")
    used = usage if isinstance(usage, dict) else {}
    # What decision models write is free of charge.
    return Answer(content.decode("utf-8", "replace"), count_of(used.get("input_tokens")), 0)


def _instructions(name: str) -> str:
    return f"How good is the document {name} for who asked the query?"


def _grade(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) and 0 <= value <= TOP_GRADE else None


def _one_line(value: object) -> str:
    text = value if isinstance(value, str) else ""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:REASON_CHARS]


def _json(text: str | bytes) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


_SHAPES: Mapping[str, _Shape] = {
    "chat": _Shape(COMPLETIONS, "a chat completion", _chat_body, _read_chat),
    "decisions": _Shape("decisions", "decisions", _decisions_body, _read_decisions),
    "systemone": _Shape("systemone", "answers of System One", _systemone_body, _read_systemone),
}
