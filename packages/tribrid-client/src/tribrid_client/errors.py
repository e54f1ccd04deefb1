"""What is raised: a refusal of the server, or that there was no answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class TribridError(Exception):
    """The server refused, or failed. `code` is stable; `detail` says what happened and what to do.

    Attributes:
        status: of HTTP; 0 where there was no answer.
        retry_after_s: seconds until it may be tried again; None where the server did not say.
        problem: the whole problem (RFC 9457), with the facts of the case.
    """

    def __init__(
        self, detail: str, *, code: str, status: int, retry_after_s: float | None = None, problem: Mapping[str, Any]
    ) -> None:
        super().__init__(detail)
        self.detail, self.code, self.status = detail, code, status
        self.retry_after_s, self.problem = retry_after_s, dict(problem)


class Unreachable(TribridError):
    """No answer: no connection, a timeout, or something that is not Tribrid's."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail, code="unreachable", status=0, problem={})
