"""Who may call. With an API key: whoever sends it. Without one: programs on this machine, but no web page.

A server without a key listens on loopback, which every page in the user's browser can reach too: it may send forms to
localhost, or point a name of its own at 127.0.0.1. So without a key, requests that name another host, or that come from
a page of another host, are refused.
"""

from __future__ import annotations

import hmac
import ipaddress
from urllib.parse import urlsplit

from starlette.requests import Request

from tribrid.errors import Unauthorized

OPEN_PATHS = frozenset({"/health"})


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's own, by its form alone: no name is looked up."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() in ("localhost", "localhost.")


class Guard:
    """Lets a request pass, or raises."""

    def __init__(self, api_key: str | None) -> None:
        self._key = api_key.encode() if api_key else None

    def check(self, request: Request) -> None:
        """Pass, in the same time whatever key was sent.

        Raises:
            Unauthorized: the key is wrong or missing; or there is none and the request is not this machine's own.
        """
        if request.url.path in OPEN_PATHS:
            return
        if self._key is not None:
            scheme, _, sent = request.headers.get("authorization", "").partition(" ")
            # Headers are decoded as latin-1: so the bytes are those that were sent.
            if scheme.lower() != "bearer" or not hmac.compare_digest(sent.strip().encode("latin-1"), self._key):
                raise Unauthorized("This server wants its API key: send the header Authorization: Bearer <key>.")
            return
        origin = request.headers.get("origin")
        for name, host in (("Host", _host("//" + request.headers.get("host", ""))), ("Origin", _host(origin))):
            if host is not None and not is_loopback(host):
                raise Unauthorized(
                    f"Without an API key this server answers programs on its own machine only, and the header {name} "
                    "names another. Set TRIBRID_API_KEY and send it, or call http://localhost."
                )


def _host(url: str | None) -> str | None:
    """The host of a URL; "" for one without (`Origin: null`), None for no URL."""
    if url is None:
        return None
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
