"""A small real server on loopback that speaks what pulling asks of two engines: OpenSearch's scroll over an index, and
Qdrant's over a collection. Both hand out `PAGE` at a time, whatever they are asked for.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Json = dict[str, Any]
PAGE = 2


class EngineServer:
    """What it holds, and what it was asked.

    Attributes:
        held: by index or collection: id → fields.
        scrolls: those that were begun and not let go of.
        failing: the request, counted from 1, to which not all shards answer.
    """

    def __init__(self, url: str, held: Mapping[str, dict[Any, Json]], wanted: Mapping[str, str]) -> None:
        self.url, self.held, self.wanted = url, held, wanted
        self.scrolls: dict[str, list[Json]] = {}
        self.asked: list[tuple[str, Json]] = []
        self.failing = 0

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: Json) -> tuple[int, Json]:
        self.asked.append((f"{method} {path}", body))
        if any(headers.get(name) != value for name, value in self.wanted.items()):
            return 401, {"error": "who are you?"}
        if path.startswith("/collections/"):
            return self._points(path.split("/")[2], body)
        if path.startswith("/_search/scroll"):
            return self._scrolled(method, body)
        name = re.fullmatch(r"/([^/]+)/_search\?scroll=5m", path)
        indices = name[1].split(",") if name else []
        if not indices or not self.held.keys() >= set(indices):
            return 404, {"error": {"type": "index_not_found_exception"}}
        self.scrolls["a=="] = [hit for index in indices for hit in self._found(self.held[index], body["query"])]
        return self._scrolled("POST", {"scroll_id": "a=="})

    def _found(self, held: dict[Any, Json], query: Json) -> list[Json]:
        found = list(held.items())
        if "range" in query:
            ((field, bounds),) = query["range"].items()
            found = [(name, fields) for name, fields in found if fields[field] >= bounds["gte"]]
        return [{"_id": name, "_source": fields} for name, fields in found]

    def _scrolled(self, method: str, body: Json) -> tuple[int, Json]:
        if method == "DELETE":
            for scroll_id in body["scroll_id"]:
                del self.scrolls[scroll_id]
            return 200, {"succeeded": True}
        left = self.scrolls[body["scroll_id"]]
        page, left[:] = left[:PAGE], left[PAGE:]
        failed = int(len(self.asked) == self.failing)
        shards = {"total": 2, "successful": 2 - failed, "failed": failed}
        hits = {"hits": page}
        return 200, {"_scroll_id": body["scroll_id"], "timed_out": False, "_shards": shards, "hits": hits}

    def _points(self, name: str, body: Json) -> tuple[int, Json]:
        if name not in self.held:
            return 404, {"status": {"error": "Not found: no such collection"}}
        every = sorted(self.held[name].items())
        for condition in body.get("filter", {}).get("must", ()):
            every = [(n, f) for n, f in every if f[condition["key"]] >= condition["range"]["gte"]]
        rest = [(n, fields) for n, fields in every if n >= body.get("offset", 0)]
        points = [{"id": n, "payload": fields} for n, fields in rest[:PAGE]]
        following = rest[PAGE][0] if len(rest) > PAGE else None
        return 200, {"result": {"points": points, "next_page_offset": following}, "status": "ok", "time": 0.0}


@contextmanager
def engine_server(
    held: Mapping[str, dict[Any, Json]], wanted: Mapping[str, str] | None = None
) -> Iterator[EngineServer]:
    """A server on a free port, until the block ends.

    Args:
        wanted: headers, by their names in lower case, without which nothing is answered.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, found = engine.answer(self.command, self.path, headers, body)
            content = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_DELETE = do_POST

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    engine = EngineServer(f"http://127.0.0.1:{server.server_address[1]}", held, wanted or {})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield engine
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
