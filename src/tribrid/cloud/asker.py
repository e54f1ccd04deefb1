"""Asks one server that runs a language model, over HTTP, with patience: what writing queries and judging share.

It speaks to the one configured address (see `allowed`); nothing else is tried when it fails. A key goes only where the
operator's own environment sends it (see `key_for`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

from tribrid.cloud.line import REDIRECTS, GaveUp, Later, Line, Refused, Unusable, address_of, is_loopback
from tribrid.config.asked import AskedModel
from tribrid.errors import Failed, GenerationFailed, GeneratorUnavailable, JudgeFailed, JudgeUnavailable, Unavailable

T = TypeVar("T")

OPENAI = "https://api.openai.com"
MAX_ANSWER_BYTES = 1_000_000
LONGEST_WAIT_S = 60.0
"""A server that asks for more patience than this is not asked again; the question counts as failed."""
FIRST_WAIT_S = 0.5
_MAX_COUNT = 10**9
_REFUSED = frozenset({401, 403, 404, 405, 410})
"""Answers that every other question would get too."""


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a model is asked for. `section`: of the settings that name it; `needs`: what must be set."""

    section: str
    needs: str
    unavailable: type[Unavailable]
    failed: type[Failed]

    def refused(self, detail: str, setting: str = "base_url") -> Unavailable:
        """The error that names the setting at fault."""
        name = f"{self.section}.{setting}"
        return self.unavailable(f"{name}: {detail}", setting=name)


GENERATION = Purpose(
    "generation", "Generated queries need an address and a model.", GeneratorUnavailable, GenerationFailed
)
JUDGING = Purpose("judging", "A judge needs an address and a model.", JudgeUnavailable, JudgeFailed)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model wrote, unchecked, and the tokens it was billed for; None where the server does not say."""

    text: str
    prompt_tokens: int | None
    output_tokens: int | None


def origin(url: str, purpose: Purpose = GENERATION) -> tuple[str, str, int]:
    """Scheme, host and port: what a key belongs to.

    Raises:
        Unavailable: it is no address.
    """
    try:
        return address_of(url)
    except ValueError as error:
        raise purpose.refused(f"{url!r} is no address: {error}.") from None


def on_this_machine(url: str) -> bool:
    """Whether the address is a loopback one."""
    return is_loopback(origin(url)[1])


def key_for(base_url: str, keys: Mapping[str, str], named: str | None, purpose: Purpose = GENERATION) -> str | None:
    """The key to send to an address, if any.

    A setting can be changed by whoever may call PATCH /config; an environment cannot. So the address in it decides.

    Args:
        base_url: the address in force.
        keys: by section, and "openai", as the environment has them.
        named: the section's base_url as the environment has it.
    """
    here = origin(base_url, purpose)
    if named and origin(named, purpose) == here and purpose.section in keys:
        return keys[purpose.section]
    return keys.get("openai") if here == origin(OPENAI) else None


def count_of(value: object) -> int | None:
    """A number of tokens, as a server says it; None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_COUNT else None


class Asker:
    """See the module. Safe for threads; close it, or use it in a `with`."""

    def __init__(self, purpose: Purpose, config: AskedModel, path: str, key: str | None) -> None:
        """Check what it is given; nothing is sent.

        Args:
            config: with base_url and model.
            path: of what is asked, below /v1.
            key: sent as a bearer token; None: no such header.

        Raises:
            Unavailable: no address, no model, or a key that cannot stand in a header.
        """
        if not config.base_url or not config.model:
            raise purpose.refused(purpose.needs, "model" if config.base_url else "base_url")
        base = config.base_url.rstrip("/")
        self.url = f"{base}/{path}" if urlsplit(base).path else f"{base}/v1/{path}"
        try:
            self._line = Line(self.url, key, f"{purpose.section}.timeout_s")
        except ValueError as error:
            raise purpose.refused(str(error)) from None
        self._purpose, self._config, self._has_key = purpose, config, key is not None
        self._answered = threading.Event()

    @property
    def host(self) -> str:
        """Who is asked."""
        return self._line.host

    def close(self) -> None:
        """Wake who waits to ask again, and hang up."""
        self._line.close()

    def ask(self, body: Mapping[str, object], read: Callable[[bytes], T | None], wanted: str) -> T:
        """One answer; a 429, a 5xx, a timeout or a broken line is tried again, after the wait the server asks for.

        Args:
            read: what an answer says; None where it is not what was `wanted`.

        Raises:
            Unavailable: it refuses, or cannot be reached and never could: every question would fail.
            Failed: this question has no answer.
        """
        try:
            return self._line.patiently(lambda: self._once(body, read, wanted), self._config.retries, self._wait_s)
        except GaveUp as end:
            raise self._purpose.failed(f"{self.host}: {end}.") from None

    def _wait_s(self, later: Later, attempt: int) -> float | None:
        if later.lost and not self._answered.is_set():
            raise self._purpose.refused(f"{self.host} cannot be reached: {later}.") from None
        seconds = FIRST_WAIT_S * 2**attempt if later.wait_s is None else later.wait_s
        return seconds if seconds <= LONGEST_WAIT_S else None

    def _once(self, body: Mapping[str, object], read: Callable[[bytes], T | None], wanted: str) -> T:
        try:
            content = self._line.post(body, timeout_s=self._config.timeout_s, max_bytes=MAX_ANSWER_BYTES)
        except Refused as refused:
            raise self._refusal(refused) from None
        except Unusable as unusable:
            raise self._purpose.failed(f"{self.host} {unusable}.") from None
        answer = read(content)
        if answer is None:
            raise self._purpose.failed(f"{self.host} answered with something else than {wanted}.")
        self._answered.set()
        return answer

    def _refusal(self, refused: Refused) -> Unavailable | Failed:
        """A refusal as an error of the right kind; the setting at fault is named."""
        status, section = refused.status, self._purpose.section
        if status in REDIRECTS:
            return self._purpose.refused(
                f"{self.host} answers with a redirect, which is not followed: set the final address."
            )
        if status in (401, 403):
            sent = "refused the key" if self._has_key else "wants a key, and none was sent"
            return self._purpose.refused(
                f"{self.host} {sent} ({status}). TRIBRID_{section.upper()}_API_KEY is sent only to the address in "
                f"TRIBRID_{section.upper()}__BASE_URL, OPENAI_API_KEY only to OpenAI's."
            )
        said = f"{self.host} answers {status}: {refused.said}"
        if status in _REFUSED:
            return self._purpose.refused(
                f"{said} Look at {section}.base_url ({self.url} is asked) and {section}.model."
            )
        return self._purpose.failed(said)
