"""Queries from a language model for mining: what they will cost, asking within the budget, what they did cost."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from tribrid.answers.costs import GenerationCost
from tribrid.cloud.allowed import check_address
from tribrid.cloud.generator import Answer, Generator, Message, key_for, on_this_machine
from tribrid.cloud.prices import CHARS_PER_TOKEN, LOCAL, Prices
from tribrid.config import Config, Environment
from tribrid.config.sections import GenerationConfig
from tribrid.errors import GenerationFailed, GeneratorUnavailable, InvalidInput
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
TEMPLATE_TOKENS = 100
"""What a server may wrap around a chat, for the most that a question can cost."""
FAILURES_IN_A_ROW = 5
BUDGET, FAILURES = "budget", "failures"

Prompt = Sequence[Message]


@dataclass(frozen=True, slots=True)
class Tariff:
    """What asking costs: a model's price, or that it is local, or unknown."""

    prices: Prices
    config: GenerationConfig

    @property
    def provider(self) -> str | None:
        """As `Prices` understands it; a model of no known price on this machine's own address is local."""
        config = self.config
        if config.provider is None and not self.prices.find("GEN", config.model or ""):
            return LOCAL if config.base_url and on_this_machine(config.base_url) else None
        return config.provider

    def cost(self, prompt_tokens: int, output_tokens: int, compute_s: float | None = None) -> GenerationCost:
        """As `Prices.estimate`, for kind GEN."""
        cost = self.prices.estimate(
            "GEN",
            self.config.model or "",
            prompt_tokens,
            provider=self.provider,
            output_units=output_tokens,
            compute_s=compute_s,
        )
        return GenerationCost(**cost.model_dump(exclude_unset=True), output_units=output_tokens)

    def most(self, prompt: Prompt) -> float:
        """Upper bound of what a question costs, dollars: a token is at least a byte, an answer at most its limit."""
        size = sum(len(message["content"].encode()) for message in prompt) + TEMPLATE_TOKENS
        return float(self.cost(size, self.config.max_output_tokens).usd or 0.0)


def check(config: GenerationConfig, prices: Prices) -> None:
    """Whether queries could be generated with these settings, or are not wanted.

    Raises:
        InvalidInput: an address without a model, or a budget that no price can be held against; names the setting.
        GeneratorUnavailable: the address is none.
    """
    if config.base_url is None:
        return
    if config.model is None:
        raise InvalidInput(
            "generation.model: generation.base_url is set, so name the model to ask.", setting="generation.model"
        )
    tariff = Tariff(prices, config)
    if config.budget_usd is not None and tariff.cost(0, 0).usd is None:
        raise InvalidInput(
            f"generation.budget_usd: the price of {config.model!r} is unknown, so a budget cannot be kept. Add it to "
            "the file that TRIBRID_MODELS_FILE names, set generation.provider to local if the server is your own, or "
            "take the budget away.",
            setting="generation.budget_usd",
            model=config.model,
        )


def estimate(config: Config, prices: Prices, pairs: int) -> GenerationCost | None:
    """The cost of generated queries before they are asked for; None where there is no generator.

    It is that of filling the whole budget of pairs with them: less where there are logs or judgments.
    """
    generation = config.generation
    if generation.base_url is None:
        return None
    passages = passages_wanted(pairs, generation.queries_per_passage, generation.max_passages)
    blank = Passage("", 0, 0, 0, "", "")
    chars = _chars(messages(blank, generation.queries_per_passage, generation.examples)) + config.indexing.passage_chars
    output = min(generation.queries_per_passage * QUERY_TOKENS, generation.max_output_tokens)
    tokens = math.ceil(chars / CHARS_PER_TOKEN)
    cost = Tariff(prices, generation).cost(passages * tokens, passages * output)
    usd = cost.usd
    if generation.budget_usd is not None and usd is not None:
        usd = min(usd, generation.budget_usd)
    return cost.model_copy(update={"usd": usd, "passages": passages})


@dataclass(slots=True)
class Asked:
    """How a round of questions went. `answers` are the prompts' first ones, None for a question that failed."""

    answers: list[Answer | None] = field(default_factory=list)
    prompt_tokens: int = 0
    output_tokens: int = 0
    failed: int = 0
    failed_in_a_row: int = 0
    committed_usd: float = 0.0
    stopped: str | None = None
    trouble: GenerationFailed | GeneratorUnavailable | None = None

    def book(self, prompt: Prompt, answer: Answer | GenerationFailed | GeneratorUnavailable, tariff: Tariff) -> None:
        """Enter one question's outcome. What a server does not say of tokens is estimated from the characters."""
        if not isinstance(answer, Answer):
            self.answers.append(None)
            self.failed += 1
            self.failed_in_a_row += 1
            self.committed_usd += tariff.most(prompt)  # it may have been billed
            self.trouble = answer
            if isinstance(answer, GeneratorUnavailable) or self.failed_in_a_row >= FAILURES_IN_A_ROW:
                self.stopped = FAILURES
            return
        read = answer.prompt_tokens
        written = answer.output_tokens
        read = math.ceil(_chars(prompt) / CHARS_PER_TOKEN) if read is None else read
        written = math.ceil(len(answer.text) / CHARS_PER_TOKEN) if written is None else written
        self.answers.append(answer)
        self.failed_in_a_row = 0
        self.prompt_tokens += read
        self.output_tokens += written
        self.committed_usd += float(tariff.cost(read, written).usd or 0.0)


def ask_all(generator: Generator, prompts: Sequence[Prompt], tariff: Tariff, emit: Emit) -> Asked:
    """Ask in waves, so that the same answers stop at the same place; the first question goes alone.

    Raises:
        GeneratorUnavailable: there was no answer at all; says why.
    """
    asked, config = Asked(), tariff.config
    pool = ThreadPoolExecutor(config.concurrency)
    try:
        while len(asked.answers) < len(prompts) and asked.stopped is None:
            start = len(asked.answers)
            wave = _affordable(prompts[start : start + (config.concurrency if start else 1)], asked, tariff)
            if not wave:
                asked.stopped = BUDGET
            for prompt, answer in zip(wave, pool.map(lambda prompt: _attempt(generator, prompt), wave), strict=True):
                asked.book(prompt, answer, tariff)
            emit("progress", {"source": "generated", "done": len(asked.answers), "total": len(prompts)})
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    if asked.trouble is not None and asked.failed == len(asked.answers):
        raise _useless(asked.trouble)
    return asked


def _attempt(generator: Generator, prompt: Prompt) -> Answer | GenerationFailed | GeneratorUnavailable:
    try:
        return generator.ask(prompt)
    except (GenerationFailed, GeneratorUnavailable) as error:
        return error  # booked in its turn, whichever thread was first


def _affordable(wave: Sequence[Prompt], asked: Asked, tariff: Tariff) -> Sequence[Prompt]:
    """The first questions of a wave that cannot take the cost over the budget."""
    budget, committed = tariff.config.budget_usd, asked.committed_usd
    for number, prompt in enumerate(wave if budget is not None else ()):
        committed += tariff.most(prompt)
        if budget is not None and committed > budget:
            return wave[:number]
    return wave


def _useless(trouble: GenerationFailed | GeneratorUnavailable) -> GeneratorUnavailable:
    if isinstance(trouble, GeneratorUnavailable):
        return trouble
    return GeneratorUnavailable(
        f"generation.base_url: no question was answered. {trouble.detail} If the server does not know a field, see "
        "generation.output_limit_field and generation.temperature.",
        setting="generation.base_url",
    )


def asker(
    environment: Environment,
    config: GenerationConfig,
    prices: Prices,
    documents: Callable[[], Iterable[Document]],
    passages_of: PassagesOf,
    emit: Emit,
) -> Callable[[int], Generated]:
    """What mining calls for generated queries, with the number of pairs it has room for.

    It raises InvalidInput as `check` does, and GeneratorUnavailable as `ask_all`.
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
        prompts = [messages(passage, config.queries_per_passage, config.examples) for passage in passages]
        started = time.monotonic()
        with Generator(config, key) as generator:
            asked = ask_all(generator, prompts, tariff, emit)
        _tell(asked, emit)
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


def _tell(asked: Asked, emit: Emit) -> None:
    """What did not go as it was meant to is an event, not only a count."""
    total = len(asked.answers)
    if asked.stopped == BUDGET:
        emit("log", {"level": "warning", "message": f"generation.budget_usd ended the asking after {total} questions."})
    if asked.trouble is not None:
        ended = " Asking stopped." if asked.stopped == FAILURES else ""
        said = f"{asked.failed} of {total} questions to the generator failed: {asked.trouble.detail}{ended}"
        emit("log", {"level": "warning", "message": said})


def _chars(prompt: Prompt) -> int:
    return sum(len(message["content"]) for message in prompt)
