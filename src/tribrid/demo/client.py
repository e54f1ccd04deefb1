"""HTTP as any client speaks it, with the server's problems turned back into the errors they are."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import httpx

from tribrid.demo.server import Server
from tribrid.errors import Failed, from_problem
from tribrid.types import Document

Json = dict[str, Any]


class Client:
    """The routes the demo needs, on one server. Every method raises TribridError as the server's problem says."""

    def __init__(self, server: Server) -> None:
        self._server = server
        # No limit of time: the server is on this machine, and its connections end when it does.
        self._http = httpx.Client(base_url=server.url, headers=server.headers, timeout=httpx.Timeout(None))

    def close(self) -> None:
        self._http.close()

    def get(self, path: str, **params: object) -> Json:
        return self._answer("GET", path, params=params)

    def text(self, path: str, **params: object) -> str:
        """An answer that is a text, such as a page."""
        response = self._response("GET", path, params=params)
        if response.is_error:
            raise from_problem(_parsed(response))
        return response.text

    def post(self, path: str, body: Mapping[str, Any]) -> Json:
        return self._answer("POST", path, json=body)

    def put(self, path: str, body: Mapping[str, Any]) -> Json:
        return self._answer("PUT", path, json=body)

    def delete(self, path: str) -> None:
        self._answer("DELETE", path)

    def put_documents(self, corpus_id: str, documents: Iterable[Document]) -> Json:
        """Upsert the documents as NDJSON."""
        lines = [
            json.dumps({"doc_id": document.doc_id, "title": document.title, "text": document.text})
            for document in documents
        ]
        kind = {"Content-Type": "application/x-ndjson"}
        return self._answer("POST", f"/corpora/{corpus_id}/documents", content="\n".join(lines), headers=kind)

    def events(self, run_id: str, after_seq: int) -> Iterator[Json]:
        """A training run's events as they come, to its end or to the connection's."""
        path = f"/reranker/train/run/{run_id}/metrics"
        try:
            with self._http.stream("GET", path, params={"after_seq": after_seq}) as response:
                if response.is_error:
                    response.read()
                    raise from_problem(_parsed(response))
                for line in response.iter_lines():
                    if line.strip():
                        event: Json = json.loads(line)
                        yield event
        except httpx.TransportError:
            # Events are stored: whoever asks again with the last seq misses nothing.
            self._server.check()

    def _response(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            return self._http.request(method, path, **options)
        except httpx.TransportError as error:
            self._server.check()
            raise Failed(f"{method} {path}: {type(error).__name__}: {error}") from error

    def _answer(self, method: str, path: str, **options: Any) -> Json:
        response = self._response(method, path, **options)
        body = _parsed(response) if response.content else {}
        if response.is_error:
            raise from_problem(body)
        if body.get("status") in ("failed", "interrupted") and "problem" in body:
            raise from_problem(body["problem"])
        return body


def _parsed(response: httpx.Response) -> Json:
    try:
        body: Json = response.json()
    except ValueError as error:
        raise Failed(f"{response.request.url}: answered {response.status_code} with no JSON.") from error
    return body
