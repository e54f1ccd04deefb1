"""Who may call. With an API key: whoever sends one. Without any: programs on this machine, but no web page.

A server without a key listens on loopback, which every page in the user's browser can reach too: it may send forms to
localhost, or point a name of its own at 127.0.0.1. So without a key, requests that name another host, or that come from
a page of another host, are refused.

A page is also shown to whoever signed in with a key (see sessions.py); a route for programs is not.

Keys are TRIBRID_API_KEY, which may do everything, and those of `tribrid keys`, each with its scopes. From the first key
on, in either place, every request needs one, also after its revocation: no door opens because a key ended.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from tribrid.api.pages import is_open_page, is_page
from tribrid.api.rate import Rates
from tribrid.api.sessions import COOKIE, Sessions
from tribrid.app.keys import ANYBODY, AccessRules, split_key
from tribrid.cloud.line import is_loopback
from tribrid.errors import RateLimited, Unauthorized, Unavailable
from tribrid.types import Scope
from tribrid.types.access import ApiKey
from tribrid.types.filters import Filter, read_filter

OPEN_PATHS = frozenset({"/health"})
FRESH_S = 1.0
"""How long rules hold before they are read again: a key that is revoked ends this much later."""
DEFAULT_PER_MINUTE = 6000
_NOBODYS_DIGEST = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request, by its key or address, what it may do, and on which corpora and documents; None: all.

    `label`: what its key is called.
    """

    name: str
    scopes: frozenset[Scope]
    corpora: frozenset[str] | None = None
    label: str = ""
    pinned: Filter | None = None

    def may(self, *scopes: Scope) -> bool:
        """Whether it has one of these, or may do everything."""
        return Scope.ADMIN in self.scopes or not self.scopes.isdisjoint(scopes)


EVERYTHING = frozenset({Scope.ADMIN})
NOTHING: frozenset[Scope] = frozenset()
ENVIRONMENT = "environment"
"""What TRIBRID_API_KEY is called in logs and sessions."""


def caller_of(request: Request) -> Caller:
    """Who sent this request, as the guard found.

    Raises:
        Unauthorized: no guard saw it.
    """
    caller = getattr(request.state, "caller", None)
    if not isinstance(caller, Caller):
        raise Unauthorized("Nobody checked who sends this request.")
    return caller


class Guard:
    """Lets a request pass, or raises."""

    def __init__(self, api_key: str | None, read: Callable[[], AccessRules] = lambda: ANYBODY) -> None:
        """Take the environment's key, and how to read what is stored; reads nothing yet."""
        self._digest = _digest(api_key.encode()) if api_key else None
        self._read = read
        self._rules: AccessRules | None = None
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()
        self._rates = Rates()
        self.sessions = Sessions()

    async def admit(self, request: Request) -> Caller:
        """Who sends the request. Takes the same time whatever key was sent.

        Raises:
            Unauthorized: the key is wrong or missing; or there is none and the request is not this machine's own.
            RateLimited: this caller sent too many.
            Unavailable: the stored keys cannot be read, and never could.
        """
        address = request.client.host if request.client else "unknown"
        if request.scope["path"] in OPEN_PATHS:  # of a URL, a part is the caller's header Host
            return Caller(address, EVERYTHING)
        rules = await self._fresh()
        closed = self._digest is not None or rules.closed
        try:
            if not closed:
                caller = _neighbour(request, address)
            elif is_open_page(request.scope["path"]):
                caller = Caller(address, NOTHING)
            else:
                caller = self._known(request, rules)
        except Unauthorized:
            self._take(address, rules, closed=closed)
            raise
        self._take(caller.name, rules, closed=closed)
        return caller

    async def _fresh(self) -> AccessRules:
        """The rules, read again if they are old; one request reads, the others wait for it."""
        if self._rules is None or time.monotonic() - self._read_at >= FRESH_S:
            async with self._reading:
                if self._rules is None or time.monotonic() - self._read_at >= FRESH_S:
                    self._rules = await self._reread(self._rules)
                    self._read_at = time.monotonic()
        return self._rules

    async def _reread(self, last: AccessRules | None) -> AccessRules:
        """The rules as they are stored; while the store is away those that were read last, so that what needs no store
        answers, GET /metrics above all.
        """
        try:
            return await run_in_threadpool(self._read)
        except Unavailable:
            if last is None:
                raise
            return last

    @property
    def closed(self) -> bool:
        """Whether a key is needed, as far as the last request knew."""
        return self._digest is not None or (self._rules is not None and self._rules.closed)

    def sign_in(self, key: str) -> str:
        """Open a session for a key; the cookie's value.

        Raises:
            Unauthorized: nobody has this key.
        """
        caller = holder(key.strip().encode(), self._digest, self._rules or ANYBODY)
        if caller is None:
            raise Unauthorized("Nobody has this key, or it was revoked.")
        return self.sessions.open(caller.name)

    def _known(self, request: Request, rules: AccessRules) -> Caller:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        # Headers are decoded as latin-1: so the bytes are those that were sent.
        sent = given.strip().encode("latin-1") if scheme.lower() == "bearer" else b""
        caller = holder(sent, self._digest, rules)
        if caller is None and not given and is_page(request.scope["path"]):
            caller = self._signed_in(request.cookies.get(COOKIE, ""), rules)
        if caller is None:
            raise Unauthorized("This server wants an API key: send the header Authorization: Bearer <key>.")
        return caller

    def _signed_in(self, token: str, rules: AccessRules) -> Caller | None:
        """Whose session it is, if his key still holds."""
        name = self.sessions.holder(token)
        if name == ENVIRONMENT and self._digest is not None:
            return Caller(ENVIRONMENT, EVERYTHING)
        key = rules.keys.get(name or "")
        return None if key is None else _caller(key)

    def _take(self, name: str, rules: AccessRules, *, closed: bool) -> None:
        per_minute = rules.requests_per_minute or (DEFAULT_PER_MINUTE if closed else None)
        wait_s = 0.0 if per_minute is None else self._rates.take(name, per_minute, time.monotonic())
        if wait_s:
            raise RateLimited(
                f"This caller may send {per_minute} requests a minute (serving.requests_per_minute). Try again in "
                f"{wait_s:.1f} s.",
                requests_per_minute=per_minute,
                retry_after_s=round(wait_s, 3),
            )


def holder(sent: bytes, environments: str | None, rules: AccessRules) -> Caller | None:
    """Whose key it is; None: nobody's. `environments`: the digest of the environment's key, which may do everything."""
    key_id, secret = split_key(sent)
    key = rules.keys.get(key_id)
    # Both comparisons always take place, of digests of one length.
    is_environments = hmac.compare_digest(_digest(sent), environments or _NOBODYS_DIGEST)
    is_keys = hmac.compare_digest(_digest(secret), key.digest if key else _NOBODYS_DIGEST)
    if not sent:
        return None
    if environments is not None and is_environments:
        return Caller(ENVIRONMENT, EVERYTHING)
    return _caller(key) if key is not None and is_keys else None


def _caller(key: ApiKey) -> Caller:
    corpora = None if key.corpora is None else frozenset(key.corpora)
    return Caller(key.key_id, frozenset(key.scopes), corpora, key.name, read_filter(key.filter))


def _neighbour(request: Request, address: str) -> Caller:
    origin = request.headers.get("origin")
    for name, host in (("Host", _host("//" + request.headers.get("host", ""))), ("Origin", _host(origin))):
        if host is not None and not is_loopback(host):
            raise Unauthorized(
                f"Without an API key this server answers programs on its own machine only, and the header {name} "
                "names another. Set TRIBRID_API_KEY and send it, or call http://localhost."
            )
    return Caller(address, EVERYTHING)


def _digest(secret: bytes) -> str:
    return hashlib.sha256(secret).hexdigest()


def _host(url: str | None) -> str | None:
    """The host of a URL; "" for one without (`Origin: null`), None for no URL."""
    if url is None:
        return None
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
