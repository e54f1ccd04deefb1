"""The forms of the pages: read whole, no longer than they may be, and only from a page of this server.

A form holds a token that was made for the cookie it comes with (see sessions.py), and the browser must not say that
another site sent it. Files come as browsers send them, to temporary files that are gone after the request.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Annotated
from urllib.parse import parse_qsl

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect

from tribrid.api.limits import MIB, max_upload_bytes, whole_body
from tribrid.api.sessions import COOKIE, Sessions
from tribrid.errors import Forbidden, InvalidInput, TooLarge

TOKEN = "form_token"
MAX_FORM_BYTES, MAX_FIELDS, MAX_FILES = MIB, 1000, 1000
_OURS = ("same-origin", "none")


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of a form: its name, without folders, and its content."""

    name: str
    content: IO[bytes]


@dataclass(frozen=True, slots=True)
class Form:
    """What was filled in: fields by name, files in the order they came."""

    fields: Mapping[str, Sequence[str]] = field(default_factory=dict)
    files: Sequence[Upload] = ()

    def text(self, name: str) -> str:
        """A field without space around it; empty where it is missing."""
        return next(iter(self.fields.get(name, ())), "").strip()

    def whole(self, name: str) -> str:
        """A field as it is."""
        return next(iter(self.fields.get(name, ())), "")

    def texts(self, name: str) -> list[str]:
        """All that was chosen under a name."""
        return list(self.fields.get(name, ()))


async def _read(request: Request) -> AsyncIterator[Form]:
    if request.method != "POST":
        yield Form()
        return
    if request.headers.get("sec-fetch-site", "none") not in _OURS:
        raise Forbidden("This form was sent by another site.")
    if not request.headers.get("content-type", "").startswith("multipart/"):
        raw = await whole_body(request, MAX_FORM_BYTES)
        yield _checked(request, Form(_fields(raw)))
        return
    await _check_size(request)
    try:
        # Starlette reads the body as it comes; a file past 1 MiB goes to disk.
        async with request.form(max_files=MAX_FILES, max_fields=MAX_FIELDS) as sent:
            fields: dict[str, list[str]] = {}
            files = []
            for name, value in sent.multi_items():
                if isinstance(value, UploadFile):
                    files += [Upload(_file_name(value.filename), value.file)] if value.filename else []
                else:
                    fields.setdefault(name, []).append(value)
            yield _checked(request, Form(fields, files))
    except (ClientDisconnect, MultiPartException) as error:
        raise InvalidInput("The upload broke off, or is no form; nothing of it was taken.") from error


async def _check_size(request: Request) -> None:
    most = await run_in_threadpool(max_upload_bytes, request.app.state.tribrid)
    declared = request.headers.get("content-length", "")
    if not declared.isdecimal():
        raise HTTPException(411, "Say how long the upload is (Content-Length).")
    if int(declared) > most:
        raise TooLarge(f"The upload is longer than {most:,} bytes (serving.max_upload_mb). Send it in parts.")


def _fields(raw: bytes) -> dict[str, list[str]]:
    try:
        pairs = parse_qsl(raw.decode(), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise InvalidInput("The form cannot be read: it is no UTF-8, or has too many fields.") from error
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def _file_name(name: str | None) -> str:
    return (name or "").replace("\\", "/").strip("/")


def _checked(request: Request, form: Form) -> Form:
    sessions: Sessions = request.app.state.sessions
    if not sessions.is_form_token(request.cookies.get(COOKIE, ""), form.whole(TOKEN)):
        raise Forbidden(
            "This form is out of date: its page was opened before the server was started again, or before you signed "
            "in or out. Open the page again, and send it from there."
        )
    return form


Posted = Annotated[Form, Depends(_read)]
"""A form that may be acted on; of a GET, an empty one."""
posted = Depends(_read)
"""The same for every route of an app, so that none can leave it out."""
