"""A thin client of OpenAI-compatible chat completions, for llama.cpp, Ollama, vLLM and services.

It speaks to the one configured address: no redirect is followed, no proxy of the environment is used, nothing else
is tried when it fails. A key goes only where the operator's own environment sends it (see `key_for`), and in no error
or log. What comes back is read to a limit and trusted with nothing: one string, and two counts.
"""

from __future__ import annotations

import email.utils
import ipaddress
import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from tribrid.config import GenerationConfig
from tribrid.errors import GenerationFailed, GeneratorUnavailable

Message = Mapping[str, str]

OPENAI = "https://api.openai.com"
MAX_ANSWER_BYTES = 1_000_000
LONGEST_WAIT_S = 60.0
"""A server that asks for more patience than this is not asked again; the question counts as failed."""
FIRST_WAIT_S = 0.5
SAID_CHARS = 200
_MAX_COUNT = 10**9
_AGAIN = frozenset({408, 425, 429})
_REFUSED = frozenset({401, 403, 404, 405, 410})
"""Answers that every other question would get too."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model wrote, unchecked, and the tokens it was billed for; None where the server does not say."""

    text: str
    prompt_tokens: int | None
    output_tokens: int | None


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port: what a key belongs to.

    Raises:
        GeneratorUnavailable: it is no address.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or {"https": 443}.get(parts.scheme, 80)
        return parts.scheme, (parts.hostname or "").rstrip("."), port
    except ValueError as error:
        raise _unavailable(f"{url!r} is no address: {error}.") from None


def on_this_machine(url: str) -> bool:
    """Whether the address is a loopback one."""
    host = origin(url)[1]
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def key_for(base_url: str, keys: Mapping[str, str], named: str | None) -> str | None:
    """The key to send to an address, if any.

    A setting can be changed by whoever may call PATCH /config; an environment cannot. So the address in it decides.

    Args:
        base_url: the address in force.
        keys: "generation" and "openai", as the environment has them.
        named: generation.base_url as the environment has it.
    """
    here = origin(base_url)
    if named and origin(named) == here and "generation" in keys:
        return keys["generation"]
    return keys.get("openai") if here == origin(OPENAI) else None


class Generator:
    """See the module. Safe for threads; close it, or use it in a `with`."""

    def __init__(self, config: GenerationConfig, key: str | None) -> None:
        """Check what it is given; nothing is sent.

        Args:
            config: with base_url and model.
            key: sent as a bearer token; None: no such header.

        Raises:
            GeneratorUnavailable: no address, no model, or a key that cannot stand in a header.
        """
        if not config.base_url or not config.model:
            missing = "model" if config.base_url else "base_url"
            raise _unavailable("Generated queries need an address and a model.", missing)
        if key is not None and not (key.isascii() and key.isprintable() and " " not in key):
            raise _unavailable("The key in the environment has a space or a character that no header may hold.")
        self._config, self._key = config, key
        base = config.base_url.rstrip("/")
        self.url = f"{base}/chat/completions" if urlsplit(base).path else f"{base}/v1/chat/completions"
        self.host = urlsplit(base).netloc
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        self._closed, self._answered = threading.Event(), threading.Event()
        self._http = httpx.Client(
            headers=headers, timeout=config.timeout_s, follow_redirects=False, trust_env=False, verify=True
        )

    def __enter__(self) -> Generator:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Wake who waits to ask again, and hang up."""
        self._closed.set()
        self._http.close()

    def ask(self, messages: Sequence[Message]) -> Answer:
        """One answer; a 429, a 5xx, a timeout or a broken line is tried again, after the wait the server asks for.

        Raises:
            GeneratorUnavailable: it refuses, or cannot be reached and never could: every question would fail.
            GenerationFailed: this question has no answer.
        """
        for attempt in range(self._config.retries + 1):
            try:
                return self._once(messages)
            except _Later as later:
                wait_s = FIRST_WAIT_S * 2**attempt if later.wait_s is None else later.wait_s
                if later.lost and not self._answered.is_set():
                    raise _unavailable(f"{self.host} cannot be reached: {later}.") from None
                if attempt == self._config.retries or wait_s > LONGEST_WAIT_S or self._closed.wait(wait_s):
                    raise GenerationFailed(f"{self.host}: {later}, {attempt + 1} times asked.") from None
        raise AssertionError  # unreachable: the last attempt returns or raises

    def _once(self, messages: Sequence[Message]) -> Answer:
        with self._mapped(), self._http.stream("POST", self.url, json=self._body(messages)) as response:
            content = self._read(response)
        self._check(response, content)
        answer = _answer(content)
        if answer is None:
            raise GenerationFailed(f"{self.host} answered with something else than a chat completion.")
        self._answered.set()
        return answer

    def _body(self, messages: Sequence[Message]) -> dict[str, Any]:
        config = self._config
        body = {"model": config.model, "messages": list(messages), config.output_limit_field: config.max_output_tokens}
        return body if config.temperature is None else body | {"temperature": config.temperature}

    def _read(self, response: httpx.Response) -> bytes:
        """The body, up to its limit: a server that drips or never ends is hung up on."""
        deadline, content = time.monotonic() + self._config.timeout_s, bytearray()
        for chunk in response.iter_raw():
            content += chunk
            if len(content) > MAX_ANSWER_BYTES:
                raise GenerationFailed(f"{self.host} answered with more than {MAX_ANSWER_BYTES} bytes.")
            if time.monotonic() > deadline:
                raise _Later("no whole answer in generation.timeout_s")
        return bytes(content)

    def _check(self, response: httpx.Response, content: bytes) -> None:
        """Anything but a success is an error of the right kind; the setting at fault is named."""
        status = response.status_code
        if response.is_success:
            return
        if status in _AGAIN or response.is_server_error:
            raise _Later(f"status {status}", _retry_after(response))
        if response.is_redirect:
            raise _unavailable(f"{self.host} answers with a redirect, which is not followed: set the final address.")
        if status in (401, 403):
            sent = "refused the key" if self._key else "wants a key, and none was sent"
            raise _unavailable(
                f"{self.host} {sent} ({status}). TRIBRID_GENERATION_API_KEY is sent only to the address in "
                "TRIBRID_GENERATION__BASE_URL, OPENAI_API_KEY only to OpenAI's."
            )
        said = f"{self.host} answers {status}: {self._said(content)}"
        if status in _REFUSED:
            raise _unavailable(f"{said} Look at generation.base_url ({self.url} is asked) and generation.model.")
        raise GenerationFailed(said)

    def _said(self, content: bytes) -> str:
        """The server's own words, short, on one line and without our key."""
        text = content[:10_000].decode("utf-8", "replace")
        if self._key:
            text = text.replace(self._key, "***")
        return "".join(c if c.isprintable() else " " for c in text[:SAID_CHARS]).strip()

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        """The transport's errors as ours; their own words never hold a header."""
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise _Later(type(error).__name__, lost=True) from None
        except httpx.TimeoutException:
            raise _Later("no answer in generation.timeout_s") from None
        except httpx.TransportError as error:
            raise _Later(type(error).__name__) from None
        except (httpx.InvalidURL, UnicodeError) as error:
            raise _unavailable(f"{self.url!r} is no address: {error}.") from None


class _Later(Exception):
    """Worth another try. `wait_s`: what the server asks for; `lost`: there was no connection at all."""

    def __init__(self, why: str, wait_s: float | None = None, *, lost: bool = False) -> None:
        super().__init__(why)
        self.wait_s, self.lost = wait_s, lost


def _unavailable(detail: str, setting: str = "base_url") -> GeneratorUnavailable:
    setting = f"generation.{setting}"
    return GeneratorUnavailable(f"{setting}: {detail}", setting=setting)


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds, from either form of the header; None where there is none that can be read."""
    value = response.headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def _answer(content: bytes) -> Answer | None:
    """The first choice's text and the usage; None where it is no chat completion."""
    try:
        body = json.loads(content)
        text = body["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    if text is not None and not isinstance(text, str):
        return None
    usage = body.get("usage")
    used = usage if isinstance(usage, dict) else {}
    return Answer(text or "", _count(used.get("prompt_tokens")), _count(used.get("completion_tokens")))


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_COUNT else None
