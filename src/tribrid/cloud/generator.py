"""A thin client of OpenAI-compatible chat completions, for llama.cpp, Ollama, vLLM and services.

What comes back is trusted with nothing: one string, two counts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from tribrid.cloud.asker import GENERATION, Answer, Asker, count_of
from tribrid.config.asked import AskedModel

Message = Mapping[str, str]

COMPLETIONS = "chat/completions"


class Generator:
    """See the module. Safe for threads; close it, or use it in a `with`."""

    def __init__(self, config: AskedModel, key: str | None) -> None:
        """As `Asker`."""
        self._asker, self._config = Asker(GENERATION, config, COMPLETIONS, key), config
        self.host, self.url = self._asker.host, self._asker.url

    def __enter__(self) -> Generator:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Wake who waits to ask again, and hang up."""
        self._asker.close()

    def ask(self, messages: Sequence[Message]) -> Answer:
        """One answer.

        Raises:
            GeneratorUnavailable, GenerationFailed: as `Asker.ask`.
        """
        return self._asker.ask(completion_body(self._config, messages), read_completion, "a chat completion")


def completion_body(config: AskedModel, messages: Sequence[Message]) -> dict[str, object]:
    """A chat completion, as it is asked for."""
    body: dict[str, object] = {
        "model": config.model,
        "messages": list(messages),
        config.output_limit_field: config.max_output_tokens,
    }
    return body if config.temperature is None else body | {"temperature": config.temperature}


def read_completion(content: bytes) -> Answer | None:
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
    return Answer(text or "", count_of(used.get("prompt_tokens")), count_of(used.get("completion_tokens")))
