"""What a model says of a document: never a judgment."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class JudgeLabel:
    """What a model said of a document for a query, which is nobody's judgment and no client's act.

    `forward`, `backward`: its grades 0..3 in the two orders of the list; None: not answered, and `failure` says why of
    the last time. `judge` is the model, `judge_sha256` that with its guideline, `shown_sha256` what it was shown.
    """

    query: str
    query_sha256: str
    doc_id: str
    judge: str
    judge_sha256: str
    shown_sha256: str
    forward: float | None = None
    backward: float | None = None
    reason: str = ""
    failure: str | None = None
    tokens: int = 0
    usd: float | None = 0.0
    judged_us: int = 0

    @property
    def grade(self) -> float | None:
        """The mean of both; None as long as one is missing."""
        return None if self.forward is None or self.backward is None else (self.forward + self.backward) / 2

    @property
    def apart(self) -> float:
        """How far the two are apart; 0 where one is missing."""
        return 0.0 if self.forward is None or self.backward is None else abs(self.forward - self.backward)
