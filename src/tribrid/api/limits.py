"""How a body is read, and how much of it: JSON whole and strictly, uploads to a file, both no further than their limit.

A route that takes a pydantic body is a `JsonRoute`. A route that takes judgments reads `whole_body`. A route that takes
records reads `upload`: to a file, not as a stream into the index, because a client (httpx gives up after 5 s) must be
able to send as fast as it likes while embedding is slow, and because an upload that breaks off must leave nothing.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import IO, Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from tribrid.api.strictjson import parse_json
from tribrid.app import Tribrid
from tribrid.errors import InvalidInput, TooLarge, Unavailable

MIB = 1 << 20
MAX_JSON_BYTES = MIB
MAX_JUDGMENTS_BYTES = 64 * MIB
# A run is read before the first byte of the answer, for which httpx waits 5 s: some 800,000 lines take half of that.
MAX_RUNS_BYTES = 32 * MIB
# An array is parsed whole; NDJSON line by line.
MAX_ARRAY_BYTES = 64 * MIB
WRITE_BYTES = MIB
_PARSE_IN_LOOP_BYTES = 16 * 1024
# Types of HTML forms: a mistake here, never records. `curl -d` sends the second, and takes the line ends away.
_REFUSED_TYPES = ("multipart/", "application/x-www-form-urlencoded")


class _StrictRequest(Request):
    max_bytes = MAX_JSON_BYTES

    async def body(self) -> bytes:
        if not hasattr(self, "_body"):
            self._body = await whole_body(self, self.max_bytes)
        return self._body

    async def json(self) -> Any:
        raw = await self.body()
        return parse_json(raw) if len(raw) <= _PARSE_IN_LOOP_BYTES else await run_in_threadpool(parse_json, raw)


class _LargeRequest(_StrictRequest):
    max_bytes = MAX_RUNS_BYTES


class JsonRoute(APIRoute):
    """A route whose body is small JSON: at most `MAX_JSON_BYTES`, read by `parse_json`."""

    request_class: type[_StrictRequest] = _StrictRequest

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handle(self.request_class(request.scope, request.receive))

        return strict


class LargeJsonRoute(JsonRoute):
    """The same for a body that may hold whole files as text: at most `MAX_RUNS_BYTES`."""

    request_class = _LargeRequest


def max_upload_bytes(tribrid: Tribrid) -> int:
    """How long an upload of documents or logs may be: the setting serving.max_upload_mb."""
    return tribrid.folder.config().serving.max_upload_mb * MIB


async def whole_body(request: Request, max_bytes: int) -> bytes:
    """The request's body, in memory.

    Raises:
        HTTPException: 413, it is longer; 415, it is compressed.
    """
    # HTTPException, because FastAPI turns any other error from the body of a JsonRoute into one that says nothing.
    return b"".join([chunk async for chunk in _chunks(request, max_bytes)])


async def upload(request: Request, max_bytes: int, folder: Path) -> IO[bytes]:
    """The request's body as an open file without a name, at its start: whatever happens, nothing of it stays behind.

    Raises:
        HTTPException: 413, it is longer; 415, it is compressed, or a form.
        InvalidInput: it is empty, or breaks off.
        TooLarge: it is a JSON array longer than `MAX_ARRAY_BYTES`.
        Unavailable: the disk does not take it.
    """
    kind = request.headers.get("content-type", "").lower()
    if kind.startswith(_REFUSED_TYPES):
        raise HTTPException(415, "Send the records as the body itself (curl --data-binary @file), not as a form.")
    try:
        file: IO[bytes] = await run_in_threadpool(tempfile.TemporaryFile, dir=folder)
    except OSError as error:
        raise _not_stored(error) from error
    try:
        await _write(request, max_bytes, file)
        await run_in_threadpool(_check, file)
    except BaseException as error:
        file.close()
        if isinstance(error, ClientDisconnect):
            raise InvalidInput("The upload broke off; nothing of it was taken.") from error
        if isinstance(error, OSError):
            raise _not_stored(error) from error
        raise
    return file


def _not_stored(error: OSError) -> Unavailable:
    return Unavailable(
        f"The upload cannot be stored: {error.strerror}. See to it that the data folder can be written and has space, "
        "then send it again."
    )


async def _write(request: Request, max_bytes: int, file: IO[bytes]) -> None:
    held: list[bytes] = []
    size = 0
    async for chunk in _chunks(request, max_bytes):
        held.append(chunk)
        size += len(chunk)
        if size >= WRITE_BYTES:
            await run_in_threadpool(file.writelines, held)
            held, size = [], 0
    await run_in_threadpool(file.writelines, held)


def _check(file: IO[bytes]) -> None:
    size = file.tell()
    file.seek(0)
    start = file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
    if not start and size <= 4096:
        raise InvalidInput("The body is empty. Send one JSON object a line (NDJSON), or a JSON array of them.")
    if start.startswith(b"[") and size > MAX_ARRAY_BYTES:
        raise TooLarge(
            f"A JSON array is read whole and may have {MAX_ARRAY_BYTES // MIB} MiB. Send one object a line (NDJSON) "
            "instead: that has no such limit.",
            max_bytes=MAX_ARRAY_BYTES,
        )
    file.seek(0)


async def _chunks(request: Request, max_bytes: int) -> AsyncIterator[bytes]:
    encoding = request.headers.get("content-encoding", "identity").lower()
    if encoding != "identity":
        raise HTTPException(415, f"Bodies are taken as they are, not with Content-Encoding: {encoding[:50]}.")
    declared = request.headers.get("content-length", "")
    size = int(declared) if declared.isdecimal() else 0
    if size > max_bytes:
        raise _too_large(max_bytes)
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > max_bytes:
            raise _too_large(max_bytes)
        yield chunk


def _too_large(max_bytes: int) -> HTTPException:
    return HTTPException(413, f"The body is longer than this route takes: {max_bytes:,} bytes. Send it in parts.")
