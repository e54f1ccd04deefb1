"""A small real server on loopback that speaks OpenAI's chat completions and the two shapes of decision models; its
answer is a function of the question.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Reply:
    """One raw answer."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Seen:
    """One question as it came in."""

    path: str
    headers: dict[str, str]
    body: Json

    @property
    def passage(self) -> str:
        """The text between the tags."""
        content = str(self.body["messages"][-1]["content"])
        return re.sub(r"</?passage-[0-9a-f]+>", "", content).strip()

    @property
    def judged(self) -> tuple[str, dict[str, str]]:
        """The query, and the documents by name in the order in which they are shown, whichever shape asks."""
        chat = self.body["messages"][-1]["content"] if "messages" in self.body else None
        content = str(chat or self.body.get("input") or self.body.get("state"))
        tagged = re.findall(r"<(\w+)-([0-9a-f]{8})>\n(.*?)\n</\1-\2>", content, re.DOTALL)
        (_, _, query), *documents = tagged
        return query, {name: text for name, _, text in documents}


Says = Callable[[Seen, int], Reply]
"""From a question and how many came before it, to the answer."""


def completion(text: str | None, usage: Json | None = None) -> Reply:
    """A well-formed answer."""
    body: Json = {
        "id": "c",
        "object": "chat.completion",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
    }
    return Reply(json.dumps(body | ({"usage": usage} if usage else {})).encode())


def own_words(seen: Seen, _before: int) -> Reply:
    """Two queries of the passage's own longest words, numbered as chatty models do; 100 tokens read, 20 written."""
    words = sorted({*re.findall(r"\w{4,}", seen.passage.lower())}, key=lambda word: (-len(word), word))
    text = f"Here are the queries:\n1. {' '.join(words[:4])}\n2. {' '.join(words[2:6])}"
    return completion(text, {"prompt_tokens": 100, "completion_tokens": 20})


Grades = Callable[[str, str, int], float | None]
"""From query, document and its place in the list (from 0) to a grade; None for one that it leaves out."""


def judge(grades: Grades) -> Says:
    """A judge in the shape in which it is asked; 100 tokens read for a document, 10 written."""

    def says(seen: Seen, _before: int) -> Reply:
        query, documents = seen.judged
        found = {name: grades(query, text, place) for place, (name, text) in enumerate(documents.items())}
        given = {name: grade for name, grade in found.items() if grade is not None}
        read, written = 100 * len(documents), 10 * len(documents)
        if "messages" in seen.body:
            rows = [{"document": name, "reason": f"as {name} says", "grade": grade} for name, grade in given.items()]
            text = f"<think>hm</think>Here it is:\n```json\n{json.dumps({'grades': rows})}\n```"
            return completion(text, {"prompt_tokens": read, "completion_tokens": written})
        usage = {"input_tokens": read, "output_tokens": written}
        scores = {name: _score(name, seen.path, given.get(name)) for name in documents}
        answers = list(scores.values()) if seen.path.endswith("/decisions") else scores
        return Reply(json.dumps({"model": "m", "answers": answers, "usage": usage}).encode())

    return says


def _score(name: str, path: str, grade: float | None) -> Json:
    """One answer of a decision model: sure of a whole grade, torn between the two beside another."""
    decisions = path.endswith("/decisions")
    named = {"name": name} if decisions else {}
    if grade is None:
        return {**named, "type": "refusal"}
    shares = [max(0.0, 1 - abs(grade - level)) for level in range(4)]
    told: Any = {str(level): share for level, share in enumerate(shares)}
    if decisions:
        told = [{"label": label, "probability": share, "value": int(label)} for label, share in told.items()]
    return {**named, "type": "score", "score": grade, "confidence": max(shares), "probabilities": told}


class ChatServer:
    """Where it listens, and what it was asked."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.seen: list[Seen] = []


@contextmanager
def chat_server(says: Says = own_words) -> Iterator[ChatServer]:
    """A server on a free port, until the block ends."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("content-length", 0))
            seen = Seen(self.path, {k.lower(): v for k, v in self.headers.items()}, json.loads(self.rfile.read(length)))
            with lock:
                before = len(chat.seen)
                chat.seen.append(seen)
            reply = says(seen, before)
            self.send_response(reply.status)
            for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    chat = ChatServer(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield chat
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
