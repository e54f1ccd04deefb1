"""JSON posted to one configured address: what the clients of all outside services here share.

It speaks to that address alone: no redirect is followed, no proxy of the environment is used, and a name that leads to
a metadata service is not asked. The key is in no error
and no log. What comes back is read to a limit.

httpx is imported inside the functions that use it: who asks no service need not wait for it.
"""

from __future__ import annotations

import email.utils
import ipaddress
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit

SAID_CHARS = 200
REDIRECTS = range(300, 400)
T = TypeVar("T")
_AGAIN = frozenset({408, 425, 429})


class Later(Exception):
    """Worth another try.

    `wait_s`: what the server asks for; `lost`: there was no connection at all; `answered`: the server said so itself
    with a status, so the work was not done.
    """

    def __init__(self, why: str, wait_s: float | None = None, *, lost: bool = False, answered: bool = False) -> None:
        super().__init__(why)
        self.wait_s, self.lost, self.answered = wait_s, lost, answered


class Refused(Exception):
    """The server's status says no. `said`: its own words, short, on one line and without the key."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(f"status {status}")
        self.status, self.said = status, said


class GaveUp(Exception):
    """Asked as often as may be, always told to come later; says why, and how often."""


class Unusable(Exception):
    """There is an answer, and it cannot be taken."""


def address_of(url: str) -> tuple[str, str, int]:
    """Scheme, host and port: what a key belongs to.

    Raises:
        ValueError: it is no address; says why.
    """
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").rstrip("."), parts.port or {"https": 443}.get(parts.scheme, 80)


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's own, by its form alone: no name is looked up. A name below
    `localhost` is not: some resolvers ask the network for it, and what is sent there leaves the machine.
    """
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() in ("localhost", "localhost.")


def fits_a_header(key: str) -> bool:
    """Whether a key can be sent at all."""
    return key.isascii() and key.isprintable() and " " not in key


class Line:
    """See the module. Safe for threads; close it when done."""

    def __init__(self, url: str, key: str | None, setting: str) -> None:
        """Sends nothing yet.

        Args:
            url: posted to as it is.
            key: sent as a bearer token; None: no such header.
            setting: that limits the wait, for what is said of it.

        Raises:
            ValueError: it is no address, or the key cannot stand in a header (and is not quoted).
        """
        if key is not None and not fits_a_header(key):
            raise ValueError("The key in the environment has a space or a character that no header may hold.")
        import httpx

        from tribrid.cloud.resolved import Resolved

        try:
            self._url = httpx.URL(url)
        except (httpx.InvalidURL, UnicodeError) as error:
            raise ValueError(f"{url!r} is no address: {error}.") from None
        self.host = urlsplit(url).netloc
        self._key, self._setting = key, setting
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", "Content-Type": "application/json"}
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        self._closed = threading.Event()
        self._http = httpx.Client(headers=headers, follow_redirects=False, trust_env=False, transport=Resolved())

    def close(self) -> None:
        """Wake who waits to ask again, and hang up."""
        self._closed.set()
        self._http.close()

    def wait(self, seconds: float) -> bool:
        """Wait; True if the line was closed meanwhile."""
        return self._closed.wait(seconds)

    def patiently(self, ask: Callable[[], T], retries: int, wait_s: Callable[[Later, int], float | None]) -> T:
        """What `ask` returns, asked again while it raises Later.

        Args:
            ask: posts once.
            retries: most times to ask again.
            wait_s: seconds before the next attempt, from what was said and how often it was asked again before; None:
                it is not worth another. Called after every Later.

        Raises:
            GaveUp: there were no attempts left, or the line was closed.
        """
        for attempt in itertools.count():
            try:
                return ask()
            except Later as later:
                seconds = wait_s(later, attempt)
                if attempt >= retries or seconds is None or self.wait(seconds):
                    raise GaveUp(f"{later}, {attempt + 1} times asked") from None
        raise AssertionError  # unreachable: the count does not end

    def post(
        self,
        body: Mapping[str, object],
        *,
        timeout_s: float,
        max_bytes: int,
        sign: Callable[[bytes], Mapping[str, str]] = lambda _: {},
    ) -> bytes:
        """The body of a success.

        Args:
            body: JSON; a half of a surrogate pair is escaped, as JSON allows.
            timeout_s: for the whole of it: a server that drips or never ends is hung up on.
            max_bytes: of the answer.
            sign: the headers that go with these very bytes.

        Raises:
            Later, Refused: there is no success, now or at all.
            Unusable: the answer is too long.
        """
        deadline, content = time.monotonic() + timeout_s, json.dumps(body).encode("ascii")
        headers = dict(sign(content))
        sent = self._http.stream("POST", self._url, content=content, headers=headers, timeout=timeout_s)
        with self._mapped(), sent as response:
            answer = self._read(response, deadline, max_bytes)
            self._check(response, answer)
        return answer

    def _read(self, response: Any, deadline: float, max_bytes: int) -> bytes:
        content = bytearray()
        for chunk in response.iter_raw():
            content += chunk
            if len(content) > max_bytes:
                raise Unusable(f"answered with more than {max_bytes} bytes")
            if time.monotonic() > deadline:
                raise Later(f"no whole answer in {self._setting}")
        return bytes(content)

    def _check(self, response: Any, content: bytes) -> None:
        status = response.status_code
        if response.is_success:
            return
        if status in _AGAIN or response.is_server_error:
            raise Later(f"status {status}", _retry_after(response), answered=True)
        raise Refused(status, self._said(content))

    def _said(self, content: bytes) -> str:
        text = content[:10_000].decode("utf-8", "replace")
        if self._key:
            text = text.replace(self._key, "***")
        return "".join(c if c.isprintable() else " " for c in text[:SAID_CHARS]).strip()

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        """The transport's errors as ours; their own words never hold a header."""
        import httpx

        from tribrid.cloud.resolved import NeverAsked

        try:
            yield
        except NeverAsked as error:
            raise Unusable(f"is never asked: {error}") from None
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise Later(type(error).__name__, lost=True) from None
        except httpx.TimeoutException:
            raise Later(f"no answer in {self._setting}") from None
        except httpx.TransportError as error:
            raise Later(type(error).__name__) from None
        except (httpx.InvalidURL, UnicodeError) as error:
            raise Unusable(f"cannot be asked: {error}") from None


def _retry_after(response: Any) -> float | None:
    """Seconds, from either form of the header; None where there is none that can be read."""
    value = response.headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
