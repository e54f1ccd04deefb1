"""Mode cloud: a rerank service asked over HTTP, within a deadline, a budget, and the pace that the service allows.

What goes wrong is ScorerFailed, and search then serves the fused order: nothing else is asked in the service's place.
Neither the key, the query nor a document is in any error.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

import numpy as np

from tribrid.cloud.dialects import ANSWERS_RAW, DOCUMENTS_PER_REQUEST, Answered, Billed, Provider, answer, question
from tribrid.cloud.line import REDIRECTS, GaveUp, Later, Line, Refused, Unusable
from tribrid.encoders.cross_encoder import CrossEncoder
from tribrid.encoders.tokens import passage_text
from tribrid.errors import ScorerFailed
from tribrid.scoring.calibration import SIGMOID, AnyCalibration, Proportion
from tribrid.scoring.learned import Reading, Scores

FIRST_WAIT_S = 0.25
"""Before the second attempt, where the service does not say; doubled for each further one, and shortened at random."""
FAILURES_IN_A_ROW = 3
FIRST_REST_S = 5.0
LONGEST_REST_S = 60.0
ANSWER_BYTES = 1_000_000
"""Of an answer, beside its echo of the documents, which some servers always send."""
_ECHO_CHARS = 16
_TIMEOUT = "reranking.reranker_timeout_ms"

Settle = Callable[[Billed | None], None]
"""Called once with what a request was billed for; None if it was refused, so free. Not called: it cost the most."""


class Meter(Protocol):
    """Who pays for requests."""

    def begin(self, query: str, texts: Sequence[str]) -> Settle:
        """Put aside the most that a request can cost.

        Raises:
            BudgetSpent: it would pass the budget; the request is not sent.
        """


@dataclass(frozen=True, slots=True)
class Service:
    """Whom to ask, and how. `own`: it is the provider's own address. `model` None: the server has but one."""

    provider: Provider
    url: str
    own: bool
    model: str | None
    key_variable: str
    concurrency: int
    retries: int
    batch: int | None

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc

    @property
    def name(self) -> str:
        """Who answered, as model_id: provider and model, or the server where the model has no name."""
        return f"{self.provider}/{self.model or self.host}"


class Pace:
    """When a service may be asked again: after the wait it asked for, or a rest if it keeps failing."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until, self._why = 0.0, ""
        self._failures = 0

    def wait_s(self) -> tuple[float, str]:
        """Seconds to wait, 0 or less for none, and why."""
        with self._lock:
            return self._until - time.monotonic(), self._why

    def asked_for(self, seconds: float) -> None:
        """The service named a wait."""
        with self._lock:
            self._pause(seconds, "it asked to be left alone")

    def failed(self) -> None:
        """A request failed for a reason that the next will probably have too."""
        with self._lock:
            self._failures += 1
            if self._failures >= FAILURES_IN_A_ROW:
                rest = FIRST_REST_S * 2 ** min(self._failures - FAILURES_IN_A_ROW, 10)
                self._pause(min(rest, LONGEST_REST_S), f"it failed {self._failures} times in a row")

    def worked(self) -> None:
        """A request was answered."""
        with self._lock:
            self._failures = 0

    def _pause(self, seconds: float, why: str) -> None:
        until = time.monotonic() + seconds
        if until > self._until:
            self._until, self._why = until, why


class RerankClient:
    """One service, for any number of searches. Safe for threads; close it when done."""

    def __init__(self, service: Service, key: str | None) -> None:
        """Sends nothing yet.

        Raises:
            ValueError: the address or the key cannot be used.
        """
        self.service = service
        self._has_key = key is not None
        self._line = Line(service.url, key, _TIMEOUT)
        self.pace = Pace()
        self._jitter = random.Random()
        self._pool = ThreadPoolExecutor(service.concurrency, thread_name_prefix="rerank")
        self.last_failure: tuple[int, str] | None = None
        """When, microseconds since 1970 in UTC, and what."""

    def close(self) -> None:
        """Hang up; who waits is told that it failed."""
        self._line.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def rerank(self, query: str, texts: Sequence[str], meter: Meter, timeout_s: float) -> Scores:
        """Scores float64 (n,), one a text.

        Args:
            meter: pays.
            timeout_s: for all of it, waiting for a turn and for retries included.

        Raises:
            ScorerFailed: there is not a score for each in time, and why.
            BudgetSpent: it would cost too much.
        """
        deadline = time.monotonic() + timeout_s
        size = self.service.batch or DOCUMENTS_PER_REQUEST[self.service.provider]
        batches = [texts[start : start + size] for start in range(0, len(texts), size)]
        futures: list[Future[Scores]] = []
        try:
            # In threads of their own, because a look-up of the host's name cannot be interrupted.
            futures += [self._pool.submit(self._batch, query, batch, meter, deadline) for batch in batches]
            parts = [future.result(max(0.0, deadline - time.monotonic())) for future in futures]
        except TimeoutError:
            raise self._failed(f"no answer in {timeout_s * 1000:.0f} ms ({_TIMEOUT})") from None
        except (CancelledError, RuntimeError):  # the pool is shut down
            raise self._failed("the connection was closed") from None
        finally:
            for future in futures:
                future.cancel()
        return np.concatenate(parts) if parts else np.zeros(0)

    def probe(self, timeout_s: float) -> str:
        """Whether the service is there and takes the key, found out with a question that has no documents: it refuses
        that, or answers nothing, and charges nothing.

        Raises:
            ScorerFailed: it cannot be reached, or refuses the key or the address.
        """
        try:
            self._post(question(self.service.provider, self.service.model, "?", ()), timeout_s, ANSWER_BYTES)
        except Later as later:
            raise self._failed(str(later)) from None
        except Refused as refused:
            if refused.status not in (400, 422):
                raise self._refusal(refused, ()) from None
        except Unusable as unusable:
            raise self._failed(str(unusable)) from None
        return f"{self.service.host} is there" + (" and takes the key" if self._has_key else ", asked without a key")

    def _batch(self, query: str, texts: Sequence[str], meter: Meter, deadline: float) -> Scores:
        """One request, sent again as often as settings and deadline allow."""

        def ask() -> Scores:
            self._turn(deadline)
            return self._once(query, texts, meter, deadline)

        def wait_s(later: Later, attempt: int) -> float | None:
            seconds = self._wait_s(later, attempt)
            return seconds if time.monotonic() + seconds < deadline else None

        try:
            scores = self._line.patiently(ask, self.service.retries, wait_s)
        except GaveUp as end:
            self.pace.failed()
            raise self._failed(str(end)) from None
        self.pace.worked()
        return scores

    def _turn(self, deadline: float) -> None:
        """Wait until the service may be asked; at once an error where that is too late."""
        wait_s, why = self.pace.wait_s()
        if time.monotonic() + max(wait_s, 0.0) >= deadline:
            raise self._failed(
                f"not asked for another {wait_s:.0f} s: {why}" if wait_s > 0 else f"no turn in {_TIMEOUT}"
            )
        if wait_s > 0 and self._line.wait(wait_s):
            raise self._failed("the connection was closed")

    def _wait_s(self, later: Later, attempt: int) -> float:
        """Seconds before the next attempt: what the service asks for, which then holds for every request."""
        if later.wait_s is not None:
            self.pace.asked_for(later.wait_s)
            return later.wait_s
        return FIRST_WAIT_S * float(2**attempt) * self._jitter.uniform(0.5, 1.0)

    def _once(self, query: str, texts: Sequence[str], meter: Meter, deadline: float) -> Scores:
        settle = meter.begin(query, texts)
        body = question(self.service.provider, self.service.model, query, texts)
        max_bytes = ANSWER_BYTES + 8 * sum(len(text) for text in texts)
        try:
            content = self._post(body, deadline - time.monotonic(), max_bytes)
        except Later as later:
            if later.answered or later.lost:
                settle(None)
            raise
        except Refused as refused:
            settle(None)
            raise self._refusal(refused, (query, *texts)) from None
        except Unusable as unusable:
            raise self._failed(str(unusable)) from None
        found = self._read(content, len(texts))
        settle(found.billed)
        return found.scores

    def _post(self, body: dict[str, object], timeout_s: float, max_bytes: int) -> bytes:
        return self._line.post(body, timeout_s=max(timeout_s, 0.001), max_bytes=max_bytes)

    def _read(self, content: bytes, documents: int) -> Answered:
        try:
            return answer(content, documents)
        except ValueError as error:
            raise self._failed(f"it answered with {error}") from None

    def _failed(self, why: str) -> ScorerFailed:
        detail = f"The rerank service {self.service.host} failed: {why}."
        self.last_failure = (time.time_ns() // 1000, detail)
        return ScorerFailed(detail, service=self.service.name)

    def _refusal(self, refused: Refused, sent: Sequence[str]) -> ScorerFailed:
        """A refusal in words that name the setting at fault; the next request would be refused as well."""
        self.pace.failed()
        status, said = refused.status, _own_words(refused.said, sent)
        if status in REDIRECTS:
            return self._failed("it answers with a redirect, which is not followed: set the final address")
        if status in (401, 403):
            variable = self.service.key_variable
            sentence = f"refused the key of {variable}" if self._has_key else f"wants a key, and {variable} gave none"
            return self._failed(f"it {sentence} ({status})")
        if status in (404, 405):
            return self._failed(f"{self.service.url} answers {status}: {said} Look at the address and the model")
        return self._failed(f"it refuses the request with status {status}{': ' * bool(said)}{said}")


class CloudScorer:
    """Mode cloud as a Scorer: a client, who pays, and how long a search waits."""

    cross_encoder: CrossEncoder | None = None

    def __init__(self, client: RerankClient, meter: Meter, *, timeout_s: float, snippet_chars: int) -> None:
        self.model_id = client.service.name
        self.client, self.meter = client, meter
        self.timeout_s, self._snippet_chars = timeout_s, snippet_chars
        raw = client.service.provider in ANSWERS_RAW
        self.calibration: AnyCalibration = SIGMOID if raw else Proportion()

    def score(self, reading: Reading) -> Scores:
        """See Scorer."""
        if reading.budget is not None:
            reading.budget.check()  # nothing is paid for who is gone
        texts = [passage_text(c.passage.title, c.passage.text[: self._snippet_chars]) for c in reading.candidates]
        return self.client.rerank(reading.query, texts, self.meter, self.timeout_s)


def _own_words(said: str, sent: Sequence[str]) -> str:
    """What a server said, unless it repeats what it was sent: a query or a document has no place in an error."""
    heard = " ".join(said.split()).casefold()
    for text in sent:
        plain = " ".join(text.split()).casefold()
        if plain and (plain in heard or _shares(heard, plain)):
            return ""
    return said


def _shares(heard: str, plain: str) -> bool:
    return any(heard[at : at + _ECHO_CHARS] in plain for at in range(len(heard) - _ECHO_CHARS + 1))
