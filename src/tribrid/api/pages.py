"""Where the pages for people are, beside the routes for programs, and what of them needs no key."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

HOME, PREFIX = "/", "/studio/"
SIGN_IN, STATIC = "/studio/sign-in", "/studio/static/"


def is_page(path: str) -> bool:
    """Whether a path is one of the pages', where a session will do instead of a key."""
    return path == HOME or path.startswith(PREFIX)


def is_open_page(path: str) -> bool:
    """Whether somebody may see it before he has signed in."""
    return path == SIGN_IN or path.startswith(STATIC)


class Pages(NamedTuple):
    """The pages as the server takes them: what answers below their paths, and how an error of theirs looks."""

    app: ASGIApp
    refusal: Callable[[Request, dict[str, object]], Response]
