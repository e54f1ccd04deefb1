"""A small real server that speaks OpenAI's chat completions, on loopback; its answer is a function of the question."""

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
