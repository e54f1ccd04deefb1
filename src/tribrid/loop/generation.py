"""Queries from a language model for mining: what they will cost, asking within the budget, what they did cost."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tribrid.answers.costs import GenerationCost
from tribrid.cloud.allowed import check_address
from tribrid.cloud.asker import GENERATION, Answer, key_for
from tribrid.cloud.generator import Generator, Message
from tribrid.cloud.prices import CHARS_PER_TOKEN, Prices
from tribrid.config import Config, Environment
from tribrid.config.asked import GenerationConfig
from tribrid.loop.asking import Round, Tariff, check_model, refuse_useless, tell
from tribrid.mining.generated import (
    Generated,
    choose_passages,
    generated_groups,
    messages,
    nothing_generated,
    passages_wanted,
)
from tribrid.mining.negatives import PassagesOf
from tribrid.types import Document, Emit, Passage
from tribrid.types.stored import GeneratedCounts

QUERY_TOKENS = 20
"""A written query, for the estimate."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One question, as chat messages."""

    messages: Sequence[Message]

    @property
    def text(self) -> str:
        """All that is sent."""
        return "".join(message["content"] for message in self.messages)


def check(config: GenerationConfig, prices: Prices) -> None:
    """Whether queries could be generated with these settings, or are not wanted.

    Raises:
        InvalidInput, GeneratorUnavailable: as `check_model`.
    """
    check_model(GENERATION, config, prices)


def estimate(config: Config, prices: Prices, pairs: int) -> GenerationCost | None:
    """The cost of generated queries before they are asked for; None where there is no generator.

    It is that of filling the whole budget of pairs with them: less where there are logs or judgments.
    """
    generation = config.generation
    if generation.base_url is None:
        return None
    passages = passages_wanted(pairs, generation.queries_per_passage, generation.max_passages)
    blank = Passage("", 0, 0, 0, "", "")
    prompt = Prompt(messages(blank, generation.queries_per_passage, generation.examples))
    chars = len(prompt.text) + config.indexing.passage_chars
    output = min(generation.queries_per_passage * QUERY_TOKENS, generation.max_output_tokens)
    tokens = math.ceil(chars / CHARS_PER_TOKEN)
    cost = Tariff(prices, generation).cost(passages * tokens, passages * output)
    usd = cost.usd
    if generation.budget_usd is not None and usd is not None:
        usd = min(usd, generation.budget_usd)
    return cost.model_copy(update={"usd": usd, "passages": passages})


def asker(
    environment: Environment,
    config: GenerationConfig,
    prices: Prices,
    documents: Callable[[], Iterable[Document]],
    passages_of: PassagesOf,
    emit: Emit,
) -> Callable[[int], Generated]:
    """What mining calls for generated queries, with the number of pairs it has room for.

    It raises InvalidInput as `check` does, and GeneratorUnavailable as `refuse_useless`.
    """
    base_url = config.base_url
    if base_url is None:
        return nothing_generated
    model, tariff = config.model or "", Tariff(prices, config)

    def ask(room: int) -> Generated:
        check(config, prices)
        check_address(environment, "generation", "base_url", base_url)
        key = key_for(base_url, environment.cloud_keys, environment.address("generation", "base_url"))
        count = passages_wanted(room, config.queries_per_passage, config.max_passages)
        passages = choose_passages(documents(), passages_of, count)
        prompts = [Prompt(messages(passage, config.queries_per_passage, config.examples)) for passage in passages]
        started = time.monotonic()
        with Generator(config, key) as generator:
            to_write: Round[Prompt, Answer] = Round(
                lambda prompt: generator.ask(prompt.messages), tariff, "generated", emit
            )
            asked = to_write.run(prompts)
        refuse_useless(GENERATION, asked)
        tell(GENERATION, asked, "the generator", emit)
        answers = [(p, a.text) for p, a in zip(passages, asked.answers, strict=False) if a is not None]
        groups, found = generated_groups(answers, model, config.queries_per_passage, config.keep_within_rank)
        cost = tariff.cost(asked.prompt_tokens, asked.output_tokens, round(time.monotonic() - started, 3))
        counts: GeneratedCounts = {
            "model": model,
            "asked": len(asked.answers),
            "answered": len(answers),
            "failed": asked.failed,
            "stopped": asked.stopped,
            "trouble": asked.trouble.detail if asked.trouble else None,
            "queries": found.pop("queries", 0),
            "rejected": dict(found),
            "cost": cost.model_dump(mode="json", exclude_unset=True),
        }
        return Generated(groups, counts)

    return ask
