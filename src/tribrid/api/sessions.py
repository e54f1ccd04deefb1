"""Who signed in to the pages with an API key: a cookie that says nothing, and what it stands for in this process.

A session ends when it is signed out of, after `LIFE_S`, when its key is revoked, and when the server stops. The key
itself is in no cookie, URL or log. Every form of a page holds a token that is derived from the cookie, so that no other
page can send it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

COOKIE = "tribrid_session"
LIFE_S = 12 * 3600
MOST = 10_000
"""Sessions that are kept; past that, the oldest ends."""
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(slots=True)
class Sessions:
    """Sessions, by the hash of their cookie. Safe for threads: each change is one operation on a dict."""

    clock: Callable[[], float] = time.monotonic
    _held: dict[str, tuple[str, float]] = field(default_factory=dict)
    _secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    def open(self, holder: str) -> str:
        """A new session of a key; the cookie's value."""
        token = self.visit()
        while len(self._held) >= MOST:
            self._held.pop(next(iter(self._held)), None)
        self._held[_hash(token)] = (holder, self.clock() + LIFE_S)
        return token

    @staticmethod
    def visit() -> str:
        """A cookie that stands for nobody: enough for the forms of a server without keys."""
        return secrets.token_urlsafe(32)

    def holder(self, token: str) -> str | None:
        """Whose session it is; None: nobody's, or it is over."""
        holder, until = self._held.get(_hash(token), ("", 0.0))
        if holder and self.clock() >= until:
            self.close(token)
            return None
        return holder or None

    def close(self, token: str) -> None:
        """End a session."""
        self._held.pop(_hash(token), None)

    def form_token(self, token: str) -> str:
        """What the forms of whoever has this cookie hold."""
        return hmac.new(self._secret, token.encode(), hashlib.sha256).hexdigest()

    def is_form_token(self, token: str, given: str) -> bool:
        """Whether a form came from a page that was made for this cookie."""
        return is_token(token) and hmac.compare_digest(
            self.form_token(token).encode(), given.encode("utf-8", "replace")
        )


def is_token(token: str) -> bool:
    """Whether it may be a cookie of ours."""
    return _TOKEN.fullmatch(token) is not None


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
