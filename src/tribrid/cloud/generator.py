"""A thin client of OpenAI-compatible chat completions, for llama.cpp, Ollama, vLLM and services.

It speaks to the one configured address (see `outbound`); nothing else is tried when it fails. A key goes only where the
operator's own environment sends it (see `key_for`). What comes back is trusted with nothing: one string, two counts.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from tribrid.cloud.line import REDIRECTS, GaveUp, Later, Line, Refused, Unusable, address_of, is_loopback
from tribrid.config.sections import GenerationConfig
from tribrid.errors import GenerationFailed, GeneratorUnavailable

Message = Mapping[str, str]

OPENAI = "https://api.openai.com"
MAX_ANSWER_BYTES = 1_000_000
LONGEST_WAIT_S = 60.0
"""A server that asks for more patience than this is not asked again; the question counts as failed."""
FIRST_WAIT_S = 0.5
_MAX_COUNT = 10**9
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
        return address_of(url)
    except ValueError as error:
        raise _unavailable(f"{url!r} is no address: {error}.") from None


def on_this_machine(url: str) -> bool:
    """Whether the address is a loopback one."""
    return is_loopback(origin(url)[1])


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
        base = config.base_url.rstrip("/")
        self.url = f"{base}/chat/completions" if urlsplit(base).path else f"{base}/v1/chat/completions"
        try:
            self._line = Line(self.url, key, "generation.timeout_s")
        except ValueError as error:
            raise _unavailable(str(error)) from None
        self._config, self._has_key = config, key is not None
        self._answered = threading.Event()

    @property
    def host(self) -> str:
        """Who is asked."""
        return self._line.host

    def __enter__(self) -> Generator:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Wake who waits to ask again, and hang up."""
        self._line.close()

    def ask(self, messages: Sequence[Message]) -> Answer:
        """One answer; a 429, a 5xx, a timeout or a broken line is tried again, after the wait the server asks for.

        Raises:
            GeneratorUnavailable: it refuses, or cannot be reached and never could: every question would fail.
            GenerationFailed: this question has no answer.
        """
        try:
            return self._line.patiently(lambda: self._once(messages), self._config.retries, self._wait_s)
        except GaveUp as end:
            raise GenerationFailed(f"{self.host}: {end}.") from None

    def _wait_s(self, later: Later, attempt: int) -> float | None:
        if later.lost and not self._answered.is_set():
            raise _unavailable(f"{self.host} cannot be reached: {later}.") from None
        seconds = FIRST_WAIT_S * 2**attempt if later.wait_s is None else later.wait_s
        return seconds if seconds <= LONGEST_WAIT_S else None

    def _once(self, messages: Sequence[Message]) -> Answer:
        try:
            content = self._line.post(
                self._body(messages), timeout_s=self._config.timeout_s, max_bytes=MAX_ANSWER_BYTES
            )
        except Refused as refused:
            raise self._refusal(refused) from None
        except Unusable as unusable:
            raise GenerationFailed(f"{self.host} {unusable}.") from None
        answer = _answer(content)
        if answer is None:
            raise GenerationFailed(f"{self.host} answered with something else than a chat completion.")
        self._answered.set()
        return answer

    def _body(self, messages: Sequence[Message]) -> dict[str, object]:
        config = self._config
        body: dict[str, object] = {
            "model": config.model,
            "messages": list(messages),
            config.output_limit_field: config.max_output_tokens,
        }
        return body if config.temperature is None else body | {"temperature": config.temperature}

    def _refusal(self, refused: Refused) -> GeneratorUnavailable | GenerationFailed:
        """A refusal as an error of the right kind; the setting at fault is named."""
        status = refused.status
        if status in REDIRECTS:
            return _unavailable(f"{self.host} answers with a redirect, which is not followed: set the final address.")
        if status in (401, 403):
            sent = "refused the key" if self._has_key else "wants a key, and none was sent"
            return _unavailable(
                f"{self.host} {sent} ({status}). TRIBRID_GENERATION_API_KEY is sent only to the address in "
                "TRIBRID_GENERATION__BASE_URL, OPENAI_API_KEY only to OpenAI's."
            )
        said = f"{self.host} answers {status}: {refused.said}"
        if status in _REFUSED:
            return _unavailable(f"{said} Look at generation.base_url ({self.url} is asked) and generation.model.")
        return GenerationFailed(said)


def _unavailable(detail: str, setting: str = "base_url") -> GeneratorUnavailable:
    setting = f"generation.{setting}"
    return GeneratorUnavailable(f"{setting}: {detail}", setting=setting)


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
