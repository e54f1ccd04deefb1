"""Many questions to one language model: what they cost, asked in waves within the budget, and what fails on the way."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from tribrid.answers.costs import GenerationCost
from tribrid.cloud.asker import Answer, Purpose, on_this_machine
from tribrid.cloud.prices import CHARS_PER_TOKEN, LOCAL, Prices
from tribrid.config.asked import AskedModel
from tribrid.errors import Failed, InvalidInput, Unavailable
from tribrid.types import Emit

TEMPLATE_TOKENS = 100
"""What a server may wrap around a chat, for the most that a question can cost."""
FAILURES_IN_A_ROW = 5
BUDGET, FAILURES = "budget", "failures"


class Sent(Protocol):
    """A question. `text` is all that is sent for the model to read."""

    @property
    def text(self) -> str: ...


Q = TypeVar("Q", bound=Sent)
A = TypeVar("A", bound=Answer)
Trouble = Failed | Unavailable


@dataclass(frozen=True, slots=True)
class Tariff:
    """What asking costs: a model's price, or that it is local, or unknown."""

    prices: Prices
    config: AskedModel

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

    def most(self, question: Sent) -> float:
        """Upper bound of what a question costs, dollars: a token is at least a byte, an answer at most its limit."""
        size = len(question.text.encode("utf-8", "surrogatepass")) + TEMPLATE_TOKENS
        return float(self.cost(size, self.config.max_output_tokens).usd or 0.0)

    def used(self, question: Sent, answer: Answer) -> tuple[int, int]:
        """Tokens read and written; what a server does not say is estimated from the characters."""
        read, written = answer.prompt_tokens, answer.output_tokens
        return (
            math.ceil(len(question.text) / CHARS_PER_TOKEN) if read is None else read,
            math.ceil(len(answer.text) / CHARS_PER_TOKEN) if written is None else written,
        )


def check_model(purpose: Purpose, config: AskedModel, prices: Prices) -> None:
    """Whether a model could be asked with these settings, or is not wanted.

    Raises:
        InvalidInput: an address without a model, or a budget that no price can be held against; names the setting.
        Unavailable: the address is none.
    """
    section = purpose.section
    if config.base_url is None:
        return
    if config.model is None:
        raise InvalidInput(
            f"{section}.model: {section}.base_url is set, so name the model to ask.", setting=f"{section}.model"
        )
    tariff = Tariff(prices, config)
    if config.budget_usd is not None and tariff.cost(0, 0).usd is None:
        raise InvalidInput(
            f"{section}.budget_usd: the price of {config.model!r} is unknown, so a budget cannot be kept. Add it to "
            f"the file that TRIBRID_MODELS_FILE names, set {section}.provider to local if the server is your own, or "
            "take the budget away.",
            setting=f"{section}.budget_usd",
            model=config.model,
        )


@dataclass(slots=True)
class Asked(Generic[A]):
    """How a round of questions went. `answers` are the first ones, None for a question that failed."""

    answers: list[A | None] = field(default_factory=list)
    prompt_tokens: int = 0
    output_tokens: int = 0
    failed: int = 0
    failed_in_a_row: int = 0
    committed_usd: float = 0.0
    stopped: str | None = None
    trouble: Trouble | None = None

    def book(self, question: Sent, answer: A | Trouble, tariff: Tariff) -> None:
        """Enter one question's outcome."""
        if isinstance(answer, Trouble):
            self.answers.append(None)
            self.failed += 1
            self.failed_in_a_row += 1
            self.committed_usd += tariff.most(question)  # it may have been billed
            self.trouble = answer
            if isinstance(answer, Unavailable) or self.failed_in_a_row >= FAILURES_IN_A_ROW:
                self.stopped = FAILURES
            return
        read, written = tariff.used(question, answer)
        self.answers.append(answer)
        self.failed_in_a_row = 0
        self.prompt_tokens += read
        self.output_tokens += written
        self.committed_usd += float(tariff.cost(read, written).usd or 0.0)


@dataclass(frozen=True, slots=True)
class Round(Generic[Q, A]):
    """Who is asked, and who hears of it. `heard`: of each question's outcome, in their order. `source`: of progress."""

    ask: Callable[[Q], A]
    tariff: Tariff
    source: str
    emit: Emit
    heard: Callable[[Q, A | Trouble], None] = lambda _question, _answer: None

    def run(self, questions: Sequence[Q], asked: Asked[A] | None = None) -> Asked[A]:
        """Ask in waves, so that the same answers stop at the same place; the first question goes alone.

        Args:
            asked: what was asked before, which counts against the budget.
        """
        asked = Asked() if asked is None else asked
        before, config = len(asked.answers), self.tariff.config
        pool = ThreadPoolExecutor(config.concurrency)
        try:
            while (start := len(asked.answers) - before) < len(questions) and asked.stopped is None:
                width = config.concurrency if before + start else 1
                wave = self._affordable(questions[start : start + width], asked)
                if not wave:
                    asked.stopped = BUDGET
                for question, answer in zip(wave, pool.map(self._attempt, wave), strict=True):
                    asked.book(question, answer, self.tariff)
                    self.heard(question, answer)
                done = len(asked.answers) - before
                self.emit("progress", {"source": self.source, "done": done, "total": len(questions)})
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        return asked

    def _attempt(self, question: Q) -> A | Trouble:
        try:
            return self.ask(question)
        except (Failed, Unavailable) as error:
            return error  # booked in its turn, whichever thread was first

    def _affordable(self, wave: Sequence[Q], asked: Asked[A]) -> Sequence[Q]:
        """The first questions of a wave that cannot take the cost over the budget."""
        budget, committed = self.tariff.config.budget_usd, asked.committed_usd
        for number, question in enumerate(wave if budget is not None else ()):
            committed += self.tariff.most(question)
            if budget is not None and committed > budget:
                return wave[:number]
        return wave


def refuse_useless(purpose: Purpose, asked: Asked[A]) -> None:
    """Pass where a question was answered, or none was asked.

    Raises:
        Unavailable: there was no answer at all; says why.
    """
    trouble = asked.trouble
    if trouble is None or asked.failed < len(asked.answers):
        return
    if isinstance(trouble, Unavailable):
        raise trouble
    section = purpose.section
    raise purpose.refused(
        f"no question was answered. {trouble.detail} If the server does not know a field, see "
        f"{section}.output_limit_field and {section}.temperature."
    )


def tell(purpose: Purpose, asked: Asked[A], whom: str, emit: Emit) -> None:
    """What did not go as it was meant to is an event, not only a count."""
    total = len(asked.answers)
    if asked.stopped == BUDGET:
        said = f"{purpose.section}.budget_usd ended the asking after {total} questions."
        emit("log", {"level": "warning", "message": said})
    if asked.trouble is not None:
        ended = " Asking stopped." if asked.stopped == FAILURES else ""
        said = f"{asked.failed} of {total} questions to {whom} failed: {asked.trouble.detail}{ended}"
        emit("log", {"level": "warning", "message": said})
