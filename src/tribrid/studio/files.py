"""What pages load beside themselves: a style sheet, and scripts that none of them needs. Nothing is from elsewhere.

An address holds the hash of the file, so a browser may keep it for ever.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files

from fastapi import APIRouter
from starlette.responses import Response

from tribrid.api.pages import STATIC
from tribrid.errors import NotFound

router = APIRouter()
_TYPES = {
    "studio.css": "text/css; charset=utf-8",
    "studio.js": "text/javascript; charset=utf-8",
    "htmx.min.js": "text/javascript; charset=utf-8",
    "htmx.LICENSE.txt": "text/plain; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
_FOR_EVER = "public, max-age=31536000, immutable"
_DIGITS = 12


@cache
def content(name: str) -> bytes:
    """A file's bytes."""
    return files("tribrid.studio").joinpath("static", name).read_bytes()


@cache
def address(name: str) -> str:
    """Where a page loads the file from."""
    return f"{STATIC}{name}?v={hashlib.sha256(content(name)).hexdigest()[:_DIGITS]}"


@router.get(f"{STATIC}{{name}}", name="static")
def static(name: str) -> Response:
    """A file."""
    if name not in _TYPES:
        raise NotFound(f"There is no file {name!r}.")
    headers = {"Cache-Control": _FOR_EVER, "X-Content-Type-Options": "nosniff"}
    return Response(content(name), media_type=_TYPES[name], headers=headers)
